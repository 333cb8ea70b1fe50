"""A body that is refused under any ASGI server: the client gets to read why, though it has not sent all of it."""

from collections.abc import MutableMapping
from typing import Any

from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from plain_asgi import http_scope

Message = MutableMapping[str, Any]


class Item(BaseModel):
    name: str


def gateway() -> Gateway:
    app = Gateway()

    @app.post("/items", upstream=Upstream("svc", ["http://127.0.0.1:1"]), allow=anyone, max_body=10)
    def items(item: Item) -> None: ...

    del items
    return app


async def events(announced: int | None, pieces: list[bytes]) -> list[str]:
    """Return what the server saw, in order: messages that were received and sent."""
    seen: list[str] = []
    rest = list(pieces)
    headers = [(b"host", b"g"), (b"content-type", b"application/json")]
    headers.append((b"transfer-encoding", b"chunked") if announced is None else (b"content-length", b"%d" % announced))

    async def receive() -> Message:
        if not rest:
            seen.append("gone")
            return {"type": "http.disconnect"}
        seen.append("piece")
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.append(str(message["status"]))
        else:
            seen.append("content" if message["more_body"] else "end")

    scope = http_scope("POST", "/items", headers)
    await gateway()(scope, receive, send)
    return seen


async def test_the_answer_goes_out_and_ends_when_the_rest_was_read() -> None:
    assert await events(30, [b"x" * 10] * 3) == ["413", "content", "piece", "piece", "piece", "end"]


async def test_so_it_is_where_the_length_was_not_announced() -> None:
    assert await events(None, [b"x" * 8] * 4) == ["piece", "piece", "413", "content", "piece", "piece", "end"]


async def test_a_client_that_leaves_ends_the_reading() -> None:
    assert await events(30, []) == ["413", "content", "gone", "end"]


async def test_nothing_is_read_where_all_of_it_came() -> None:
    assert await events(None, [b"x" * 20]) == ["piece", "413", "end"]
