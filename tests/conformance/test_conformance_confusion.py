"""Two routes of one service, one of them guarded: no spelling of the open one reaches the guarded one.

The service here reads as FastAPI does, which decodes a path before it splits it, or as servlets do, which cut
``;parameters`` off. The property is in ``tests/unit/routing/test_prop_paths.py``; this is what it means.
"""

import pytest

from engines import Engine
from limen import Gateway, Upstream, anyone, role
from limen.auth import Jwt
from limen.testing import ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "target",
    [
        b"/files/a%2Fsecret",
        b"/files/a%2fsecret",
        b"/files/a%2F%2Fsecret",
        b"/files/all;x=1",
        b"/files/all;",
        b"/files/;/all",
    ],
    ids=repr,
)
async def test_no_spelling_of_the_open_route_reaches_the_other(engine: Engine, target: bytes) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream:
        app = Gateway(auth=Jwt(SECRET))
        behind = Upstream("svc", [upstream.url])
        app.forward("/files/{name}", upstream=behind, allow=anyone)
        app.forward("/files/{name}/secret", upstream=behind, allow=role("admin"))
        app.forward("/files/all", upstream=behind, allow=role("admin"))
        async with serving(app, engine) as gateway:
            answer = await gateway.get(target)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 404 ")), answer
        assert upstream.requests == []


@pytest.mark.parametrize("target", [b"/files/a%2Fb", b"/files/a;v=1", b"/files/a%2Fsecrets"], ids=repr)
async def test_data_in_a_path_reaches_no_other_route(engine: Engine, target: bytes) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream:
        app = Gateway(auth=Jwt(SECRET))
        behind = Upstream("svc", [upstream.url])
        app.forward("/files/{name}", upstream=behind, allow=anyone)
        app.forward("/files/{name}/secret", upstream=behind, allow=role("admin"))
        async with serving(app, engine) as gateway:
            assert (await gateway.get(target)).endswith(b"ok")
        assert upstream.requests[0].startswith(b"GET " + target + b" HTTP/1.1\r\n")
