"""The demonstration of the README, word for word, on what ``make up`` starts; only the ports differ."""

import asyncio
import json
import re
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from limen.cli.topology import read
from shop_processes import free_ports
from tools import needs

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ {3}```(\w+)\n(.*?)^ {3}```$", re.MULTILINE | re.DOTALL)
PASTE = "TOKEN='paste the access_token here'"
# Values that differ each time: texts that end in dots, and times.
VARYING = re.compile(r"\.\.\.$|^\d{4}-\d\d-\d\dT")


def steps() -> list[tuple[str, dict[str, Any] | None]]:
    """Return the commands of the README in order, with the output that it shows."""
    section = (ROOT / "README.md").read_text().split("\n## The demonstration\n")[1].split("\n## ")[0]
    found: list[tuple[str, dict[str, Any] | None]] = []
    for language, text in BLOCK.findall(section):
        content = textwrap.dedent(text)
        if language == "console":
            found.append((content, None))
        else:
            found[-1] = found[-1][0], json.loads(content)
    return found


def matches(output: dict[str, Any], shown: dict[str, Any]) -> bool:
    return list(output) == list(shown) and all(
        output[name] == value or (isinstance(value, str) and VARYING.search(value) is not None and output[name])
        for name, value in shown.items()
    )


async def run_in_shell(text: str) -> Any:
    """Run ``text`` in a shell, and return its output, parsed as JSON."""
    shell = await asyncio.create_subprocess_exec("sh", "-c", text, stdout=asyncio.subprocess.PIPE)
    output, _ = await shell.communicate()
    assert shell.returncode == 0, text
    return json.loads(output)


@needs("sh", "curl")
async def test_the_demonstration(tmp_path: Path) -> None:
    names = [target.name for target in read(ROOT / "limen.toml").all_targets()]
    assert {"users", "orders-1", "orders-2", "suppliers", "gateway"} <= set(names)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "limen", "up", "--file", str(ROOT / "limen.toml"), "--data", str(tmp_path / "data")),
        *options,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert up.stdout is not None
    output = ""
    try:
        while "Ctrl-C stops everything" not in output:
            line = await up.stdout.readline()
            assert line, output
            output += line.decode()
        assert f"http://127.0.0.1:{ports['gateway']}" in output
        assert "admin / a" in output
        assert ",".join(f"http://127.0.0.1:{ports[name]}" for name in ("orders-1", "orders-2")) in output
        # Both serve, from one database that one command has migrated.
        assert {
            name for name in names if re.search(rf"(?m)^{name} .* listening on http://127.0.0.1:{ports[name]}$", output)
        } == set(names), output
        assert re.findall(r"(?m)^(\S+) +\| shop_orders\.database: the database is up to date\.$", output) == ["orders"]
        (login, shown), (paste, _), (create, created), (refuse, refused), (listing, _) = [
            (text.replace("localhost:8001", f"127.0.0.1:{ports['gateway']}"), response) for text, response in steps()
        ]
        assert shown is not None
        assert created is not None
        assert refused is not None
        response = await run_in_shell(login)
        assert matches(response, shown), response
        token = response["access_token"]
        assert paste.strip() == PASTE
        response = await run_in_shell(f"TOKEN='{token}'\n{create}")
        assert matches(response, created), response
        problem = await run_in_shell(refuse)
        assert matches(problem, refused), problem
        assert await run_in_shell(listing) == [response]
    finally:
        up.send_signal(signal.SIGINT)
        rest = (await up.stdout.read()).decode()
        assert await up.wait() == 0, rest
    secret = (tmp_path / "SECRET_KEY").read_text().strip()
    assert secret not in output + rest
    assert token not in output + rest
    assert not re.search(r"Traceback|ERROR", output + rest), output + rest
