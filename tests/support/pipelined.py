"""Kinds of requests that are pipelined, what each must be answered with, and the gateway and the service for them.

Every request has a token of its own, in its path and as its request id; the service, the endpoints and the problems
repeat it, so that whoever reads an answer knows whose it is.
"""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, replace

from fastapi import Request
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone, scope, signed_in
from limen.auth import Jwt
from limen.auth.api_keys import ApiKeys
from limen.testing import Conversation
from tokens import SECRET

JSON = (b"content-type: application/json",)


@dataclass(frozen=True)
class Kind:
    """A request and its answer. ``%b`` in what it is made of is the token; ``body`` None is no framing at all.

    ``code`` is that of a problem. ``early`` is answered without its body. ``whose`` says what the answer tells of the
    request: ``echo`` all of it, ``local`` the same in the words of an endpoint of the gateway, ``id`` the request id
    alone; some answers know nothing. ``ends`` says why the connection ends with the answer, if it does.
    """

    method: bytes
    path: bytes
    status: int = 200
    code: str = ""
    body: bytes | None = None
    chunked: bool = False
    lines: tuple[bytes, ...] = ()
    version: bytes = b"1.1"
    early: bool = False
    whose: str = "echo"
    ends: str = ""

    def head(self, token: bytes) -> bytes:
        """Return the head of such a request."""
        lines = [b"%b %b HTTP/%b" % (self.method, self.target(token), self.version), b"x-request-id: " + token]
        if self.ends != "no host":
            lines.append(b"host: gateway")
        if self.ends == "close":
            lines.append(b"connection: close")
        if self.chunked:
            lines.append(b"transfer-encoding: chunked")
        elif self.body is not None:
            lines.append(b"content-length: %d" % len(self.content(token)))
        return b"\r\n".join([*lines, *(line.replace(b"%b", token) for line in self.lines), b"", b""])

    def framed(self, token: bytes) -> bytes:
        """Return the body as it is sent."""
        content = self.content(token)
        if not self.chunked:
            return content
        size = max(1, len(content) // 3)
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        last = b"zz\r\n" if self.ends == "bad chunk" else b"0\r\n\r\n"
        return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last

    def target(self, token: bytes) -> bytes:
        """Return the target."""
        return self.path.replace(b"%b", token)

    def content(self, token: bytes) -> bytes:
        """Return the body without its framing."""
        return (self.body or b"").replace(b"%b", token)


GET = Kind(b"GET", b"/svc/quick/%b")
HELD = Kind(b"GET", b"/svc/held/%b")
POST = Kind(b"POST", b"/svc/quick/%b", body=b"%b")
BIG = b"%b" * 10_000
LONG = b"%b" * 20
SHORT = Kind(b"POST", b"/small/quick/%b", body=b"few")
TOO_LONG = Kind(b"POST", b"/small/quick/%b", 413, "body_too_large", LONG, early=True, whose="id")
DECLARED = Kind(b"POST", b"/json/quick/%b", body=b"[1,2]", lines=JSON)
UNFIT = replace(DECLARED, status=422, code="invalid_request", body=b'["x"]', whose="id")
REFUSED = Kind(b"POST", b"/mine/quick/%b", 401, "token_missing", b"%b", early=True, whose="id")
KEY = Kind(b"POST", b"/keys/quick/%b", body=b"%b", lines=(b"x-api-key: key_1_%b",))
NOWHERE = Kind(b"GET", b"/nowhere/%b", 404, "not_found", early=True, whose="")
LOCAL = Kind(b"GET", b"/local/%b", whose="local")
READ = Kind(b"POST", b"/local/%b", body=b"%b", whose="local")
UNREAD = Kind(b"PUT", b"/local/%b", body=b"%b", early=True, whose="local")

KINDS = [
    *(GET, HELD, replace(GET, method=b"OPTIONS"), replace(GET, method=b"HEAD"), replace(HELD, method=b"HEAD")),
    *(Kind(b"GET", b"/svc/chunks/%b"), Kind(b"GET", b"/svc/none/%b", 204, whose="id")),
    *(POST, replace(POST, body=BIG), replace(POST, chunked=True), replace(POST, body=BIG, chunked=True)),
    *(replace(POST, path=b"/svc/held/%b"), replace(POST, path=b"/svc/held/%b", chunked=True)),
    *(replace(POST, lines=(b"expect: 100-continue",), chunked=chunked) for chunked in (False, True)),
    *(replace(POST, path=b"/svc/early/%b", chunked=chunked, early=True) for chunked in (False, True)),
    *(SHORT, replace(SHORT, chunked=True), TOO_LONG, replace(TOO_LONG, chunked=True)),
    *(replace(TOO_LONG, path=b"/small/held/%b", chunked=True), replace(TOO_LONG, body=BIG, chunked=True)),
    *(DECLARED, replace(DECLARED, chunked=True), UNFIT, replace(UNFIT, chunked=True)),
    *(replace(TOO_LONG, path=b"/json/quick/%b", lines=JSON, chunked=chunked) for chunked in (False, True)),
    replace(UNFIT, status=415, code="media_type", lines=()),
    *(Kind(b"GET", b"/made/quick/%b"), Kind(b"GET", b"/made/held/%b"), replace(POST, path=b"/made/quick/%b")),
    *(REFUSED, replace(REFUSED, chunked=True), replace(REFUSED, method=b"HEAD", body=None)),
    *(KEY, replace(KEY, chunked=True), replace(KEY, method=b"GET", body=None)),
    replace(KEY, status=401, code="api_key_invalid", lines=(b"x-api-key: key_2_%b",), chunked=True, whose="id"),
    *(
        replace(TOO_LONG, path=path, status=401, code=code, lines=(b"x-api-key: key_2_%b",), chunked=True)
        for path, code in ((b"/small-keys/quick/%b", "api_key_invalid"), (b"/mine/quick/%b", "token_missing"))
    ),
    replace(KEY, path=b"/small-keys/quick/%b", status=413, code="body_too_large", body=LONG, chunked=True, whose="id"),
    *(NOWHERE, replace(NOWHERE, method=b"HEAD"), replace(NOWHERE, method=b"POST", body=BIG, chunked=True)),
    Kind(b"DELETE", b"/json/quick/%b", 405, "method_not_allowed", whose="id"),
    Kind(b"HEAD", b"/json/quick/%b", 405, "method_not_allowed", whose="id"),
    Kind(b"OPTIONS", b"/json/quick/%b", 204, whose="id"),
    Kind(b"OPTIONS", b"*", 204, whose=""),
    Kind(b"POST", b"/json/quick/%b/", 307, body=b"[1,2]", early=True, whose="id"),
    Kind(b"GET", b"/svc/../%b", 400, "bad_path", whose="id"),
    Kind(b"POST", b"/svc//%b", 400, "bad_path", body=b"%b", chunked=True, early=True, whose="id"),
    *(LOCAL, READ, replace(READ, chunked=True), UNREAD, replace(UNREAD, chunked=True, body=BIG)),
]
"""Kinds after whose answer the connection goes on, whether or not their bodies were wanted."""

LAST = [
    *(replace(kind, ends="close") for kind in (GET, HELD, POST, SHORT, TOO_LONG, DECLARED, UNFIT, REFUSED, KEY)),
    *(replace(kind, ends="close") for kind in (NOWHERE, LOCAL, READ, UNREAD, replace(HELD, method=b"HEAD"))),
    *(replace(kind, ends="close", chunked=True) for kind in (POST, TOO_LONG, DECLARED, REFUSED, READ)),
    *(replace(GET, version=b"1.0", ends="1.0"), replace(READ, version=b"1.0", ends="1.0")),
    *(Kind(b"GET", b"/svc/quick/%b", 400, "bad_request", whose="", ends="no host"),),
    *(Kind(b"TRACE", b"/svc/quick/%b", 501, "not_implemented", whose="", ends="method"),),
    *(
        replace(kind, status=400, code="bad_body", chunked=True, whose="", ends="bad chunk")
        for kind in (POST, DECLARED, READ, KEY, replace(POST, body=BIG))
    ),
]
"""Kinds that end the connection, by their own wish or because what comes behind them cannot be told."""

FAREWELL = replace(GET, ends="close")


BREAKS = (b"before", b"in-head", b"in-body")
"""What a path names where the service closes in place of an answer, or within one."""


class Echo(BaseModel):
    """What the service answers."""

    method: str
    target: str
    body: str


class Service:
    """Repeats what it was asked, in the way that the path names."""

    def __init__(self) -> None:
        self.gates: defaultdict[bytes, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            method, target, _ = head.split(b" ", 2)
            _, prefix, mode, token = target.split(b"/")
            body = b"" if mode == b"early" else await _body(conversation.reader, head)
            if mode == b"held":
                await self.gates[token].wait()
            if (prefix, mode) == (b"api", b"keys"):
                key: str = json.loads(body)["key"]
                if key.startswith("key_3_"):
                    await self.gates[key[6:].encode()].wait()
                active = not key.startswith("key_2_")
                content = json.dumps({"active": active, "id": 1, "owner": 7, "scopes": ["all"]}).encode()
            else:
                said = Echo(method=method.decode(), target=target.decode(), body=body.decode())
                content = said.model_dump_json().encode()
            lines = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            if mode in BREAKS:
                cut = {b"before": b"", b"in-head": lines}.get(mode, lines + b"content-length: 99\r\n\r\n" + content[:9])
                await conversation.say(cut)
                return
            if mode == b"none":
                await conversation.say(b"HTTP/1.1 204 No Content\r\n\r\n")
            elif mode == b"chunks":
                await conversation.say(lines + b"transfer-encoding: chunked\r\n\r\n9\r\n" + content[:9] + b"\r\n")
                await conversation.say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content) - 9, content[9:]))
            else:
                sent = b"" if method == b"HEAD" else content
                await conversation.say(lines + b"content-length: %d\r\n\r\n" % len(content) + sent)
            if mode == b"early":
                await _body(conversation.reader, head)


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read a body; one that the gateway breaks off ends the conversation."""
    lowered = head.lower()
    if b"\r\ntransfer-encoding: chunked\r\n" not in lowered:
        length = lowered.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        return await reader.readexactly(int(length or b"0"))
    found = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        found += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return found


def build(url: str) -> Gateway:
    service = Upstream("svc", [url])
    keys = ApiKeys(service, prefix="key_")
    app = Gateway(auth=Jwt(SECRET))
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)
    app.forward("/small/{mode}/{token}", upstream=service, allow=anyone, max_body=64)
    app.forward("/mine/{mode}/{token}", upstream=service, allow=signed_in, max_body=64)
    app.forward("/keys/{mode}/{token}", upstream=service, allow=scope("all"), auth=keys)
    app.forward("/small-keys/{mode}/{token}", upstream=service, allow=scope("all"), auth=keys, max_body=64)

    @app.post("/json/{mode}/{token}", upstream=service, allow=anyone, max_body=64)
    def declared(mode: str, token: str, numbers: list[int]) -> None: ...

    async def later(echo: Echo) -> Echo:
        await asyncio.sleep(0)
        return echo

    @app.get("/made/{mode}/{token}", upstream=service, allow=anyone, after=later)
    def made(mode: str, token: str) -> Echo: ...

    @app.post("/made/{mode}/{token}", upstream=service, allow=anyone)
    def passed(mode: str, token: str) -> Echo: ...

    @app.get("/local/{token}")
    async def local(token: str) -> list[str]:
        return ["GET", token, ""]

    @app.post("/local/{token}")
    async def read(token: str, request: Request) -> list[str]:
        return ["POST", token, (await request.body()).decode()]

    @app.put("/local/{token}")
    async def unread(token: str) -> list[str]:
        return ["PUT", token, ""]

    del declared, made, passed, local, read, unread
    return app
