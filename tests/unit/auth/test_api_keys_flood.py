"""A flood of made-up API keys: the questions that are asked, the answers that are cached, and who waits. No sockets."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from limen import Limits, Timeouts, Upstream
from limen.auth import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.identify import IdentifyResult
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.upstream.error import UpstreamError
from limen.upstream.live import LiveUpstream

NOW = 1_000_000.0
THOUSANDS = 5000


class Service:
    """The service that knows the keys: it answers about ``good`` ones at once, and about others once ``open`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, connections: int = 128, **options: Any) -> None:
        upstream = Upstream("users", ["http://127.0.0.1:1"], limits=Limits(connections=connections))
        self.now = NOW
        self.good = {b"good-%d" % number for number in range(10)}
        self.asked: list[bytes] = []
        self.at_once = self.most_at_once = 0
        self.open = asyncio.Event()
        self.fails = False
        self.keys = ApiKeyVerifier(ApiKeys(upstream, **options), LiveUpstream(upstream), lambda: self.now)
        monkeypatch.setattr(self.keys, "_introspect", self.introspect)

    async def introspect(self, key: bytes) -> object:
        self.asked.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.fails:
                raise UpstreamError(Fault(Kind.UPSTREAM_REFUSED))
            if key not in self.good:
                await self.open.wait()
            return _answer(key in self.good)
        finally:
            self.at_once -= 1

    def send(self, key: bytes, client: str = "192.0.2.1") -> IdentifyResult | Awaitable[IdentifyResult]:
        return self.keys.verify(key, self.now, client.encode())

    async def result(self, key: bytes, client: str = "192.0.2.1") -> IdentifyResult:
        found = self.send(key, client)
        return found if isinstance(found, Principal | Fault) else await found

    def flood(self, count: int = THOUSANDS, client: str = "198.51.100.9") -> list[Awaitable[IdentifyResult]]:
        """Send so many made-up keys; return the results that wait."""
        found = [self.send(b"bad-%d" % number, client) for number in range(count)]
        refused = [one for one in found if isinstance(one, Principal | Fault)]
        assert all(isinstance(one, Fault) and one.kind is Kind.IDENTITY_UNAVAILABLE for one in refused)
        return [one for one in found if not isinstance(one, Principal | Fault)]


def _answer(active: bool) -> object:
    class Answer:
        id, owner, roles, scopes, expires_at = 1, 7, frozenset[str](), frozenset[str](), None

    found: Any = Answer()
    found.active = active
    return found


async def test_good_keys_are_answered_while_a_flood_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was seen, one whose time is over, and one that nobody has seen; the flood has a few questions open."""
    service = Service(monkeypatch)
    assert isinstance(await service.result(b"good-1"), Principal)
    assert isinstance(await service.result(b"good-2"), Principal)
    service.now += 31
    assert isinstance(await service.result(b"good-2"), Principal)
    waiting = service.flood()
    assert len(waiting) == 16 + 1024
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del service.asked[:]
    for key in (b"good-1", b"good-2", b"good-3"):
        assert isinstance(await service.result(key), Principal)
    assert service.asked == [b"good-1", b"good-3"]
    assert service.at_once == 16  # a quarter: half of what keys that nobody has seen may have
    service.open.set()
    found = [await one for one in waiting]
    kinds = [one.kind for one in found if isinstance(one, Fault)]
    assert kinds == [Kind.API_KEY_INVALID] * len(waiting)
    assert len(service.asked) == 2 + 1024
    assert service.most_at_once <= 64
    await service.keys.aclose()


async def test_what_was_good_is_not_pushed_out_by_what_was_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch, cache=100)
    service.open.set()
    assert isinstance(await service.result(b"good-1"), Principal)
    for number in range(1000):
        found = await service.result(b"bad-%d" % number)
        assert isinstance(found, Fault)
        assert found.kind is Kind.API_KEY_INVALID
    del service.asked[:]
    assert isinstance(service.send(b"good-1"), Principal)
    assert isinstance(service.send(b"bad-999"), Fault)  # it is remembered as well, among as many
    assert service.asked == []
    assert repr(service.keys) == "<ApiKeys users 1 good, 100 others, of 100>"


async def test_a_key_in_use_is_asked_about_again_before_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is believed meanwhile, and asked about once; what is answered counts."""
    service = Service(monkeypatch)
    assert isinstance(await service.result(b"good-1"), Principal)
    service.now += 22
    assert isinstance(service.send(b"good-1"), Principal)
    await asyncio.sleep(0)
    assert len(service.asked) == 1
    service.now += 1
    for _ in range(10):
        assert isinstance(service.send(b"good-1"), Principal)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(service.asked) == 2
    service.now += 25
    service.good.clear()
    service.open.set()
    assert isinstance(service.send(b"good-1"), Principal)
    for _ in range(5):
        await asyncio.sleep(0)
    found = service.send(b"good-1")
    assert isinstance(found, Fault)
    assert found.kind is Kind.API_KEY_INVALID
    assert len(service.asked) == 3


async def test_a_service_that_fails_changes_nothing_before_its_time_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(monkeypatch)
    assert isinstance(await service.result(b"good-1"), Principal)
    service.fails = True
    service.now += 25
    with caplog.at_level(logging.WARNING, "limen.identity"):
        for _ in range(100):
            assert isinstance(service.send(b"good-1"), Principal)
            await asyncio.sleep(0)
        assert len(service.asked) == 2
        for number in range(100):
            found = await service.result(b"bad-%d" % number)
            assert isinstance(found, Fault)
            assert found.kind is Kind.IDENTITY_UNAVAILABLE
        service.now += 5
        assert isinstance(await service.result(b"good-1"), Fault)
        service.fails = False
        assert isinstance(await service.result(b"good-1"), Principal)
    assert [record.getMessage() for record in caplog.records] == [
        "API keys: users does not answer: upstream_refused",
        "API keys: users answers again",
    ]


async def test_unseen_keys_leave_the_service_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of its connections is all that they take, and a network of IPv6 counts as one client."""
    service = Service(monkeypatch, connections=16)
    for number in range(100):
        service.flood(10, f"2001:db8::{number:x}")
    for _ in range(3):
        await asyncio.sleep(0)
    assert service.at_once == 2
    service.send(b"one-of-an-unknown-client", "unknown")
    service.send(b"other", "203.0.113.5")
    for _ in range(3):
        await asyncio.sleep(0)
    assert service.at_once == 4
    await service.keys.aclose()


async def test_nobody_waits_longer_than_an_answer_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch, timeouts=Timeouts(connect=1, first_byte=0.001, idle=1, total=1))
    waiting = service.flood(100)
    found = [await one for one in waiting[16:]]
    assert [one.kind for one in found if isinstance(one, Fault)] == [Kind.IDENTITY_UNAVAILABLE] * 84
    assert len(service.asked) == 16
    await service.keys.aclose()
