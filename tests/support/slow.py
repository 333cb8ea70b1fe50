"""Applications that take a little while and keep a list of the requests that have reached them; a gateway before one."""

import asyncio
from typing import Any

# Answers with its process, after a little while; keeps a list of the requests that have reached it.
PLAIN = """
import asyncio, os
from pathlib import Path
started = os.open(Path(__file__).with_name("started"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan over", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    os.write(started, path.rsplit("/", 1)[1].encode() + b"\\n")
    while (await receive()).get("more_body"):
        pass
    if path == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    if path in ("/half", "/stuck"):
        await asyncio.Event().wait()
    await asyncio.sleep(0.02)
    content = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
"""

GATE = """
from limen import Gateway, Upstream, anyone
app = Gateway()
app.forward("/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:PORT"]), allow=anyone)
"""


class Service:
    """A service in the test's own process: as PLAIN, but its list is a set."""

    def __init__(self) -> None:
        self.started: set[int] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.started.add(int(scope["path"].rsplit("/", 1)[1]))
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
