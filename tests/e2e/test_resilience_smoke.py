"""A short run of ``python -m bench.resilience``: it starts everything, breaks a target, and writes the results.

The figures depend on the machine and are not checked.
"""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.resilience.__main__ import main  # noqa: E402  # bench is no package of ours: it is found from the root

_SHORT = ["--gateway", "Limen interpreted", "--reads", "40", "--writes", "7", "--factor"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("scenario", "factor"), [("unavailable", "0.05"), ("recovery", "0.1"), ("refused", "0.05")])
def test_a_scenario_is_measured_and_reported(
    scenario: str, factor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    argv = ["--only", scenario, *_SHORT, factor, "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as exited:
        main(argv)
    assert exited.value.code in (0, 1)
    results = json.loads((tmp_path / "results.json").read_text())
    (cell,) = results["cells"]
    assert cell["problem"] is None
    (figures,) = cell["rounds"]
    assert figures["reads"] >= 40
    assert figures["writes_repeated"] == figures["wrong"] == 0
    assert (figures["attempts"] is None) == (scenario != "refused")
    assert "python -m bench.resilience --only" in results["about"]["command"]
    assert f"| {scenario} | Limen interpreted |" in (tmp_path / "results.md").read_text()
