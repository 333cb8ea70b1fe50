"""``python tools/compiled.py build|up|path|possible``: compiled builds of limen, each made once for the same sources.

A build is named by the hash of all that it is made from, and is ``build/wheels/HASH``: the wheel, and ``site``, where it is
installed, for PYTHONPATH. It gets that name by one rename when it is whole, so what has the name of these sources can be
used, and nothing else is. ``build/compiled`` is a link to the ``site`` that was built or asked for last. A build goes so:

1. take the lock: one build at a time, whoever asks
2. copy the sources: what is edited from now on belongs to another build
3. make the wheel there (``tools/build_wheel.py``), within ``LIMIT`` seconds
4. install it beside, and import it
5. rename it into its place, and remove the oldest beyond ``KEPT``

``up`` waits for none of that: it runs what is there, and starts a build for the next time. That build has a session of its
own and goes on when ``up`` has ended; it is the first that has to give way when CPU or memory is short.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent

# Seconds that a build may take. It needs a minute of CPU, for which it may have to wait long on a busy machine.
LIMIT = 1800.0

# How many builds are kept: those of a few branches, and the ones that may still run.
KEPT = 5

# What a wheel is made from besides ``src/limen``, as ``tools/build_wheel.py`` and its metadata have it.
_FILES = ("tools/build_wheel.py", "tools/mypy.ini", "pyproject.toml", "README.md", "LICENSE")
_TOOLS = ("mypy", "setuptools", "librt")

_IMPORT = "import limen.engines.direct, limen.cli.version as v; assert v.version().endswith(', compiled'), v.version()"


class FailedError(Exception):
    """Why there is no build."""


def sources(root: Path) -> list[Path]:
    """Return the files that a build is made from, in a fixed order."""
    package = root / "src/limen"
    return [
        *sorted(package.rglob("*.py")),
        *sorted(package.rglob("*.tmpl")),
        *package.glob("py.typed"),
        *(root / name for name in _FILES),
    ]


def digest(root: Path) -> str:
    """Return the hash of the sources, the interpreter and the tools: another byte of any of them is another build."""
    found = hashlib.sha256()
    for path in sources(root):
        content = path.read_bytes()
        if path.name == "pyproject.toml":  # how the sources are checked makes no other wheel
            content = json.dumps(tomllib.loads(content.decode())["project"], sort_keys=True).encode()
        elif path.name in ("README.md", "LICENSE"):
            continue  # copied into the wheel's metadata, which nothing runs
        found.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    for said in (sys.version, sysconfig.get_platform(), sysconfig.get_config_var("SOABI"), *map(_version, _TOOLS)):
        found.update(f"{said}\n".encode())
    return found.hexdigest()[:16]


def missing() -> str:
    """Say what has to be installed before anything can be compiled; empty if nothing."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]  # as setuptools has it
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"there is no Python.h in {sysconfig.get_path('include')}; Debian has it in python3-dev"
    if importlib.util.find_spec("mypyc") is None:
        return "there is no mypy in this environment"
    return ""


