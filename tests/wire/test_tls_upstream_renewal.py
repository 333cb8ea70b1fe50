"""TLS files of a service that change while the gateway runs: new connections use them, open ones go on."""

import logging
from pathlib import Path

import pytest

from calling import call, counts, pool_of
from certificates import Authority
from limen import Tls, Upstream
from limen.errors import Kind
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream import tls_context
from limen.upstream.error import UpstreamError
from limen.upstream.tls_context import LOOK, REST, UpstreamTlsContext
from services import OK, ready


class Clocks:
    """Both of a ``UpstreamTlsContext``; ``seconds`` have passed since the files were written."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def now(self) -> float:
        return self.begun + self.seconds


def replace(path: Path, content: bytes) -> None:
    """Write a file as deployments do: beside it, then in its place."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def watched(tls: Tls) -> tuple[UpstreamTlsContext, Clocks]:
    assert tls.ca is not None
    clocks = Clocks(Path(tls.ca).stat().st_mtime)
    return UpstreamTlsContext(
        Upstream("svc", ["https://localhost:1"], tls=tls), clock=clocks.clock, now=clocks.now
    ), clocks


async def test_a_new_authority_is_believed_and_open_connections_stay(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_context, "LOOK", 0.0)
    monkeypatch.setattr(tls_context, "REST", 0.0)
    other = Authority(tmp_path, "other")
    async with (
        ScriptedUpstream(ready, tls=authority.server()) as old,
        ScriptedUpstream(ready, tls=other.server()) as new,
    ):
        before = pool_of(Upstream("svc", [old.url], tls=Tls(ca=authority.path)))
        after = pool_of(Upstream("svc", [new.url], tls=Tls(ca=authority.path)))
        assert await (await call(before)).read(9) == b"ok"
        with pytest.raises(UpstreamError) as caught:
            await call(after)
        assert caught.value.fault.kind is Kind.UPSTREAM_TLS
        replace(authority.path, other.path.read_bytes())
        assert await (await call(after)).read(9) == b"ok"
        assert await (await call(before)).read(9) == b"ok"
        assert (old.connections, counts(before)) == (1, (1, 0, 0))
        await before.aclose()
        await after.aclose()


async def test_a_new_certificate_of_the_gateways_own_is_shown(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_context, "LOOK", 0.0)
    monkeypatch.setattr(tls_context, "REST", 0.0)
    seen: list[str] = []

    async def script(conversation: Conversation) -> None:
        session = conversation.writer.get_extra_info("ssl_object")
        seen.append(session.getpeercert()["subjectAltName"][0][1])
        await conversation.request()
        await conversation.say(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    certificate, key = authority.pair("own", "first.example")
    async with ScriptedUpstream(script, tls=authority.server(clients=True)) as server:
        pool = pool_of(Upstream("svc", [server.url], tls=Tls(ca=authority.path, certificate=certificate, key=key)))
        assert await (await call(pool)).read(9) == b"ok"
        authority.pair("own", "second.example")
        assert await (await call(pool)).read(9) == b"ok"
        assert seen == ["first.example", "second.example"]
        await pool.aclose()


def test_unusable_files_are_logged_once_and_change_nothing(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    good = authority.path.read_bytes()
    made, clocks = watched(Tls(ca=authority.path))
    first = made.context()
    replace(authority.path, b"nothing\n")
    with caplog.at_level(logging.INFO, "limen.upstream"):
        for _ in range(3):
            clocks.seconds += 10
            assert made.context() is first
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("upstream svc: TLS files have changed and cannot be used, those before stay in use: ")
        assert "holds no authority" in line
        authority.path.unlink()
        clocks.seconds += 10
        assert made.context() is first
        assert "cannot be read" in caplog.records[-1].getMessage()
        replace(authority.path, good)
        clocks.seconds += 10
        assert made.context() is not first
        assert caplog.records[-1].getMessage() == "upstream svc: TLS files have changed, new connections use them"


def test_files_are_not_looked_at_for_each_connection_and_must_be_at_rest(authority: Authority) -> None:
    made, clocks = watched(Tls(ca=authority.path))
    first = made.context()
    replace(authority.path, authority.path.read_bytes())
    clocks.begun = authority.path.stat().st_mtime - LOOK
    clocks.seconds = LOOK / 2
    assert made.context() is first, "looked at too early"
    clocks.seconds = LOOK + REST / 2
    assert made.context() is first, "written half a second ago"
    clocks.seconds += LOOK
    assert made.context() is not first


def test_a_clock_that_was_set_back_hinders_nothing(authority: Authority) -> None:
    made, clocks = watched(Tls(ca=authority.path))
    first = made.context()
    replace(authority.path, authority.path.read_bytes())
    clocks.begun -= 86400
    clocks.seconds = LOOK
    assert made.context() is not first


def test_without_tls_there_is_nothing_to_renew() -> None:
    assert UpstreamTlsContext(Upstream("svc", ["http://localhost:1"])).context() is None
