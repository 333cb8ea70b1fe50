"""docs/testing.md and docs/typing.md: their blocks are files, which run, and type checkers say of them what the pages say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of both pages: to check them together costs half as much."""
    made = tmp_path_factory.mktemp("pages")
    for page in ("testing.md", "typing.md"):
        for name, code in BLOCK.findall((ROOT / "docs" / page).read_text()):
            assert not (made / name).exists(), name
            (made / name).write_text(code)
    (made / "bare.py").write_text('def only() -> int:\n    """A text."""\n\n\ndef passes() -> int:\n    pass\n')
    return made


def run(folder: Path, *command: str) -> str:
    """Run a module of this environment in ``folder``, where no setting of ours is, and return what it says."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.stderr == ""
    return done.stdout


def lines(folder: Path, name: str, pattern: str) -> list[str]:
    """Return the places in a file at which a line matches."""
    text = (folder / name).read_text().splitlines()
    return [f"{name}:{number}" for number, line in enumerate(text, 1) if re.search(pattern, line)]


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    said = run(folder, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--timeout", "60")
    assert re.search(r"^1\d passed in", said, re.MULTILINE), said


def test_pyright_finds_the_mistakes_of_the_page_alone(folder: Path) -> None:
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    said = run(folder, "basedpyright", "--pythonpath", sys.executable, "--outputjson")
    found = json.loads(said)["generalDiagnostics"]
    places = sorted({f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}" for one in found})
    wrong = lines(folder, "mistakes.py", r"  # an? ")
    assert (len(wrong), places) == (3, sorted(["bare.py:1", "bare.py:5", *wrong])), said


def test_mypy_finds_the_mistakes_of_the_page_alone_with_its_setting(folder: Path) -> None:
    setting = (folder / "pyproject.toml").read_text()
    assert 'module = ["gateway"]' in setting
    stubs = r"^(?:async )?def .* -> (?!None|Token|bool|dict).*:(?: \.\.\.)?$"

    def mypy(setting: str, *files: str) -> list[str]:
        (folder / "pyproject.toml").write_text(setting)
        return run(folder, "mypy", "--no-error-summary", "--hide-error-context", *files).splitlines()

    allowed = setting.replace('["gateway"]', '["gateway", "shop", "mistakes"]')
    said = [line for line in mypy(allowed, *(one.name for one in folder.glob("*.py"))) if ": note:" not in line]
    wrong = [place for line in said for place in re.findall(r"^(mistakes\.py:\d+): error: .*(?<!empty-body\])$", line)]
    bare = [line for line in said if line.startswith("bare.py")]
    assert wrong == lines(folder, "mistakes.py", r"  # an? ")
    assert [line[:9] for line in bare] == ["bare.py:1", "bare.py:5"]
    assert len(said) == len(wrong) + len(bare), said

    strict_alone = "[tool.mypy]\nstrict = true\n"
    said = mypy(strict_alone, "gateway.py")
    places = lines(folder, "gateway.py", stubs)
    assert said == [f"{place}: error: Missing return statement  [empty-body]" for place in places]
    code = (folder / "gateway.py").read_text()
    (folder / "gateway.py").write_text(f'# mypy: disable-error-code="empty-body"\n{code}')
    assert mypy(strict_alone, "gateway.py") == []
