"""A copy of this repository that a test may change, with an environment in which the copy's own projects are installed.

Nothing is downloaded: the environment has links to what is installed here, and its own paths to the sources of the copy.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]


class RepositoryCopy:
    """What git knows of this repository, and what it would, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Copy it, as the first commit of a repository of its own."""
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(".venv"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.git("init", "-q")
        self.git("add", "--all")
        self.git("-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-qm", "as it is")

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(self.folder / ".venv" / "bin" / "python")

    def install(self) -> None:
        """Make its environment: what `make` would do for every project that has a pyproject.toml now."""
        site = Path(sysconfig.get_path("purelib"))
        environment = self.folder / ".venv"
        own = environment / site.relative_to(sys.prefix)
        own.mkdir(parents=True, exist_ok=True)
        for path in site.iterdir():
            if not (own / path.name).exists() and not (path.suffix == ".pth" and _is_of_this_repository(path)):
                (own / path.name).symlink_to(path)
        (own / "copy.pth").write_text("".join(f"{folder}\n" for folder in self._sources()))
        # A folder of its own with links, and no pip: what runs in the copy must not change the environment here.
        (environment / "bin").mkdir(exist_ok=True)
        for program in (Path(sys.prefix) / "bin").iterdir():
            if not program.name.startswith(("activate", "Activate", "pip")):
                link = environment / "bin" / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
        shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment)
        (environment / ".installed").touch()

    def run(self, *argv: str, seconds: float = 280, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with ``more`` in its environment."""
        own = {"PYTHONPATH": os.pathsep.join(self._sources()), "PATH": f"{self.folder}/.venv/bin:{os.environ['PATH']}"}
        unset = ("COVERAGE_PROCESS_CONFIG", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        env = {name: value for name, value in os.environ.items() if name not in unset}
        return subprocess.run(
            argv, cwd=self.folder, env=env | own | more, capture_output=True, text=True, check=False, timeout=seconds
        )

    def git(self, *arguments: str) -> str:
        """Run git in it, and return what it says."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def _sources(self) -> list[str]:
        return sorted(
            {str(path.parent / "src") for path in self.folder.glob("**/pyproject.toml") if ".venv" not in path.parts}
        )


def _is_of_this_repository(path: Path) -> bool:
    return any(line and (Path(line) / "../pyproject.toml").exists() for line in path.read_text().splitlines())
