"""A short soak: mixed traffic, faults and clients that leave; every answer right, every file descriptor given back.

Memory is ``make soak``'s: what a few seconds show of it is warming up. ``LIMEN_SOAK`` says how many seconds.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.soak import soak  # noqa: E402  # bench is no package of ours: it is found from the root

_SECONDS = float(os.environ.get("LIMEN_SOAK", "3"))


@pytest.mark.timeout(300 + _SECONDS * 2)
def test_nothing_is_lost_mixed_up_or_kept(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = soak(_SECONDS, engine=engine, clients=12)
    assert not result.problems, result.as_text()
    assert sum(result.done.values()) > 100, result.as_text()
    assert {"get", "fault", "abort", "malformed"} <= result.done.keys(), result.as_text()
