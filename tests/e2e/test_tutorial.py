"""The tutorial, word for word: the commands of ``docs/identity.md`` are run, and their output must match the page.

Only the ports differ, so that a shop that is already running does not interfere.
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
from shop_processes import free_ports, free_ports_in_a_row
from tools import needs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "identity.md"
PORTS: tuple[str, ...] = ("8001", "8011", "8012", "8013", "9000")
# The service that has two targets: the second has the next port.
ORDERS = "8012"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The commands that run in terminals of their own, and the output that shows that they are ready.
LONG_RUNNING = {"limen up": r"(Ctrl-C) stops everything", "oidc_provider.py": r"^(\d+)$"}
MARK = "the end of a block"


def steps(page: str) -> list[tuple[str, str]]:
    """Return the commands in order, with their expected output."""
    found: list[tuple[str, str]] = []
    previous = ""
    for language, content in BLOCK.findall(page):
        if language == "console":
            found.append((content, ""))
        elif language == "text":
            assert previous == "console", f"nothing was typed before this is shown:\n{content}"
            found[-1] = found[-1][0], content
        previous = language
    return found


def matches(output: str, expected: str) -> bool:
    """Tell whether ``output`` is what is ``expected``, where three dots stand for anything within a line."""
    lines = [re.escape(line).replace(r"\.\.\.", ".*") for line in expected.splitlines()]
    return re.fullmatch("\n".join(lines), output.replace("\r", "").strip("\n")) is not None


def clone(folder: Path, ports: dict[str, str]) -> None:
    """Make ``folder`` look like the root of a clone, with a topology on other ports."""
    for name in ("accounts", "docs", "kit", "shop", "src", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "limen.toml").write_text(with_ports((ROOT / "limen.toml").read_text(), ports))


def with_ports(text: str, ports: dict[str, str]) -> str:
    """Return ``text`` with other ports."""
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda match: ports[match[0]], text)


class Terminals:
    """A shell, and long-running commands, each of which runs until it is started again or until the end."""

    def __init__(self, folder: Path, shell: asyncio.subprocess.Process) -> None:
        """Made by ``open_terminals``."""
        self._folder = folder
        self._shell = shell
        self._running: dict[str, Command] = {}
        self.outputs = dict.fromkeys(LONG_RUNNING, "")

    async def type(self, text: str) -> str:
        """Type ``text`` into the shell, and return its output."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{text}\necho '{MARK}'\n".encode())
        output = (await self._shell.stdout.readuntil(f"{MARK}\n".encode())).decode()
        return output.removesuffix(f"{MARK}\n")

    async def start(self, name: str, text: str) -> None:
        """Start ``text`` in a terminal of its own and wait until it is ready; interrupt it first if it is running."""
        await self._interrupt(name)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", text),
            cwd=self._folder,
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._running[name] = Command(process)
        await self._running[name].says(f"(?m){LONG_RUNNING[name]}")

    async def close(self) -> None:
        """Stop everything, the last first."""
        for name in reversed(list(self._running)):
            await self._interrupt(name)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        # The last command may be waiting for something that never happens.
        os.killpg(self._shell.pid, signal.SIGKILL)
        await self._shell.wait()

    async def _interrupt(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGINT)
            await running.ends()
            self.outputs[name] += running.text


ENVIRONMENT = os.environ | {"no_proxy": "*", "PYTHONUNBUFFERED": "1"}


@contextlib.asynccontextmanager
async def open_terminals(folder: Path) -> AsyncGenerator[Terminals]:
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
        await terminals.close()


@needs("sh", "curl", "sed")
async def test_the_tutorial(tmp_path: Path) -> None:
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    ports[ORDERS] = str(free_ports_in_a_row(2)[0])
    clone(tmp_path, ports)
    secrets: set[str] = set()
    started: list[str] = []
    # Less than the test's own limit, so that nothing is left running.
    async with open_terminals(tmp_path) as terminals, asyncio.timeout(150):
        for typed, expected in steps(with_ports(PAGE.read_text(), ports)):
            name = next((name for name in LONG_RUNNING if name in typed), None)
            if name is not None:
                await terminals.start(name, typed)
                started.append(name)
                continue
            output = await terminals.type(typed)
            assert matches(output, expected), f"typed:\n{typed}\nshown:\n{expected}\nsaid:\n{output}"
            secrets.update(re.findall(r"ey[\w-]{20,}\.[\w-]+\.[\w-]+|(?:refresh|key)_[\w-]{40,}", output))
    assert started == ["limen up", "limen up", "oidc_provider.py", "limen up"]
    log = terminals.outputs["limen up"]
    assert len(secrets) >= 3  # what was shown: a pair and a key
    assert not [secret for secret in secrets if secret in log]
    assert not re.search(r"Traceback|ERROR", log), log
