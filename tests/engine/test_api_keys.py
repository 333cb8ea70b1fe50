"""API keys on both engines: introspected once, cached for a while, beside tokens on the routes that declare both."""

import asyncio
import json
from typing import Any

import pytest

from limen import Gateway, Upstream, anyone, role, scope, signed_in
from limen.auth import Jwt, issue
from limen.auth.api_keys import ApiKeys
from limen.engines.asgi import body
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving, until
from tokens import SECRET

AUTH = Jwt(SECRET)
GOOD = "key_1_abc"
UNSEEN = "key_3_ghi"
ASKED = b"/api/keys/introspect"
BIG = b"x" * 200_000


class Keys:
    """A service that knows keys, and answers whatever else it is asked with what it was told about the caller."""

    def __init__(self, **answer: Any) -> None:
        self.answers: list[dict[str, Any] | bytes] = []
        self.default = {"active": True, "id": 1, "owner": 7, "scopes": ["orders:read"]} | answer
        self.asked: list[dict[str, str]] = []
        self.seen: list[bytes] = []
        self.prompt: set[str] = set()  # keys of which it answers although the gate is closed
        self.gate = asyncio.Event()
        self.gate.set()

    async def script(self, conversation: Conversation) -> None:
        while True:
            whole = await conversation.request()
            head, _, body = whole.partition(b"\r\n\r\n")
            if head.startswith(b"POST " + ASKED):
                self.asked.append(json.loads(body))
                key = self.asked[-1]["key"]
                if key not in self.prompt:
                    await self.gate.wait()
                known = key in (GOOD, UNSEEN)
                made = self.answers.pop(0) if self.answers else self.default if known else {"active": False}
                if isinstance(made, bytes):
                    await conversation.say(made)
                    continue
                content = json.dumps(made).encode()
            else:
                self.seen.append(whole)
                content = b"{}"
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
            await conversation.say(head + content)


def build(url: str, **options: Any) -> Gateway:
    service = Upstream("svc", [url])
    keys = ApiKeys(service, prefix="key_", **options)
    app = Gateway(auth=AUTH)
    app.forward("/open/{path:path}", upstream=service, allow=anyone)
    app.forward("/tokens/{path:path}", upstream=service, allow=signed_in)
    app.forward("/both/{path:path}", upstream=service, allow=role("admin") | scope("orders:read"), auth=AUTH | keys)
    app.forward("/keys/{path:path}", upstream=service, allow=scope("orders:read"), auth=keys)
    app.forward("/write/{path:path}", upstream=service, allow=scope("orders:write"), auth=[keys])
    return app


async def status(gateway: Served, path: str, **headers: str) -> tuple[int, str]:
    got = await gateway.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return got.status_code, got.json().get("code", "")


async def test_a_key_is_accepted_where_a_route_says_so_and_asked_about_once() -> None:
    keys = Keys()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        assert await status(gateway, "/both/x", x_api_key=GOOD) == (200, "")
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (200, "")
        assert await status(gateway, "/write/x", x_api_key=GOOD) == (403, "forbidden")
        assert await status(gateway, "/tokens/x", x_api_key=GOOD) == (401, "token_missing")
        assert await status(gateway, "/open/x", x_api_key=GOOD) == (200, "")
        token = issue(AUTH, 1, "admin")
        assert await status(gateway, "/both/x", authorization=f"Bearer {token}") == (200, "")
        assert await status(gateway, "/keys/x", authorization=f"Bearer {token}") == (401, "token_corrupted")
        assert await status(gateway, "/both/x") == (401, "token_missing")
        assert await status(gateway, "/keys/x") == (401, "token_missing")
    assert keys.asked == [{"key": GOOD}]
    assert b"request-user-id: 7\r\n" in keys.seen[0]
    assert not any(GOOD.encode() in seen for seen in keys.seen)


async def test_an_invalid_key_is_refused() -> None:
    keys = Keys()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        assert await status(gateway, "/keys/x", x_api_key="key_9_no") == (401, "api_key_invalid")
        assert await status(gateway, "/keys/x", x_api_key="key_9_no") == (401, "api_key_invalid")
        assert await status(gateway, "/keys/x", x_api_key="other_1_abc") == (401, "api_key_invalid")
        assert await status(gateway, "/keys/x", x_api_key="key_1 abc") == (401, "api_key_invalid")
        assert await status(gateway, "/keys/x", x_api_key="key_" + "a" * 600) == (401, "api_key_invalid")
        got = await gateway.get(b"/keys/x", b"x-api-key: " + GOOD.encode(), b"x-api-key: key_1_xyz")
        assert b" 401 " in got
        token = issue(AUTH, 1, "admin")
        assert (await status(gateway, "/both/x", x_api_key=GOOD, authorization=f"Bearer {token}"))[0] == 401
    assert keys.asked == [{"key": "key_9_no"}]
    assert not keys.seen


