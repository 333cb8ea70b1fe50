"""What reaches the service, and what comes back, byte for byte."""

import pytest

from limen import Gateway, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream, saying
from serving import serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def forwarding(upstream: ScriptedUpstream, *, rewrite: str | None = None) -> Gateway:
    app = Gateway()
    app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone, rewrite=rewrite)
    return app


async def seen(target: bytes, *headers: bytes, rewrite: str | None = None) -> list[bytes]:
    """Return the lines of the head that the service gets for a GET of ``target``."""
    async with ScriptedUpstream(saying(OK)) as upstream, serving(forwarding(upstream, rewrite=rewrite)) as gateway:
        answer = await gateway.get(target, *headers)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return upstream.requests[0].split(b"\r\n")[:-2]


@pytest.mark.parametrize(
    "target",
    [
        b"/svc/a",
        b"/svc/a%20b/%C3%A9",
        b"/svc/a%2Fb",
        b"/svc/~user;v=1/x,y",
        b"/svc/a?b=1&b=2&c=&d&=e",
        b"/svc/a?q=%26%3D+%2B%20&%C3%BC=%E2%82%AC",
        b"/svc/a?next=/x?y=z",
        b"/svc/",
    ],
)
async def test_path_and_query_pass_byte_for_byte(target: bytes) -> None:
    assert (await seen(target))[0] == b"GET " + target + b" HTTP/1.1"


async def test_rewrite_puts_raw_parameters_in_and_keeps_the_query() -> None:
    assert (await seen(b"/svc/a%2Fb/c?x=1", rewrite="/v2/{path}"))[0] == b"GET /v2/a%2Fb/c?x=1 HTTP/1.1"


async def test_useful_headers_pass_and_those_of_the_hop_do_not() -> None:
    lines = await seen(
        b"/svc/a",
        b"Accept: text/plain",
        b"Accept-Language: fr",
        b"Cookie: a=1",
        b"Cookie: b=2",
        b"Authorization: Basic eDp5",
        b"Connection: x-mine, keep-alive",
        b"X-Mine: 1",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Proxy-Authorization: Basic eDp5",
        b"Upgrade: websocket",
    )
    names = [line.split(b":")[0] for line in lines[1:]]
    for name in (b"accept", b"accept-language", b"authorization"):
        assert name in names
    assert [line for line in lines if line.startswith(b"cookie")] == [b"cookie: a=1", b"cookie: b=2"]
    for name in (b"x-mine", b"keep-alive", b"te", b"proxy-authorization", b"upgrade", b"connection"):
        assert name not in names


async def test_the_service_learns_where_a_request_comes_from_and_a_client_cannot_say_otherwise() -> None:
    lines = await seen(
        b"/svc/a",
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil",
        b"Forwarded: for=1.2.3.4",
        b"Request-User-Id: 1",
        b"Request_User_Id: 1",
        b"Request-User-Role: admin",
        b"X-Request-Id: from-client-1",
    )
    assert b"x-forwarded-for: 127.0.0.1" in lines
    assert b"x-forwarded-proto: http" in lines
    assert b"x-forwarded-host: gateway" in lines
    assert b"x-request-id: from-client-1" in lines
    assert b"via: 1.1 limen" in lines
    assert not any(b"1.2.3.4" in line or b"request-user" in line.lower().replace(b"_", b"-") for line in lines)


async def test_a_request_id_that_could_forge_a_log_line_is_replaced() -> None:
    lines = await seen(b"/svc/a", b"X-Request-Id: a b")
    given = next(line for line in lines if line.startswith(b"x-request-id: "))
    assert len(given) == len(b"x-request-id: ") + 32


async def test_the_answer_passes_as_it_is_without_the_headers_of_the_hop() -> None:
    answer = (
        b"HTTP/1.1 418 Teapot\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-served-by: 7\r\n"
        b'connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\ncontent-length: 5\r\netag: "x"\r\n\r\nshort'
    )
    async with ScriptedUpstream(saying(answer)) as upstream, serving(forwarding(upstream)) as gateway:
        got = await gateway.client.get("/svc/pot")
    assert (got.status_code, got.content) == (418, b"short")
    assert got.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert got.headers["etag"] == '"x"'
    assert got.headers["x-served-by"] == "7"
    assert "x-hop" not in got.headers
    assert "keep-alive" not in got.headers
    assert len(got.headers.get_list("date")) == 1
    assert got.headers["x-request-id"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_bodies_that_are_not_json_pass_with_their_length(method: str) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(forwarding(upstream)) as gateway:
        got = await gateway.client.request(
            method, "/svc/file", content=b"\x00\xffbytes", headers={"content-type": "application/octet-stream"}
        )
        assert got.status_code == 200
        head = upstream.requests[0]
    assert head.startswith(method.encode() + b" /svc/file HTTP/1.1\r\n")
    assert b"content-length: 7\r\n" in head
    assert b"content-type: application/octet-stream\r\n" in head


async def test_a_chunked_body_streams_on_chunked() -> None:
    bodies: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        bodies.append(await conversation.reader.readuntil(b"0\r\n\r\n"))
        await conversation.say(OK)

    async with ScriptedUpstream(script) as upstream, serving(forwarding(upstream)) as gateway:
        answer = await gateway.raw(
            b"POST /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
    assert answer.endswith(b"\r\n\r\nok")
    assert b"transfer-encoding: chunked\r\n" in upstream.requests[0]
    assert b"content-length" not in upstream.requests[0]
    assert b"abc" in bodies[0]


async def test_a_chunked_answer_without_length_reaches_the_client_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with ScriptedUpstream(saying(answer)) as upstream, serving(forwarding(upstream)) as gateway:
        got = await gateway.client.get("/svc/x")
    assert got.content == b"abcde"


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\n\r\n"
    async with ScriptedUpstream(saying(answer, answer)) as upstream, serving(forwarding(upstream)) as gateway:
        for _ in range(2):
            got = await gateway.client.head("/svc/x")
            assert (got.status_code, got.headers["content-length"], got.content) == (200, "1000", b"")
        assert upstream.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answers_without_content_stay_so(status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b'\r\netag: "1"\r\n\r\n'
    async with ScriptedUpstream(saying(answer)) as upstream, serving(forwarding(upstream)) as gateway:
        got = await gateway.get(b"/svc/x")
    assert got.split(b"\r\n")[0] == b"HTTP/1.1 " + status
    assert got.endswith(b"\r\n\r\n")
    assert b"etag" in got


async def test_connections_to_the_service_are_kept_and_used_again() -> None:
    async with ScriptedUpstream(saying(*[OK] * 5)) as upstream, serving(forwarding(upstream)) as gateway:
        for _ in range(5):
            assert (await gateway.client.get("/svc/x")).content == b"ok"
        assert upstream.connections == 1


async def test_a_unix_socket_serves_as_a_target(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "u.sock"
    async with ScriptedUpstream(saying(OK), path=str(path)) as upstream, serving(forwarding(upstream)) as gateway:
        assert (await gateway.client.get("/svc/x")).content == b"ok"