class Builds:
    """What was built of the sources in ``root``."""

    def __init__(self, root: Path) -> None:
        """Look at nothing yet."""
        self._root = root
        self._folder = root / "build/wheels"
        self._failed = self._folder / "failed"
        self.log = self._folder / "build.log"

    def ready(self) -> Path | None:
        """Return the ``site`` of exactly these sources, or None."""
        site = self._folder / digest(self._root) / "site"
        return site if site.is_dir() else None

    def build(self) -> Path:
        """Return the ``site`` of these sources, built now if it has to be, and put its wheel into ``dist/``."""
        site = self.ready()
        if site is None:
            if lacking := missing():
                raise FailedError(lacking)
            with self._locked(wait=True) as lock:
                assert lock is not None
                site = self.ready() or self._make(lock)
        self._link(site)
        wheel, dist = _wheel(site.parent), self._root / "dist"
        dist.mkdir(exist_ok=True)
        for other in dist.glob("limen-*.whl"):
            if other.name != wheel.name:
                other.unlink(missing_ok=True)
        copy = dist / f"copy-{os.getpid()}"  # two may do this at once
        shutil.copy2(wheel, copy)
        copy.replace(dist / wheel.name)
        return site

    def start(self) -> str:
        """Build in the background, unless that is not possible, goes on already or has failed; say which."""
        if lacking := missing():
            return f"limen runs interpreted: {lacking}; with it, `make up` would compile limen for the next start"
        log = self.log.relative_to(self._root)
        if self._failed.exists() and self._failed.read_text() == digest(self._root):
            return f"limen runs interpreted: it could not be compiled, and {log} says why; `make wheel` tries again"
        with self._locked(wait=False) as lock:
            if lock is None:
                return f"limen runs interpreted this time: a compiled build is being made already ({log})"
            with self.log.open("wb") as output:
                subprocess.Popen(  # noqa: S603 - ourselves, and no shell reads it
                    [sys.executable, str(self._root / "tools/compiled.py"), "background", str(lock)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),  # it keeps the lock, from now on
                    start_new_session=True,  # Ctrl-C is not meant for it
                )
        return f"limen runs interpreted this time: it is being compiled in the background, for the next start ({log})"

    def background(self, lock: int) -> int:
        """Build, with the least claim to the machine, and note a failure so that it is not tried again."""
        os.nice(19)
        with contextlib.suppress(OSError):  # Linux alone has it
            Path("/proc/self/oom_score_adj").write_text("1000")
        asked = digest(self._root)
        try:
            self._link(self._make(lock))
        except (FailedError, OSError) as error:
            self._failed.write_text(asked)
            print(error, flush=True)
            return 1
        return 0

    def _make(self, lock: int) -> Path:
        work = self._folder / "work"  # one place: what a killed build has left does not add up
        shutil.rmtree(work, ignore_errors=True)
        self._failed.unlink(missing_ok=True)
        for path in sources(self._root):  # 2
            copy = work / path.relative_to(self._root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        place = self._folder / digest(work)
        _run("the build", [sys.executable, "tools/build_wheel.py"], work, lock)  # 3
        made = work / "made"
        made.mkdir()
        wheel = _wheel(work / "dist").rename(made / _wheel(work / "dist").name)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-index",
        ]
        _run("pip", [*pip, "--target", str(made / "site"), str(wheel)], work, lock)  # 4
        _run(
            "the import of what was built", [sys.executable, "-P", "-c", _IMPORT], work, lock, PYTHONPATH=f"{made}/site"
        )
        shutil.rmtree(place, ignore_errors=True)  # not whole, or it would have been found
        made.rename(place)  # 5
        shutil.rmtree(work)
        others = (path for path in self._folder.iterdir() if path.is_dir() and path != place)
        for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
            shutil.rmtree(old)
        return place / "site"

    def _link(self, site: Path) -> None:
        link, new = self._root / "build/compiled", self._folder / f"link-{os.getpid()}"
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # once it was a folder
        new.symlink_to(site)
        new.replace(link)

    @contextlib.contextmanager
    def _locked(self, *, wait: bool) -> Generator[int | None]:
        """Give the lock's file, or None if it is another's and we do not ``wait``. Held until the last copy is closed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    yield None
                    return
                print(f"another build is running, see {self.log}; waiting for its end", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()


def up(root: Path, arguments: Sequence[str]) -> None:
    """Become ``limen up``, with the compiled build of these sources if there is one."""
    builds = Builds(root)
    if "--reload" in arguments:
        said = "limen runs interpreted: with --reload it is served from its sources"
    elif site := builds.ready():
        os.utime(site.parent)  # not the oldest
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        said = "limen runs compiled"
    else:
        try:
            said = builds.start()
        except OSError as error:
            said = f"limen runs interpreted: {error.filename} cannot be written, {error.strerror}"
    print(said, flush=True)
    limen = Path(sys.executable).with_name("limen")
    os.execv(limen, [str(limen), "up", *arguments])  # noqa: S606 - no shell is wanted


def _run(what: str, argv: Sequence[str], folder: Path, lock: int, **env: str) -> None:
    """Run one step of a build. It holds the lock too: should we be killed, nobody builds beside it."""
    child = subprocess.Popen(  # noqa: S603 - all of it is said in this file, and no shell reads it
        argv,
        cwd=folder,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        pass_fds=(lock,),
        start_new_session=True,
    )
    try:
        status = child.wait(LIMIT)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # compilers too
        child.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise FailedError(f"{what} took longer than {LIMIT:g} s: killed") from error
        raise
    if status:
        raise FailedError(f"{what} failed with exit status {status}; what it said is above")


def _wheel(folder: Path) -> Path:
    found = list(folder.glob("limen-*.whl"))
    if len(found) != 1:
        raise FailedError(f"one wheel of limen was to be in {folder}, not {len(found)}")
    return found[0]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(argv: Sequence[str]) -> int:
    """Do what ``argv`` says; what is to be done about a failure is the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("command", choices=("build", "up", "path", "possible", "background"))
    command, rest = parser.parse_known_args(argv[:1])[0].command, argv[1:]
    builds = Builds(ROOT)
    signal.signal(signal.SIGTERM, _terminated)  # what a build has started ends with it
    try:
        if command == "up":
            up(ROOT, rest)
        elif command == "background":
            return builds.background(int(rest[0]))
        elif command == "build":
            print(builds.build())
        elif command == "path":
            if (site := builds.ready()) is None:
                raise FailedError("there is no compiled build of these sources; `make wheel` makes it")
            print(site)
        elif lacking := missing():
            print(lacking)
            return 1
    except FailedError as error:
        sys.exit(f"tools/compiled.py: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
