"""The log begins with what runs. ``make compiled`` runs this file too, against the compiled wheel."""

import os
import re
import signal
from importlib.metadata import version
from pathlib import Path

import pytest

from commands import running


@pytest.mark.parametrize("more", [(), ("--workers", "1"), ("--reload",)])
async def test_the_first_line_says_whether_limen_is_compiled(folder: Path, port: int, more: tuple[str, ...]) -> None:
    async with running(folder, "serve", "plain:app", "--port", str(port), *more) as command:
        await command.says("Application startup complete")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
    kind = "compiled" if os.environ.get("LIMEN_COMPILED") else "interpreted"
    said = rf"[-\d]+ [:,\d]+ INFO (\[\d+\] )?limen\.serve limen {re.escape(version('limen'))}, {kind}"
    assert re.fullmatch(said, command.text.splitlines()[0])
    assert command.text.count(f", {kind}\n") == 1
