"""One check over real sockets and TLS: who is trusted, and what is left of it."""

import asyncio
import time
from pathlib import Path

import pytest

from certificates import Authority
from limen import Health, Tls, Upstream
from limen.testing import ScriptedTarget, Stops, answer, saying
from limen.upstream.health_check import check_target
from limen.upstream.network import Sockets
from limen.upstream.tls_context import UpstreamTlsContext
from serving import until

HEALTH = Health("/readyz", timeout=5.0)


async def checked(upstream: Upstream, health: Health = HEALTH) -> str:
    return await check_target(upstream, health, upstream.addresses[0], Sockets(), UpstreamTlsContext(upstream).context)


async def test_a_check_uses_the_tls_of_its_upstream(authority: Authority) -> None:
    async with ScriptedTarget(tls=authority.server()) as target:
        assert await checked(Upstream("svc", [target.url], tls=Tls(ca=authority.path))) == ""
        assert target.requests[0].startswith(b"GET /readyz HTTP/1.1\r\n")
    async with ScriptedTarget(tls=authority.server("elsewhere.example")) as target:
        problem = await checked(Upstream("svc", [target.url], tls=Tls(ca=authority.path)))
        assert problem.startswith(f"TLS with {target.url}: SSLCertVerificationError: Hostname mismatch")
        assert target.count() == 0


async def test_a_check_closes_its_connection() -> None:
    async with ScriptedTarget(saying(answer(b"ok"))) as target:
        upstream = Upstream("svc", [target.url])
        assert [await checked(upstream) for _ in range(3)] == [""] * 3
        assert target.connections == 3
        await until(lambda: "0 connections" in repr(target.listener))
    assert (await checked(upstream)).startswith(f"connecting to {target.url}: ")


@pytest.mark.parametrize("stops", ["answering", "reading"])
async def test_a_frozen_target_is_given_up(stops: Stops) -> None:
    async with ScriptedTarget() as target:
        target.freeze(stops)
        problem = await checked(Upstream("svc", [target.url]), Health("/", timeout=0.05))
        assert problem == "no answer within 0.05 s"
        target.thaw()


async def test_an_answer_that_came_while_the_loop_was_blocked_came_in_time() -> None:
    async with ScriptedTarget() as target:

        async def blocked() -> str:
            check = asyncio.ensure_future(checked(Upstream("svc", [target.url]), Health("/", timeout=0.1)))
            await until(lambda: target.count() == 1)
            time.sleep(0.2)  # noqa: ASYNC251 - that is the point
            return await check

        assert await blocked() == ""


async def test_a_socket_in_the_file_system_is_checked(tmp_path: Path) -> None:
    path = f"{tmp_path}/svc.sock"
    async with ScriptedTarget(path=path) as target:
        assert await checked(Upstream("svc", [target.url])) == ""
