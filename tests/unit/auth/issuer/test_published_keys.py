"""The keys of an outside issuer: who waits for a fetch, how often one is made, and what a failure means."""

import asyncio
from typing import Any

import pytest

from issuing import DEAD, URL, Live, describe_result, key, key_set, ready, seconds, token
from limen.auth.issuer import live as module
from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.live import IssuerVerifier
from limen.errors import Fault
from tokens import NOW


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever level the tests before have left behind."""
    caplog.set_level("INFO", "limen.identity")


OLD, NEW, RSA = key("old"), key("new"), key("rsa", "RS256")
SET = key_set(OLD, RSA)


async def test_a_new_key_is_asked_for_once_by_however_many() -> None:
    live = await ready(SET, OLD)
    live.clock.now += 11
    live.source.content = key_set(NEW)
    live.source.free.clear()
    waiting = [asyncio.ensure_future(live.later(token(NEW, sub=f"u{number}"))) for number in range(100)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # One of those who wait leaves, the one who was first.
    waiting[0].cancel()
    # What is known waits for nothing meanwhile.
    assert describe_result(live.at_once(token(OLD))) == "idp.example:ann"
    live.source.free.set()
    found = await asyncio.gather(*waiting[1:])
    assert [describe_result(one) for one in found] == [f"idp.example:u{number}" for number in range(1, 100)]
    assert live.source.asked == 2
    assert waiting[0].cancelled()


async def test_keys_that_are_withdrawn_end_what_they_signed() -> None:
    live = await ready(SET, OLD)
    made = token(OLD)
    live.at_once(made)
    live.clock.now += 11
    live.source.content = key_set(NEW, RSA)
    assert describe_result(await live.later(token(NEW))) == "idp.example:ann"
    assert live.issuer.recall(made, live.clock.now) is None
    assert describe_result(live.at_once(made)) == "token_corrupted"


async def test_made_up_keys_do_not_hammer_the_issuer() -> None:
    live = await ready(SET, OLD)
    asked: list[int] = []
    for _ in range(3):
        live.clock.now += 10
        assert describe_result(await live.later(token(NEW))) == "token_corrupted"
        for number in range(200):
            assert describe_result(live.at_once(token(NEW, {"kid": f"made up {number}"}))) == "token_corrupted"
        asked.append(live.source.asked)
    assert asked == [2, 3, 4]


async def test_a_token_without_kid_asks_when_its_only_key_does_not_fit() -> None:
    old, new = key(None), key(None)
    live = Live(key_set(old))
    assert describe_result(await live.later(token(old))) == "idp.example:ann"
    assert describe_result(live.at_once(token(old, sub="b"))) == "idp.example:b"
    live.source.content = key_set(new)
    assert describe_result(live.at_once(token(new))) == "token_corrupted"  # asked just now
    live.clock.now += 10
    assert describe_result(await live.later(token(new))) == "idp.example:ann"


async def test_old_keys_are_renewed_without_anybody_waiting() -> None:
    live = await ready(SET, OLD)
    made = token(OLD, exp=NOW + 9000)
    live.at_once(made)
    live.clock.now += 299
    assert describe_result(live.at_once(made)) == "idp.example:ann"
    await live.settled()
    assert live.source.asked == 1
    live.clock.now += 1
    live.source.content = key_set(OLD, NEW)
    # A token that is remembered begins it, too; a hundred begin it once.
    for _ in range(100):
        assert describe_result(live.at_once(made)) == "idp.example:ann"
    await live.settled()
    assert live.source.asked == 2
    assert describe_result(live.at_once(token(NEW, exp=NOW + 9000))) == "idp.example:ann"


async def test_after_a_long_silence_an_old_key_is_not_believed_unasked() -> None:
    live = await ready(SET, OLD)
    live.clock.now += 600
    live.source.content = key_set(NEW)
    assert describe_result(await live.later(token(OLD, exp=NOW + 9000))) == "token_corrupted"
    live.clock.now += 600
    live.source.content = DEAD
    assert describe_result(await live.later(token(NEW, exp=NOW + 9000))) == "idp.example:ann"


async def test_a_clock_that_is_put_back_does_not_stop_questions() -> None:
    live = await ready(SET, OLD)
    live.source.content = key_set(OLD, NEW)
    live.clock.now -= 5000
    assert describe_result(await live.later(token(NEW))) == "idp.example:ann"


# --- trouble ---


async def test_no_keys_at_all_is_503_and_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    live = Live(DEAD)
    found = await live.later(token(OLD))
    assert seconds(found) == 10
    # The log says which issuer, and why; the caller is told neither.
    assert isinstance(found, Fault)
    assert (found.cause, found.detail) == ("issuer idp.example: nobody answers", "")
    live.clock.now += 4
    for _ in range(100):
        assert seconds(live.at_once(token(OLD))) == 6
    assert live.source.asked == 1
    live.clock.now += 6
    live.source.content = SET
    assert describe_result(await live.later(token(OLD))) == "idp.example:ann"
    assert [record.getMessage() for record in caplog.records] == [
        "issuer idp.example: its keys cannot be had, and none is known, so its callers get 503: nobody answers",
        "issuer idp.example: its keys can be had again",
    ]


async def test_a_dead_issuer_stops_nobody_who_is_known(caplog: pytest.LogCaptureFixture) -> None:
    live = await ready(SET, OLD)
    long: dict[str, Any] = {"exp": NOW + 200_000}
    remembered = token(OLD, **long)
    live.at_once(remembered)
    live.source.content = DEAD
    for number in range(20):
        live.clock.now += 301
        assert describe_result(live.at_once(remembered)) == "idp.example:ann"
        await live.settled()
        assert describe_result(live.at_once(token(OLD, sub=f"u{number}", **long))) == f"idp.example:u{number}"
        # Nobody can tell whether this key exists: not the caller's fault.
        assert seconds(live.at_once(token(NEW, **long))) == 10
    assert live.source.asked == 21
    # It is told once, not each time.
    assert len(caplog.records) == 1
    assert repr(live.issuer) == "<Issuer idp.example in trouble 2 keys 22/4096 cached>"

    live.clock.now = NOW + 86_399
    assert describe_result(live.at_once(token(OLD, sub="late", **long))) == "idp.example:late"
    await live.settled()
    live.clock.now = NOW + 86_410
    # Too old to be believed of anybody new; who is remembered stays.
    assert seconds(await live.later(token(OLD, sub="later", **long))) == 10
    assert describe_result(live.at_once(remembered)) == "idp.example:ann"


@pytest.mark.parametrize(
    "content",
    [b"garbage", b'{"keys": []}', TimeoutError(), RuntimeError("a mistake"), key_set({"kty": "oct", "k": "AAAA"})],
)
async def test_a_set_that_cannot_be_used_changes_nothing(content: Any, caplog: pytest.LogCaptureFixture) -> None:
    live = await ready(SET, OLD)
    live.clock.now += 11
    live.source.content = content
    assert seconds(await live.later(token(NEW))) == 10
    assert describe_result(live.at_once(token(OLD, sub="b"))) == "idp.example:b"
    assert "those known serve on" in caplog.text
    live.source.content = key_set(NEW)
    live.clock.now += 11
    assert describe_result(await live.later(token(NEW))) == "idp.example:ann"


async def test_an_unsound_key_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    live = await ready(key_set(OLD, OLD), OLD)
    for _ in range(3):
        live.clock.now += 300
        live.issuer.recall(b"", live.clock.now)
        await live.settled()
    assert live.source.asked == 4
    assert [record.getMessage() for record in caplog.records] == [
        "issuer idp.example: key 2 of the set is not used: another one before it has the same kid"
    ]


async def test_who_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    live = Live(SET)
    live.source.free.clear()
    waiting = [asyncio.ensure_future(live.later(token(OLD, sub=f"u{number}"))) for number in range(5)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [seconds(one.result()) for one in done] == [1] * len(done)
    live.source.free.set()
    codes = [describe_result(one) for one in await asyncio.gather(*waiting)]
    assert sorted(codes) == ["identity_unavailable"] * 2 + ["idp.example:u0", "idp.example:u1", "idp.example:u2"]
    assert describe_result(live.at_once(token(OLD))) == "idp.example:ann"


async def test_closing_ends_the_fetch_and_tells_those_who_wait() -> None:
    live = Live(SET)
    live.source.free.clear()
    waiting = asyncio.ensure_future(live.later(token(OLD)))
    await live.settled()
    await live.issuer.aclose()
    assert live.source.closed
    assert seconds(await waiting) >= 1
    assert seconds(live.at_once(token(OLD))) >= 1
    live.clock.now += 11
    assert seconds(await live.later(token(OLD))) >= 1
    assert live.source.asked == 1
    await asyncio.sleep(0)
    assert not any("PublishedKeys" in repr(task) for task in asyncio.all_tasks())


async def test_closing_what_was_never_used() -> None:
    live = IssuerVerifier(Issuer(URL, audience="shop"))
    assert repr(live) == "<Issuer idp.example well 0 keys 0/4096 cached>"
    await live.aclose()