async def test_a_key_that_is_over_is_refused() -> None:
    keys = Keys(expires_at="2001-01-01T00:00:00Z")
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (401, "api_key_invalid")


async def test_a_cached_key_expires() -> None:
    keys = Keys()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url, remember=0)) as gateway:
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (200, "")
        keys.answers = [{"active": False}]
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (401, "api_key_invalid")
    assert len(keys.asked) == 2


async def test_a_failing_service_is_no_verdict_about_the_key() -> None:
    keys = Keys()
    keys.answers = [
        b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope",
        {"active": True, "owner": "a b\n"},
        {"active": "perhaps"},
        b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n" + b" " * 70000,
    ]
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        for _ in range(5):
            assert await status(gateway, "/keys/x", x_api_key=GOOD) == (503, "identity_unavailable")
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (200, "")
    async with serving(build(service.url if service.errors else "http://127.0.0.1:9")) as gateway:
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (503, "identity_unavailable")
    assert len(keys.seen) == 1


async def test_requests_with_the_same_key_share_one_question() -> None:
    keys = Keys()
    keys.gate.clear()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url, at_once=2, waiting=0)) as gateway:
        asking = [asyncio.create_task(status(gateway, "/keys/x", x_api_key=GOOD)) for _ in range(20)]
        await until(lambda: bool(keys.asked))
        assert await status(gateway, "/keys/x", x_api_key="key_2_def") == (503, "identity_unavailable")
        keys.gate.set()
        assert set(await asyncio.gather(*asking)) == {(200, "")}
    assert keys.asked == [{"key": GOOD}]


@pytest.mark.parametrize("after", [0.25, 0.0], ids=["at once", "once the client is watched"])
async def test_a_body_that_comes_while_a_key_is_asked_about_is_kept_and_bounded(
    monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    monkeypatch.setattr(body, "_WATCH_AFTER", after)
    keys = Keys()
    keys.gate.clear()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        sending = asyncio.create_task(gateway.client.post("/keys/x", content=BIG, headers={"x-api-key": GOOD}))
        await until(lambda: bool(keys.asked))
        asyncio.get_running_loop().call_later(0.0 if after else 0.05, keys.gate.set)
        assert (await sending).status_code == 200
    assert keys.seen[0].endswith(b"\r\n\r\n" + BIG)


async def test_a_client_that_leaves_does_not_end_the_question() -> None:
    keys = Keys()
    keys.gate.clear()
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /keys/x HTTP/1.1\r\nhost: a\r\nx-api-key: " + GOOD.encode() + b"\r\n\r\n")
        await until(lambda: bool(keys.asked))
        other = asyncio.create_task(status(gateway, "/keys/y", x_api_key=GOOD))
        writer.close()
        await reader.read()
        keys.gate.set()
        assert await other == (200, "")
    assert len(keys.asked) == 1


async def test_made_up_keys_do_not_shut_out_good_keys() -> None:
    """Hundreds wait for a service that does not answer of them: a key that was seen, and one that was not, are served."""
    keys = Keys()
    keys.gate.clear()
    keys.prompt = {GOOD, UNSEEN}
    async with ScriptedUpstream(keys.script) as service, serving(build(service.url, waiting=100)) as gateway:
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (200, "")
        flood: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        for number in range(300):
            flood.append(await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=("127.0.0.2", 0)))
            flood[-1][1].write(b"GET /keys/x HTTP/1.1\r\nhost: a\r\nx-api-key: key_%d\r\n\r\n" % number)
        heads = [asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader, _ in flood]
        await until(lambda: sum(head.done() for head in heads) == 300 - 100 - 16)
        refused = [head.result() for head in heads if head.done()]
        assert all(got.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 5\r\n" in got for got in refused)
        await until(lambda: len(keys.asked) == 1 + 16)
        assert await status(gateway, "/keys/x", x_api_key=GOOD) == (200, "")
        assert await status(gateway, "/keys/x", x_api_key=UNSEEN) == (200, "")
        assert len(keys.asked) == 1 + 16 + 1
        assert len(keys.seen) == 3
        keys.gate.set()
        answered = await asyncio.gather(*heads)
        assert sum(got.startswith(b"HTTP/1.1 401 ") for got in answered) == 100 + 16
        for _, writer in flood:
            writer.close()
