"""The tutorial, word for word: what ``docs/identity.md`` tells people to type is typed, and what it shows has to come.

Only the ports are others, so that a shop that runs already is not in the way.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from commands import Command
from shop_processes import free_ports
from tools import needs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "identity.md"
PORTS: tuple[str, ...] = ("8001", "8011", "8012", "8013", "9000")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the page says to type in a terminal of its own, and what is said there once it is ready.
STAYS = {"limen up": r"(Ctrl-C) stops everything", "oidc_provider.py": r"^(\d+)$"}
MARK = "the end of a block"


def steps(page: str) -> list[tuple[str, str]]:
    """Return what is to be typed, in order, with what is to come of it."""
    found: list[tuple[str, str]] = []
    before = ""
    for language, content in BLOCK.findall(page):
        if language == "console":
            found.append((content, ""))
        elif language == "text":
            assert before == "console", f"nothing was typed before this is shown:\n{content}"
            found[-1] = found[-1][0], content
        before = language
    return found


def shows(said: str, shown: str) -> bool:
    """Tell whether ``said`` is what is ``shown``, where three dots stand for anything within a line."""
    lines = [re.escape(line).replace(r"\.\.\.", ".*") for line in shown.splitlines()]
    return re.fullmatch("\n".join(lines), said.replace("\r", "").strip("\n")) is not None


def clone(folder: Path, ports: dict[str, str]) -> None:
    """Make ``folder`` look like the top of a clone, with a topology on other ports."""
    for name in ("docs", "kit", "shop", "src", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "limen.toml").write_text(moved((ROOT / "limen.toml").read_text(), ports))


def moved(text: str, ports: dict[str, str]) -> str:
    """Return ``text`` with other ports."""
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda match: ports[match[0]], text)


class Terminals:
    """A shell that is typed into, and what runs beside it until its command is given again, or to the end."""

    def __init__(self, folder: Path, shell: asyncio.subprocess.Process) -> None:
        """Made by ``opened``."""
        self._folder = folder
        self._shell = shell
        self._beside: dict[str, Command] = {}
        self.told = dict.fromkeys(STAYS, "")

    async def typed(self, text: str) -> str:
        """Type ``text`` into the shell, and return what it said."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{text}\necho '{MARK}'\n".encode())
        said = (await self._shell.stdout.readuntil(f"{MARK}\n".encode())).decode()
        return said.removesuffix(f"{MARK}\n")

    async def left_running(self, what: str, text: str) -> None:
        """Start ``text`` in a terminal of its own, after a Ctrl-C where it runs already, and wait until it is ready."""
        await self._interrupted(what)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", text),
            cwd=self._folder,
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._beside[what] = Command(process)
        await self._beside[what].says(f"(?m){STAYS[what]}")

    async def closed(self) -> None:
        """End everything, the last first."""
        for what in reversed(list(self._beside)):
            await self._interrupted(what)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        # What was typed last may wait for something that never comes.
        os.killpg(self._shell.pid, signal.SIGKILL)
        await self._shell.wait()

    async def _interrupted(self, what: str) -> None:
        running = self._beside.pop(what, None)
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGINT)
            await running.ends()
            self.told[what] += running.text


ENVIRONMENT = os.environ | {"no_proxy": "*", "PYTHONUNBUFFERED": "1"}


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Terminals]:
    """Open a shell in ``folder``."""
    shell = await asyncio.create_subprocess_exec(
        "sh",
        cwd=folder,
        env=ENVIRONMENT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    terminals = Terminals(folder, shell)
    try:
        yield terminals
    finally:
        await terminals.closed()


@needs("sh", "curl", "sed")
async def test_the_tutorial(tmp_path: Path) -> None:
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    clone(tmp_path, ports)
    secrets: set[str] = set()
    ran: list[str] = []
    # Less than the test's own limit, so that nothing is left running.
    async with opened(tmp_path) as terminals, asyncio.timeout(150):
        for typed, shown in steps(moved(PAGE.read_text(), ports)):
            what = next((what for what in STAYS if what in typed), None)
            if what is not None:
                await terminals.left_running(what, typed)
                ran.append(what)
                continue
            said = await terminals.typed(typed)
            assert shows(said, shown), f"typed:\n{typed}\nshown:\n{shown}\nsaid:\n{said}"
            secrets.update(re.findall(r"ey[\w-]{20,}\.[\w-]+\.[\w-]+|(?:refresh|key)_[\w-]{40,}", said))
    assert ran == ["limen up", "limen up", "oidc_provider.py", "limen up"]
    log = terminals.told["limen up"]
    assert len(secrets) >= 3  # what was shown: a pair and a key
    assert not [secret for secret in secrets if secret in log]
    assert not re.search(r"Traceback|ERROR", log), log
