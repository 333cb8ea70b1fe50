"""Pairs are those of Python's own parser, whatever the length of a step; ambiguous names are found."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.contract import urlencoded
from limen.contract.urlencoded import ambiguous_names, parse_pairs, parse_pairs_in_steps

TEXTS = st.lists(
    st.sampled_from(["a", "b", "=", "&", "+", ";", "%", "%41", "%2", "%c3%a9", "%ff", "%zz", "%%41", "%26"]),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module", autouse=True)
def short_steps() -> Iterator[None]:
    """Let a step be shorter than most of the texts here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urlencoded, "STEP", 3)
        yield


@given(TEXTS)
def test_they_are_those_of_pythons_own_reader(text: str) -> None:
    found = list(parse_pairs(text))
    assert [(pair.name, pair.value) for pair in found] == parse_qsl(text, keep_blank_values=True)
    assert [pair.sent for pair in found] == [one for one in text.split("&") if one]


@given(TEXTS)
def test_a_pair_is_valid_if_each_escape_is_one_and_all_are_utf_8(text: str) -> None:
    for pair in parse_pairs(text):
        try:
            read = parse_qsl(pair.sent, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            assert not pair.valid
        else:
            assert pair.valid is (re.search("%(?![0-9A-Fa-f]{2})", pair.sent) is None)
            assert read == [(pair.name, pair.value)]


def test_others_have_their_turn_within_a_long_value_and_between_short_ones() -> None:
    for text in ("a=" + "%41" * 10, "&".join(["a=1"] * 10)):
        steps = list(parse_pairs_in_steps(text))
        assert steps.count(None) >= 9
        assert [step for step in steps if step is not None] == list(parse_pairs(text))


def test_an_ambiguous_name_is_reported_once() -> None:
    found = ambiguous_names(parse_pairs("x=1;a=1;%61=2&a=%ff&b=%&c=%ff&a=2;b"), {"a", "b"}, "query")
    told = [(one.loc, one.type) for one in found if one is not None]
    assert told == [(("query", "a"), "ambiguous"), (("query", "b"), "bad_encoding")]
    assert list(ambiguous_names(parse_pairs("x=1;y=2&c=%ff"), {"a"}, "query")).count(None) == 0
    assert list(ambiguous_names(parse_pairs("xxx=1;yyy=2"), {"a"}, "query")) == [None, None]
