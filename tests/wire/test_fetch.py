"""Documents that the gateway fetches for itself, over real sockets: which are accepted."""

import json
from pathlib import Path

import pytest

from calling import counts
from certificates import Authority
from limen import Limits, Timeouts, Tls, Upstream
from limen.testing import Conversation, Script, ScriptedUpstream, saying
from limen.upstream.fetch import NotFetchedError, fetch
from limen.upstream.live import LiveUpstream

PATIENT = Timeouts(connect=10, first_byte=10, idle=10, total=20)
DOCUMENT = json.dumps({"keys": []}).encode()


def answer(
    content: bytes = DOCUMENT, *lines: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json"
) -> bytes:
    head = [b"HTTP/1.1 " + status, b"content-length: %d" % len(content), *lines]
    if kind:
        head.append(b"content-type: " + kind)
    return b"\r\n".join([*head, b"", content])


def service_at(url: str, tls: Tls | None = None) -> LiveUpstream:
    return LiveUpstream(Upstream("issuer", [url], tls=tls, limits=Limits(connections=2)))


@pytest.mark.parametrize("kind", [b"application/json", b"application/jwk-set+json; charset=utf-8", b"Application/JSON"])
async def test_a_document_is_asked_for_plainly(kind: bytes) -> None:
    async with ScriptedUpstream(saying(answer(kind=kind))) as server:
        service = service_at(server.url)
        assert await fetch(service, b"/keys?v=1", timeouts=PATIENT) == DOCUMENT
        assert server.requests == [
            b"GET /keys?v=1 HTTP/1.1\r\nhost: localhost:%d\r\naccept: application/json\r\n"
            b"accept-encoding: identity\r\nuser-agent: limen\r\n\r\n" % server.port
        ]
        await service.aclose()


@pytest.mark.parametrize("kind", [b"text/plain", b"Text/Plain; charset=utf-8", b"application/octet-stream"])
async def test_a_document_that_is_kept_as_a_file_may_be_called_text(kind: bytes) -> None:
    async with ScriptedUpstream(saying(answer(DOCUMENT, b"content-encoding: Identity", kind=kind))) as server:
        service = service_at(server.url)
        assert await fetch(service, b"/keys", timeouts=PATIENT, plain_text=True) == DOCUMENT
        with pytest.raises(NotFetchedError, match="content-type is not JSON"):
            await fetch(service, b"/keys", timeouts=PATIENT)
        await service.aclose()


REFUSED = {
    "a redirect": (
        answer(b"", b"location: http://evil.example/", status=b"302 Found"),
        "302, and not 200; redirects are",
    ),
    "not found": (answer(status=b"404 Not Found"), "404, and not 200"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "204, and not 200"),
    "a part": (answer(status=b"206 Partial Content"), "206, and not 200"),
    "broken": (answer(status=b"500 Oh"), "500, and not 200"),
    "a page": (answer(kind=b"text/html"), "content-type is not JSON"),
    "no type": (answer(kind=b""), "content-type is not JSON"),
    "two types": (answer(DOCUMENT, b"content-type: text/html"), "content-type is not JSON"),
    "encoded": (answer(DOCUMENT, b"content-encoding: gzip"), "encoded although identity was asked for"),
    "too long": (answer(b"x" * 1001), "upstream_too_large: more than 1000 bytes"),
    "too long in chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"1f4\r\n%b\r\n" % (b"x" * 500) * 3
        + b"0\r\n\r\n",
        "upstream_too_large",
    ),
    "cut off": (answer(b"x" * 50)[:-1], "upstream_closed"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "upstream_protocol"),
    "nothing": (b"", "upstream_closed"),
}


@pytest.mark.parametrize(("said", "cause"), REFUSED.values(), ids=REFUSED)
async def test_documents_that_are_not_accepted(said: bytes, cause: str) -> None:
    async with ScriptedUpstream(saying(said)) as server:
        service = service_at(server.url)
        with pytest.raises(NotFetchedError, match=cause) as caught:
            await fetch(service, b"/keys", timeouts=PATIENT, limit=1000)
        status = caught.value.status
        assert status == (int(cause[:3]) if cause[0].isdigit() else status)
        # No second question, and no connection is kept busy by what was refused.
        assert len(server.requests) == 1
        assert counts(service)[1:] == (0, 0)
        await service.aclose()


async def test_a_document_of_exactly_the_limit_is_accepted() -> None:
    async with ScriptedUpstream(saying(answer(b"x" * 1000))) as server:
        service = service_at(server.url)
        assert len(await fetch(service, b"/keys", timeouts=PATIENT, limit=1000)) == 1000
        await service.aclose()


@pytest.mark.parametrize("timeouts", [Timeouts(first_byte=0.05, total=5), Timeouts(total=0.05)], ids=["silent", "late"])
async def test_a_slow_provider_is_not_waited_for(timeouts: Timeouts) -> None:
    async def silent(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.reader.read()

    async with ScriptedUpstream(silent) as server:
        service = service_at(server.url)
        with pytest.raises(NotFetchedError, match="answer_timeout"):
            await fetch(service, b"/keys", timeouts=timeouts)
        assert counts(service) == (0, 0, 0)
        await service.aclose()


async def test_a_provider_that_refuses_connections() -> None:
    async with ScriptedUpstream(saying()) as server:
        url = server.url
    service = service_at(url)
    with pytest.raises(NotFetchedError, match="upstream_refused"):
        await fetch(service, b"/keys", timeouts=PATIENT)
    await service.aclose()


async def test_a_kept_connection_that_died_is_replaced() -> None:
    def dying(after: int) -> Script:
        async def script(conversation: Conversation) -> None:
            for _ in range(after):
                await conversation.request()
                await conversation.say(answer())
            await conversation.request()
            conversation.reset()

        return script

    async with ScriptedUpstream(dying(1), dying(1)) as server:
        service = service_at(server.url)
        for _ in range(2):
            assert await fetch(service, b"/keys", timeouts=PATIENT) == DOCUMENT
        assert (server.connections, len(server.requests)) == (2, 3)
        await service.aclose()
    async with ScriptedUpstream(dying(0)) as server:
        service = service_at(server.url)
        with pytest.raises(NotFetchedError, match="upstream_closed"):
            await fetch(service, b"/keys", timeouts=PATIENT)
        # One that was never any good is not tried again.
        assert server.connections == 1
        await service.aclose()


async def test_over_tls_the_provider_has_to_prove_itself(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with ScriptedUpstream(saying(answer()), tls=authority.server()) as server:
        service = service_at(server.url, Tls(ca=authority.path))
        assert await fetch(service, b"/keys", timeouts=PATIENT) == DOCUMENT
        await service.aclose()
        stranger = service_at(server.url)
        with pytest.raises(NotFetchedError, match="upstream_tls"):
            await fetch(stranger, b"/keys", timeouts=PATIENT)
        assert len(server.requests) == 1
