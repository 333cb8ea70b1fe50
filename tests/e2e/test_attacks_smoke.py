"""A short run of ``python -m bench.attacks``: it starts everything, attacks, probes, and writes the results.

The figures depend on the machine and are not checked.
"""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from bench.attacks.__main__ import main  # noqa: E402  # bench is no package of ours: it is found from the root


@pytest.mark.timeout(180)
@pytest.mark.parametrize("attack", ["misfits-256k", "tls-churn", "service-head"])
def test_an_attack_is_measured_and_reported(attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    argv = ["--only", attack, "--connections", "2", "--seconds", "0.5", "--rate", "40", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as exited:
        main(argv)
    assert exited.value.code in (0, 1)
    results = json.loads((tmp_path / "results.json").read_text())
    (row,) = results["rows"]
    assert row["problem"] is None
    (round_,) = row["rounds"]
    assert round_["requests"] == 20
    assert round_["done"]["connections"] >= round_["done"]["connected"] > 0
    assert round_["memory"] >= 0
    assert f"bench.attacks {' '.join(argv)}" in results["about"]["command"]
    page = (tmp_path / "results.md").read_text()
    assert f"| {row['title']} | 2 | limen |" in page
    assert "NOT MEASURED" not in page
