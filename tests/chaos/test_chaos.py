"""Three targets fail at random under load: no answer is lost or wrong, no POST is repeated, and idempotent requests succeed.

Counts are judged, never times. ``LIMEN_CHAOS`` is how many idempotent requests each engine gets (20000 is the long form),
``LIMEN_CHAOS_SEED`` draws other faults, ``LIMEN_CHAOS_FAILED`` is the share of them that may fail. ``make chaos`` prints
what happened.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.resilience.chaos import MOST_FAILED, Chaos, run  # noqa: E402  # bench is no package of ours: see the line above

_REQUESTS = int(os.environ.get("LIMEN_CHAOS", "3500"))
_SEED = int(os.environ.get("LIMEN_CHAOS_SEED", "51"))
_FAILED = float(os.environ.get("LIMEN_CHAOS_FAILED", MOST_FAILED))


@pytest.mark.timeout(300 + _REQUESTS / 10)
@pytest.mark.parametrize("engine", ["direct", "asgi"])
def test_no_target_can_hurt(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run(Chaos(_REQUESTS, _SEED, engine, most_failed=_FAILED))
    print(result.as_text())  # noqa: T201  # `make chaos` shows it
    if result.problems:
        pytest.fail(result.as_text(), pytrace=False)
    assert len(result.idempotent) == _REQUESTS
    assert len(result.faults) >= _REQUESTS // 1000, result.as_text()
