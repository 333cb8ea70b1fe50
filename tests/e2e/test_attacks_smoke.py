"""``python -m bench.attacks`` for a moment: it starts all it needs, attacks, asks as others do, and writes what it found.

What it finds depends on the machine, and is no matter here.
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
def test_an_attack_is_measured_and_written_down(attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    argv = ["--only", attack, "--connections", "2", "--seconds", "0.5", "--rate", "40", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code in (0, 1)
    found = json.loads((tmp_path / "results.json").read_text())
    (row,) = found["rows"]
    assert row["problem"] is None
    (one,) = row["rounds"]
    assert one["requests"] == 20
    assert one["done"]["connections"] >= one["done"]["came"] > 0
    assert one["memory"] >= 0
    assert f"bench.attacks {' '.join(argv)}" in found["about"]["command"]
    page = (tmp_path / "results.md").read_text()
    assert f"| {row['title']} | 2 | limen |" in page
    assert "NOT MEASURED" not in page
