"""Ids of requests: no two are the same, and one look into the operating system is enough for many."""

import os
import re

import pytest

from limen.exchange.request_ids import RequestIds


def test_all_differ_over_several_blocks() -> None:
    ids = RequestIds()
    other = RequestIds()
    found = {one.fresh() for _ in range(1000) for one in (ids, other)}
    assert len(found) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in found)


def test_nothing_is_asked_before_the_first_one_and_then_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    urandom = os.urandom

    def counted(size: int) -> bytes:
        asked.append(size)
        return urandom(size)

    monkeypatch.setattr(os, "urandom", counted)
    ids = RequestIds()
    assert not asked
    for _ in range(257):
        ids.fresh()
    assert asked == [4096, 4096]


def test_what_is_ready_is_counted_and_not_shown() -> None:
    ids = RequestIds()
    first = ids.fresh()
    assert repr(ids) == "<RequestIds 255 ready>"
    assert first not in repr(ids)
