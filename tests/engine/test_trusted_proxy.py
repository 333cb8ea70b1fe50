"""Proxies in front, on both engines: none is trusted by default; a trusted one speaks for many over one connection."""

from limen import Gateway, Upstream, anyone
from limen.client.trust import Trust
from limen.testing import ScriptedUpstream, saying
from serving import serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def build(url: str, *networks: str) -> Gateway:
    app = Gateway(trust=Trust(networks))
    app.forward("/svc/{path:path}", upstream=Upstream("svc", [url]), allow=anyone)
    return app


def get(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /svc/x HTTP/1.1", b"host: inner", *lines, b"", b""])


def lines(head: bytes, name: bytes) -> list[bytes]:
    return [line[len(name) + 2 :] for line in head.split(b"\r\n") if line.startswith(name + b": ")]


CLIENTS = (
    get(b"x-forwarded-for: 6.6.6.6, 203.0.113.7", b"x-forwarded-proto: https", b"x-forwarded-host: a.example")
    + get(b"x-forwarded-for: 203.0.113.8")
    + get(b"connection: close")
)


async def test_a_trusted_proxy_speaks_for_each_of_its_clients() -> None:
    async with (
        ScriptedUpstream(saying(OK, OK, OK)) as upstream,
        serving(build(upstream.url, "127.0.0.0/8")) as gateway,
    ):
        got = await gateway.raw(CLIENTS)
    assert got.count(b"HTTP/1.1 200 ") == 3
    heads = upstream.requests
    assert [lines(head, b"x-forwarded-for") for head in heads] == [
        [b"203.0.113.7, 127.0.0.1"],
        [b"203.0.113.8, 127.0.0.1"],
        [b"127.0.0.1"],
    ]
    assert [lines(head, b"x-forwarded-proto") for head in heads] == [[b"https"], [b"http"], [b"http"]]
    assert [lines(head, b"x-forwarded-host") for head in heads] == [[b"a.example"], [b"inner"], [b"inner"]]


async def test_no_peer_is_trusted_by_default_nor_outside_the_networks() -> None:
    for networks in ((), ("10.0.0.0/8", "unix")):
        async with (
            ScriptedUpstream(saying(OK, OK, OK)) as upstream,
            serving(build(upstream.url, *networks)) as gateway,
        ):
            await gateway.raw(CLIENTS)
        heads = upstream.requests
        assert [lines(head, b"x-forwarded-for") for head in heads] == [[b"127.0.0.1"]] * 3
        assert [lines(head, b"x-forwarded-proto") for head in heads] == [[b"http"]] * 3
        assert [lines(head, b"x-forwarded-host") for head in heads] == [[b"inner"]] * 3


async def test_via_is_extended_and_a_loop_is_refused() -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.raw(get(b"via: 1.0 edge", b"connection: close"))
        assert b" 200 " in got
        got = await gateway.raw(
            get(b"via: 1.1 limen, 1.1 limen, 1.1 limen, 1.1 limen, 1.1 limen", b"connection: close")
        )
    assert lines(upstream.requests[0], b"via") == [b"1.0 edge", b"1.1 limen"]
    assert b" 508 " in got
    assert b'"code":"loop"' in got


async def test_a_loop_of_the_gateway_to_itself_ends() -> None:
    app = Gateway()
    async with serving(app) as gateway:
        app.forward("/svc/{path:path}", upstream=Upstream("self", [f"http://127.0.0.1:{gateway.port}"]), allow=anyone)
        got = await gateway.raw(get(b"connection: close"))
    assert b" 508 " in got
