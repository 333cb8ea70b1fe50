"""Tokens of an outside issuer on each engine: a real provider in its own process, over https, rotated, broken and killed."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from engines import ONE_ENGINE
from limen import Gateway, Timeouts, Tls, Upstream, signed_in
from limen.auth import Jwt, issue
from limen.auth.issuer.declared import Issuer
from limen.testing import Conversation, ScriptedUpstream
from oidc_process import DISCOVERY, ProviderProcess, provider_process
from serving import Served, serving
from tokens import SECRET

INSIDE = Jwt(SECRET)
QUICK = 0.05
"""Seconds between questions where a test has to see several; tests that count them use an hour."""


@pytest.fixture
def provider(authority: Authority) -> Generator[ProviderProcess]:
    with provider_process(authority) as running:
        yield running


async def service(conversation: Conversation) -> None:
    while True:
        head = await conversation.request()
        who = next(line for line in head.split(b"\r\n") if line.startswith(b"request-user-id: "))
        said = who.removeprefix(b"request-user-id: ")
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))


@asynccontextmanager
async def gateway(authority: Authority, *providers: ProviderProcess, **options: Any) -> AsyncGenerator[Served]:
    """Serve a gateway for callers of its own and those of ``providers``."""
    patient = Timeouts(connect=10, first_byte=10, idle=10, total=20)
    options = {
        "audience": "shop",
        "tls": Tls(ca=authority.path),
        "timeouts": patient,
        "floor": 3600,
        "refresh": 3600,
    } | options
    outsiders = [Issuer(one.url, name=f"partner{number}", **options) for number, one in enumerate(providers)]
    async with ScriptedUpstream(service) as upstream:
        app = Gateway(auth=[INSIDE, *outsiders])
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=signed_in)
        async with serving(app) as served:
            yield served


async def ask(served: Served, token: str) -> tuple[int, str]:
    """Return the status, and who the service was told is calling, or the code of the refusal."""
    answer = await served.client.get("/x", headers={"authorization": f"Bearer {token}"})
    if answer.status_code == 200:
        return 200, answer.text
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    else:
        assert int(answer.headers["retry-after"]) > 0
    return answer.status_code, answer.json()["code"]


async def test_tokens_of_an_outside_issuer_are_accepted(authority: Authority, provider: ProviderProcess) -> None:
    with provider_process(authority, "second") as second:
        async with gateway(authority, provider, second) as served:
            assert await ask(served, await provider.token()) == (200, "partner0:ann")
            assert await ask(served, await provider.token("7", algorithm="ES256")) == (200, "partner0:7")
            assert await ask(served, await second.token()) == (200, "partner1:ann")
            assert await ask(served, issue(INSIDE, 7, "admin")) == (200, "7")
            assert [await one.asked() for one in (provider, second)] == [1, 1]
            # Nobody speaks for another.
            forged = await second.token(claims={"iss": provider.url})
            assert await ask(served, forged) == (401, "token_corrupted")


async def test_tokens_that_are_not_for_this_gateway_are_refused(
    authority: Authority, provider: ProviderProcess
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"aud": "other"}, "token_corrupted"),
        ({"aud": None}, "token_corrupted"),
        ({"iss": "https://elsewhere.example"}, "token_corrupted"),
        ({"iss": None}, "token_corrupted"),
        ({"exp": 1_000_000_000}, "token_expired"),
        ({"exp": None}, "token_corrupted"),
        ({"sub": None}, "token_corrupted"),
    ]
    async with gateway(authority, provider) as served:
        for claims, code in wrong:
            assert await ask(served, await provider.token(claims=claims)) == (401, code)
        # None of it was worth a question.
        assert await provider.asked() == 0
        assert await ask(served, await provider.token()) == (200, "partner0:ann")
        for claims, code in wrong:
            assert await ask(served, await provider.token(claims=claims)) == (401, code)


@ONE_ENGINE
async def test_rotated_keys_need_no_restart(authority: Authority, provider: ProviderProcess) -> None:
    async with gateway(authority, provider, floor=QUICK) as served:
        before = await provider.token()
        assert (await ask(served, before))[0] == 200
        await provider.rotate()
        after = await provider.token("ben")
        # Within the floor it is refused unasked; then it is asked for.
        found = await ask(served, after)
        while found[0] != 200:
            assert found == (401, "token_corrupted")
            found = await ask(served, after)
        assert found == (200, "partner0:ben")
        # The provider has withdrawn the key: what it signed ends here, too.
        assert await ask(served, before) == (401, "token_corrupted")


@ONE_ENGINE
async def test_known_callers_are_served_while_the_provider_is_down(
    authority: Authority, provider: ProviderProcess
) -> None:
    async with gateway(authority, provider, floor=QUICK) as served:
        remembered, unused = await provider.token("ann"), await provider.token("ben")
        assert (await ask(served, remembered))[0] == 200
        await provider.rotate()
        unknown = await provider.token("eve")
        provider.kill()
        found = await ask(served, unknown)
        while found == (401, "token_corrupted"):  # within the floor
            found = await ask(served, unknown)
        assert found == (503, "identity_unavailable")
        for _ in range(3):
            assert await ask(served, remembered) == (200, "partner0:ann")
            assert await ask(served, unused) == (200, "partner0:ben")
            assert await ask(served, issue(INSIDE, 7, "admin")) == (200, "7")
        provider.start()
        revived = await provider.token("ann")
        while (found := await ask(served, revived))[0] == 503:
            pass
        assert found == (200, "partner0:ann")


async def test_a_provider_that_was_never_reachable_is_503(authority: Authority, provider: ProviderProcess) -> None:
    token = await provider.token()
    provider.kill()
    async with gateway(authority, provider) as served:
        for _ in range(3):
            assert await ask(served, token) == (503, "identity_unavailable")
        assert await ask(served, issue(INSIDE, 7, "admin")) == (200, "7")


async def test_a_hundred_requests_at_once_fetch_the_keys_once(authority: Authority, provider: ProviderProcess) -> None:
    async with gateway(authority, provider) as served:
        tokens = await provider.tokens([f"u{number}" for number in range(100)])
        await provider.mood("held")
        asking = [asyncio.create_task(ask(served, token)) for token in tokens]
        while not await provider.asked():
            pass
        # One of those who wait leaves; the others hear nothing of it.
        asking[0].cancel()
        # Somebody else is served meanwhile.
        assert await ask(served, issue(INSIDE, 7, "admin")) == (200, "7")
        await provider.free()
        found = await asyncio.gather(*asking[1:])
        assert found == [(200, f"partner0:u{number}") for number in range(1, 100)]
        assert await provider.asked() == 1
        assert await provider.asked(DISCOVERY) == 1


@ONE_ENGINE
async def test_a_flood_of_made_up_keys_fetches_no_more_often(authority: Authority, provider: ProviderProcess) -> None:
    async with gateway(authority, provider) as served:
        known = await provider.token()
        assert (await ask(served, known))[0] == 200
        await provider.rotate()
        made_up = await provider.tokens([f"u{number}" for number in range(20)])
        for _ in range(5):
            found = await asyncio.gather(*(ask(served, token) for token in made_up))
            assert set(found) == {(401, "token_corrupted")}
        assert await provider.asked() == 1
        assert await ask(served, known) == (200, "partner0:ann")


@ONE_ENGINE
async def test_bad_documents_of_a_provider_change_nothing(authority: Authority, provider: ProviderProcess) -> None:
    for mood in ("garbage", "page", "empty", "huge", "error", "redirect"):
        async with gateway(authority, provider, floor=QUICK) as served:
            await provider.mood(mood)
            token = await provider.token()
            assert await ask(served, token) == (503, "identity_unavailable"), mood
            await provider.mood("")
            while (found := await ask(served, token))[0] == 503:
                pass
            assert found == (200, "partner0:ann"), mood
            await provider.mood(mood)
            asked = await provider.asked()
            await provider.rotate()
            unknown = await provider.token("eve")
            while (found := await ask(served, unknown))[0] == 401:
                pass
            assert found == (503, "identity_unavailable"), mood
            assert await provider.asked() > asked
            assert await ask(served, token) == (200, "partner0:ann"), mood


@ONE_ENGINE
async def test_a_provider_with_an_untrusted_certificate_is_not_asked(
    authority: Authority, provider: ProviderProcess, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    async with gateway(other, provider) as served:
        assert await ask(served, await provider.token()) == (503, "identity_unavailable")
        assert await provider.asked(DISCOVERY) == 0


@ONE_ENGINE
async def test_known_callers_do_not_wait_for_a_slow_provider(authority: Authority, provider: ProviderProcess) -> None:
    endless = Timeouts(connect=100, first_byte=100, idle=100, total=100)
    async with gateway(authority, provider, refresh=2, floor=QUICK, timeouts=endless) as served:
        known, *others = await provider.tokens(["ann", "u0", "u1", "u2"])
        assert (await ask(served, known))[0] == 200
        await provider.mood("held")
        asked = await provider.asked()
        while await provider.asked() == asked:
            # Once they are old, the keys are renewed in the background.
            assert await ask(served, known) == (200, "partner0:ann")
        for number, token in enumerate(others):
            assert await ask(served, token) == (200, f"partner0:u{number}")
