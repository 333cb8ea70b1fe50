"""``tools/compiled.py``: a build belongs to exactly its sources, is made once, and ``make up`` does not wait for it.

The compiler is a fake one: what is tested is which build is used, not what mypyc makes.
"""

import errno
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compiled import KEPT, Builds, FailedError, digest, missing

ROOT = Path(__file__).parents[2]

# Takes the place of tools/build_wheel.py: counts its runs, waits while there is a `gate`, and makes a wheel of a few files.
BUILD = """
import sys, zipfile
from pathlib import Path
root = Path.cwd().parents[2]
with (root / "runs").open("a") as runs:
    runs.write(f"{Path('src/limen/gateway.py').read_text()}\\n")
if (root / "gate").exists():
    (root / "gate").read_bytes()
if (root / "no-compiler").exists():
    sys.exit("the fake compiler says no")
kind = "interpreted" if (root / "not-compiled").exists() else "compiled"
Path("dist").mkdir()
with zipfile.ZipFile("dist/limen-0.0.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("limen/__init__.py", "")
    wheel.writestr("limen/engines/__init__.py", "")
    wheel.writestr("limen/engines/direct/__init__.py", "")
    wheel.writestr("limen/cli/__init__.py", "import sys\\ndef main(): print('fake limen', *sys.argv[1:])")
    wheel.writestr("limen/cli/version.py", f"def version(): return 'limen 0.0.0, {kind}'")
    wheel.writestr("limen-0.0.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: limen\\nVersion: 0.0.0\\n")
    wheel.writestr("limen-0.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("limen-0.0.0.dist-info/RECORD", "")
"""

