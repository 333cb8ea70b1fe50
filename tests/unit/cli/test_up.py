"""``limen up``, where a real run would take too long."""

from pathlib import Path

import click
import pytest

from limen.cli import up
from shop_processes import free_ports

SICK = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


def test_the_wait_for_health_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_READY_TIMEOUT", 0.3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sick.py").write_text(SICK)
    (tmp_path / "limen.toml").write_text(f'[services.a]\napp="sick:app"\nport={free_ports(1)[0]}\n')
    with pytest.raises(click.ClickException, match=r"not healthy after 0\.3 s: a; see the log above"):
        up.up(Path("limen.toml"), data=Path(".limen/data"), ports=(), reload=False)
