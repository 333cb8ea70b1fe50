"""The demonstration of the README, word for word, on what ``make up`` starts; only the ports are others."""

import asyncio
import json
import re
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from shop_processes import free_ports
from tools import needs

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ {3}```(\w+)\n(.*?)^ {3}```$", re.MULTILINE | re.DOTALL)
PASTE = "TOKEN='paste the access_token here'"
# What differs each time: dots stand for the rest, and times are times.
ANY = re.compile(r"\.\.\.$|^\d{4}-\d\d-\d\dT")


def steps() -> list[tuple[str, dict[str, Any] | None]]:
    """Return what the README says to type, in order, with the answer that it shows."""
    section = (ROOT / "README.md").read_text().split("\n## The demonstration\n")[1].split("\n## ")[0]
    found: list[tuple[str, dict[str, Any] | None]] = []
    for language, text in BLOCK.findall(section):
        content = textwrap.dedent(text)
        if language == "console":
            found.append((content, None))
        else:
            found[-1] = found[-1][0], json.loads(content)
    return found


def alike(said: dict[str, Any], shown: dict[str, Any]) -> bool:
    return list(said) == list(shown) and all(
        said[name] == value or (isinstance(value, str) and ANY.search(value) is not None and said[name])
        for name, value in shown.items()
    )


async def typed(text: str) -> Any:
    """Type ``text`` into a shell, and return what it said, as JSON."""
    shell = await asyncio.create_subprocess_exec("sh", "-c", text, stdout=asyncio.subprocess.PIPE)
    said, _ = await shell.communicate()
    assert shell.returncode == 0, text
    return json.loads(said)


@needs("sh", "curl")
async def test_the_demonstration(tmp_path: Path) -> None:
    ports = dict(zip(("users", "orders", "suppliers", "gateway"), free_ports(4), strict=True))
    options = [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "limen", "up", "--file", str(ROOT / "limen.toml"), "--data", str(tmp_path / "data")),
        *options,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert up.stdout is not None
    said = ""
    try:
        while "Ctrl-C stops everything" not in said:
            line = await up.stdout.readline()
            assert line, said
            said += line.decode()
        assert f"http://127.0.0.1:{ports['gateway']}" in said
        assert "admin / a" in said
        (login, shown), (paste, _), (create, created), (refuse, refused), (listing, _) = [
            (text.replace("localhost:8001", f"127.0.0.1:{ports['gateway']}"), answer) for text, answer in steps()
        ]
        assert shown is not None
        assert created is not None
        assert refused is not None
        answer = await typed(login)
        assert alike(answer, shown), answer
        token = answer["access_token"]
        assert paste.strip() == PASTE
        answer = await typed(f"TOKEN='{token}'\n{create}")
        assert alike(answer, created), answer
        problem = await typed(refuse)
        assert alike(problem, refused), problem
        assert await typed(listing) == [answer]
    finally:
        up.send_signal(signal.SIGINT)
        rest = (await up.stdout.read()).decode()
        assert await up.wait() == 0, rest
    secret = (tmp_path / "SECRET_KEY").read_text().strip()
    assert secret not in said + rest
    assert token not in said + rest
    assert not re.search(r"Traceback|ERROR", said + rest), said + rest