compiles = pytest.mark.skipif(bool(missing()), reason=f"nothing can be compiled here: {missing()}")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make what looks like a clone of this repository to ``tools/compiled.py``."""
    (tmp_path / "src/limen/runtime").mkdir(parents=True)
    (tmp_path / "src/limen/gateway.py").write_text("first")
    (tmp_path / "src/limen/runtime/path.py").write_text("other")
    (tmp_path / "tools").mkdir()
    shutil.copy2(ROOT / "tools/compiled.py", tmp_path / "tools")
    (tmp_path / "tools/build_wheel.py").write_text(BUILD)
    (tmp_path / "tools/mypy.ini").write_text("[mypy]\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "limen"\nversion = "0.0.0"\n[tool.ruff]\n')
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / "LICENSE").write_text("MIT")
    return tmp_path


def begin(clone: Path, *argv: str, **env: str) -> subprocess.Popen[str]:
    """Start ``tools/compiled.py`` of ``clone``."""
    return subprocess.Popen(
        [sys.executable, "tools/compiled.py", *argv],
        cwd=clone,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(clone: Path, *argv: str, status: int = 0, **env: str) -> str:
    """Run it to its end, and return what it said."""
    with begin(clone, *argv, **env) as process:
        said, _ = process.communicate()
    assert process.returncode == status, said
    return said


def runs(clone: Path) -> list[str]:
    """Return the content of ``gateway.py`` in each run of the fake compiler."""
    return (clone / "runs").read_text().splitlines() if (clone / "runs").exists() else []


def wait(clone: Path) -> None:
    """Wait until no build runs."""
    with (clone / "build/wheels/lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/limen/gateway.py", "first "),
        ("src/limen/runtime/path.py", "othes"),
        ("src/limen/runtime/new.py", ""),
        ("src/limen/py.typed", ""),
        ("tools/build_wheel.py", BUILD + "\n"),
        ("tools/mypy.ini", "[mypy]\nstrict = True\n"),
        ("pyproject.toml", '[project]\nname = "limen"\nversion = "0.0.1"\n'),
    ],
)
def test_another_byte_of_the_sources_is_another_build(clone: Path, name: str, text: str) -> None:
    before = digest(clone)
    (clone / name).write_text(text)
    assert digest(clone) != before


def test_a_file_that_is_moved_is_another_build(clone: Path) -> None:
    before = digest(clone)
    (clone / "src/limen/runtime/path.py").rename(clone / "src/limen/path.py")
    assert digest(clone) != before


def test_another_interpreter_or_another_mypy_is_another_build(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {digest(clone)}
    with monkeypatch.context() as patched:
        patched.setattr(sys, "version", "3.99")
        found.add(digest(clone))
    for number in ("98", "99"):

        def version(name: str, number: str = number) -> str:
            return number if name == "mypy" else "1"

        monkeypatch.setattr("importlib.metadata.version", version)
        found.add(digest(clone))
    assert len(found) == 4


def test_what_does_not_change_a_wheel_builds_none(clone: Path) -> None:
    before = digest(clone)
    (clone / "README.md").write_text("read me again")
    (clone / "src/limen/.gateway.py.swp").write_text("an editor's")
    (clone / "src/limen/__pycache__").mkdir()
    (clone / "src/limen/__pycache__/gateway.pyc").write_bytes(b"")
    (clone / "pyproject.toml").write_text(
        '[project]\nversion = "0.0.0"\nname = "limen"\n[tool.ruff]\nline-length = 9\n'
    )
    for path in clone.rglob("*.py"):
        os.utime(path, (0, 0))  # git checkout gives other times to the same content
    assert digest(clone) == before


@compiles
def test_up_runs_at_once_and_the_next_one_runs_what_was_compiled_meanwhile(clone: Path) -> None:
    os.mkfifo(clone / "gate")
    said = run(clone, "up", "--help")  # ends, though the build cannot
    assert said.startswith(
        "limen runs interpreted this time: it is being compiled in the background, for the next start"
    )
    assert "Usage: limen up [OPTIONS]" in said
    assert run(clone, "up", "--help").startswith(
        "limen runs interpreted this time: a compiled build is being made already"
    )
    (clone / "gate").write_bytes(b"")
    wait(clone)
    assert run(clone, "up", "--port", "a=1") == "limen runs compiled\nfake limen up --port a=1\n"
    said = run(clone, "up", "--reload", "--help")
    assert said.startswith("limen runs interpreted: with --reload it is served from its sources\n")
    assert "fake" not in said
    assert runs(clone) == ["first"]


@compiles
def test_a_build_of_other_sources_is_not_used_and_comes_back_with_them(clone: Path) -> None:
    first = run(clone, "build").splitlines()[-1]
    (clone / "src/limen/gateway.py").write_text("second")
    assert "make wheel" in run(clone, "path", status=1)
    said = run(clone, "up", "--help")
    assert "interpreted" in said
    assert "fake" not in said
    wait(clone)
    assert run(clone, "path").strip() != first
    (clone / "src/limen/gateway.py").write_text("first")
    assert run(clone, "path").strip() == first
    assert run(clone, "build").strip() == first
    assert (clone / "build/compiled").resolve() == Path(first)
    assert [path.name for path in (clone / "dist").iterdir()] == ["limen-0.0.0-py3-none-any.whl"]
    assert runs(clone) == ["first", "second"]


@compiles
@pytest.mark.parametrize(
    ("fault", "why"), [("no-compiler", "the fake compiler says no"), ("not-compiled", "limen 0.0.0, interpreted")]
)
def test_what_fails_is_told_and_not_tried_again_until_asked(clone: Path, fault: str, why: str) -> None:
    (clone / fault).touch()
    run(clone, "up", "--help")
    wait(clone)
    for _ in range(2):
        said = run(clone, "up", "--help").splitlines()[0]
        assert said.startswith("limen runs interpreted: it could not be compiled, and build/wheels/build.log says why;")
    assert why in (clone / "build/wheels/build.log").read_text()
    assert runs(clone) == ["first"]
    assert Builds(clone).ready() is None
    (clone / fault).unlink()
    assert run(clone, "build").strip() == run(clone, "path").strip()


@compiles
def test_two_builds_at_once_are_one(clone: Path) -> None:
    os.mkfifo(clone / "gate")
    with begin(clone, "build") as one, begin(clone, "build") as other:
        assert one.stdout is not None
        assert other.stdout is not None
        with (clone / "gate").open("wb"):  # opens when one of them reads it
            ready, _, _ = select.select((one.stdout, other.stdout), (), ())
            assert ready[0].readline().startswith("another build is running")
        assert {one.communicate()[0], other.communicate()[0]} == {f"{Builds(clone).ready()}\n"}
        assert one.returncode == other.returncode == 0
    assert runs(clone) == ["first"]


@compiles
def test_what_is_edited_during_a_build_is_not_in_it(clone: Path) -> None:
    os.mkfifo(clone / "gate")
    before = digest(clone)
    with begin(clone, "build") as one:
        with (clone / "gate").open("wb"):
            (clone / "src/limen/gateway.py").write_text("second")
        said, _ = one.communicate()
    assert before in said
    assert Builds(clone).ready() is None


@compiles
def test_a_build_that_is_ended_leaves_no_process_and_nothing_to_use(clone: Path) -> None:
    os.mkfifo(clone / "gate")
    with begin(clone, "build") as one:
        with (clone / "gate").open("wb"):
            one.send_signal(signal.SIGTERM)
            assert one.wait() == 128 + signal.SIGTERM
        with pytest.raises(OSError, match="No such device") as nobody:
            os.open(clone / "gate", os.O_WRONLY | os.O_NONBLOCK)
    assert nobody.value.errno == errno.ENXIO  # no compiler is left that reads it
    assert Builds(clone).ready() is None
    (clone / "gate").unlink()
    run(clone, "build")
    assert Builds(clone).ready() is not None


@compiles
def test_a_build_that_takes_too_long_is_killed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(clone / "gate")
    monkeypatch.setattr("compiled.LIMIT", 0.0)
    with pytest.raises(FailedError, match="the build took longer than 0 s: killed"):
        Builds(clone).build()
    assert Builds(clone).ready() is None


@compiles
def test_old_builds_and_old_layouts_make_place(clone: Path) -> None:
    folder = clone / "build/wheels"
    for age in range(KEPT + 2):
        (folder / f"old{age}/site").mkdir(parents=True)
        os.utime(folder / f"old{age}", (10**9 - age, 10**9 - age))
    (clone / "build/compiled/limen").mkdir(parents=True)  # it was a folder
    (clone / "dist").mkdir()
    (clone / "dist/limen-0.0.0-cp310.whl").touch()
    run(clone, "build")
    kept = {path.name for path in folder.iterdir() if path.is_dir()}
    assert kept == {digest(clone), *(f"old{age}" for age in range(KEPT - 1))}
    assert (clone / "build/compiled").is_symlink()
    assert len(list((clone / "dist").iterdir())) == 1


def test_without_a_compiler_up_says_so_and_runs(clone: Path) -> None:
    said = run(clone, "up", "--help", CC="/none/such")
    assert said.startswith(
        "limen runs interpreted: there is no C compiler (/none/such); with it, `make up` would compile"
    )
    assert "Usage: limen up [OPTIONS]" in said
    assert not (clone / "build").exists()
    assert run(clone, "possible", status=1, CC="/none/such") == "there is no C compiler (/none/such)\n"
    assert "no C compiler (/none/such)" in run(clone, "build", status=1, CC="/none/such")


@compiles
def test_where_nothing_can_be_written_up_says_so_and_runs(clone: Path) -> None:
    (clone / "build").touch()
    said = run(clone, "up", "--help")
    assert said.startswith("limen runs interpreted: ")
    assert "build/wheels cannot be written" in said.splitlines()[0]
    assert "Usage: limen up [OPTIONS]" in said
