"""TLS towards a service over real sockets: which peers are trusted or refused, and when an answer is complete."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from calling import InOrder, call, counts, pool_of
from certificates import DAY, Authority
from limen import Timeouts, Tls, Upstream
from limen.errors import Kind
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream.error import UpstreamError
from limen.upstream.live import LiveUpstream
from limen.upstream.pool import Pool
from limen.upstream.tls import server_name
from services import OK, ready
from serving import until
from tls_service import TlsService

PIECE = b"x" * 65536


async def refused(pool: Pool, kind: Kind, cause: str, *, connect: float = 10) -> None:
    """Insist that no request is sent, for the reason that the log will tell, and that nothing stays behind."""
    with pytest.raises(UpstreamError) as caught:
        await call(pool, timeouts=Timeouts(connect=connect))
    fault = caught.value.fault
    assert (fault.kind, caught.value.sent) == (kind, False)
    assert cause in fault.cause
    assert cause not in fault.text
    assert counts(pool) == (0, 0, 0)


async def test_a_connection_is_verified_and_used_again(authority: Authority) -> None:
    versions: list[Any] = []

    async def script(conversation: Conversation) -> None:
        session = conversation.writer.get_extra_info("ssl_object")
        versions.append((session.version(), session.selected_alpn_protocol()))
        await ready(conversation)

    context = authority.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with ScriptedUpstream(script, tls=context) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path)))
        for _ in range(3):
            assert await (await call(pool)).read(9) == b"ok"
        assert (server.connections, counts(pool)) == (1, (1, 0, 0))
        assert versions == [("TLSv1.3", "http/1.1")]
        await pool.aclose()


@pytest.mark.parametrize(
    ("names", "until_", "cause"),
    [
        (("elsewhere.example",), 90 * DAY, "Hostname mismatch"),
        (("localhost",), -DAY, "certificate has expired"),
    ],
)
async def test_a_certificate_for_another_name_or_time(
    authority: Authority, names: tuple[str, ...], until_: Any, cause: str
) -> None:
    async with ScriptedUpstream(ready, tls=authority.server(*names, until=until_)) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path)))
        await refused(pool, Kind.UPSTREAM_TLS, cause)
        assert server.requests == []


async def test_an_authority_that_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    async with ScriptedUpstream(ready, tls=Authority(tmp_path, "other").server()) as server:
        for tls in (None, Tls(ca=authority.path)):
            pool = pool_of(Upstream("svc", [server.url], tls=tls))
            await refused(pool, Kind.UPSTREAM_TLS, "unable to get local issuer certificate")
        assert server.requests == []


async def test_tls_1_2_is_the_minimum(authority: Authority) -> None:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with ScriptedUpstream(ready, tls=context) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path)))
        assert await (await call(pool)).read(9) == b"ok"
        await pool.aclose()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with TlsService(context, OK, notify=True) as service:
        pool = pool_of(Upstream("svc", [service.url], tls=Tls(ca=authority.path)))
        await refused(pool, Kind.UPSTREAM_TLS, "PROTOCOL_VERSION")


async def test_a_service_that_speaks_no_tls(authority: Authority) -> None:
    async def rude(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await conversation.reader.read()

    async with ScriptedUpstream(rude) as server:
        pool = pool_of(Upstream("svc", [f"https://localhost:{server.port}"], tls=Tls(ca=authority.path)))
        await refused(pool, Kind.UPSTREAM_TLS, "SSLError")


async def test_a_handshake_is_within_the_time_to_connect(authority: Authority) -> None:
    left = asyncio.Event()

    async def silent(conversation: Conversation) -> None:
        try:
            await conversation.reader.read()  # the greeting
            await conversation.reader.read()
        finally:
            left.set()

    async with ScriptedUpstream(silent) as server:
        pool = pool_of(Upstream("svc", [f"https://localhost:{server.port}"], tls=Tls(ca=authority.path)))
        await refused(pool, Kind.CONNECT_TIMEOUT, "connecting to", connect=0.2)
        await left.wait()  # the connection was not left behind


async def test_another_target_is_tried(authority: Authority, tmp_path: Path) -> None:
    good, bad = authority.server(), Authority(tmp_path, "other").server()
    async with ScriptedUpstream(ready, tls=bad) as one, ScriptedUpstream(ready, tls=good) as two:
        live = LiveUpstream(Upstream("svc", [one.url, two.url], tls=Tls(ca=authority.path)), random=InOrder())
        pool, connection = await live.connect(10)
        pool.release(connection)
        assert await (await call(pool)).read(9) == b"ok"
        assert (one.requests, two.connections) == ([], 1)
        await live.aclose()


async def test_a_server_name_of_its_own(authority: Authority) -> None:
    seen: list[Any] = []
    context = authority.server("users.internal")
    context.sni_callback = lambda session, name, context: seen.append(name)
    async with ScriptedUpstream(ready, tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        pool = pool_of(Upstream("svc", [url], tls=Tls(ca=authority.path, server_name="users.internal")))
        assert await (await call(pool)).read(9) == b"ok"
        assert seen == ["users.internal"]
        assert f"host: 127.0.0.1:{server.port}".encode() in server.requests[0]
        await pool.aclose()


def test_a_root_dot_is_not_part_of_the_name() -> None:
    upstream = Upstream("svc", ["https://users.internal."])
    assert server_name(upstream, upstream.addresses[0]) == "users.internal"


@pytest.mark.parametrize("together", [False, True])
async def test_a_client_certificate(authority: Authority, tmp_path: Path, together: bool) -> None:
    certificate, key = authority.pair("gateway", "gateway.internal")
    if together:
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    seen: list[Any] = []

    async def script(conversation: Conversation) -> None:
        seen.append(conversation.writer.get_extra_info("peercert")["subjectAltName"])
        await ready(conversation)

    async with ScriptedUpstream(script, tls=authority.server(clients=True)) as server:
        tls = Tls(ca=authority.path, certificate=certificate, key=None if together else key)
        pool = pool_of(Upstream("svc", [server.url], tls=tls))
        assert await (await call(pool)).read(9) == b"ok"
        assert seen == [(("DNS", "gateway.internal"),)]
        await pool.aclose()


async def test_a_client_certificate_that_is_wanted_and_missing(authority: Authority) -> None:
    async with TlsService(authority.server(clients=True), OK, notify=True) as service:
        pool = pool_of(Upstream("svc", [service.url], tls=Tls(ca=authority.path)))
        # In TLS 1.3 the service says so only after the handshake: in place of an answer.
        with pytest.raises(UpstreamError) as caught:
            await call(pool)
        assert caught.value.fault.kind.status == 502
        assert "certificate required" in caught.value.fault.cause
        assert counts(pool) == (0, 0, 0)


async def test_any_certificate_is_accepted_only_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "limen.upstream"):
        async with ScriptedUpstream(ready, tls=Authority(tmp_path).server("elsewhere.example")) as server:
            pool = pool_of(Upstream("svc", [server.url], tls=Tls(dangerously_accept_any_certificate=True)))
            assert await (await call(pool)).read(9) == b"ok"
            await pool.aclose()
    assert "upstream svc: no certificate is verified" in caplog.text


async def test_large_bodies_both_ways(authority: Authority) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readexactly(64 * len(PIECE))
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * len(PIECE)))
        for _ in range(64):
            await conversation.say(PIECE)
        await ready(conversation)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield PIECE

    async with ScriptedUpstream(script, tls=authority.server()) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path)))
        answer = await call(pool, b"POST", body=pieces(), length=64 * len(PIECE))
        assert sum([len(part) async for part in answer]) == 64 * len(PIECE)
        assert await (await call(pool)).read(9) == b"ok"
        assert server.connections == 1
        await pool.aclose()


@pytest.mark.parametrize("late", [False, True], ids=["read at once", "read late"])
@pytest.mark.parametrize("notify", [True, False], ids=["said", "cut"])
async def test_an_answer_that_ends_with_its_connection(authority: Authority, notify: bool, late: bool) -> None:
    size = 200_000
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size
    async with TlsService(authority.server(), answer, notify=notify) as service:
        pool = pool_of(Upstream("svc", [service.url], tls=Tls(ca=authority.path)))
        received = await call(pool)
        if late:
            await asyncio.to_thread(service.over.wait)
        if notify:
            assert await received.read(size) == b"x" * size
        else:
            with pytest.raises(UpstreamError, match="upstream_closed"):
                await received.read(size)
        await until(lambda: counts(pool) == (0, 0, 0))


async def test_an_answer_with_a_length_needs_no_close_notify(authority: Authority) -> None:
    async with TlsService(authority.server(), OK, notify=False) as service:
        pool = pool_of(Upstream("svc", [service.url], tls=Tls(ca=authority.path)))
        assert await (await call(pool)).read(9) == b"ok"
        await until(lambda: counts(pool) == (0, 0, 0))


def test_files_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.pair("gateway")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for tls, message in (
        (Tls(ca=tmp_path / "none.pem"), "none.pem, cannot be read: No such file"),
        (Tls(ca=empty), "empty.pem holds no authority in PEM form"),
        (Tls(certificate=key), "gateway.key holds no certificate in PEM form"),
        (Tls(certificate=certificate), "gateway.crt holds no private key in PEM form; name the file"),
        (Tls(certificate=certificate, key=authority.pair("other")[1]), "does not belong to the first certificate"),
    ):
        with pytest.raises(ValueError, match=r"^upstream 'svc': .*" + message.replace(".", r"\.")):
            LiveUpstream(Upstream("svc", ["https://localhost"], tls=tls))
