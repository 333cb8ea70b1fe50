"""A fleet on real sockets, behind a gateway; and targets on a Unix socket and with TLS."""

from pathlib import Path

from calling import call, pool_for, pool_of
from certificates import Authority
from limen import Gateway, Tls, Upstream, anyone
from limen.testing import Fleet, ScriptedTarget, answer, saying
from serving import serving


async def test_the_targets_of_one_upstream_and_what_each_got() -> None:
    async with Fleet(2) as fleet:
        for number, target in enumerate(fleet, 1):
            target.behave(saying(answer(number)))
        app = Gateway()
        app.forward("/{path:path}", upstream=Upstream("orders", fleet.urls), allow=anyone)
        async with serving(app) as served:
            await fleet[1].kill()
            for _ in range(5):
                assert (await served.client.get("/a")).json() == 1
            assert fleet.counts() == [5, 0]
            urls = fleet.urls
            await fleet[1].restart()
            assert fleet.urls == urls
            answers = {(await served.client.get("/b")).json() for _ in range(5)}
            assert answers <= {1, 2}
            assert sum(fleet.counts("/b")) == 5


async def test_a_unix_socket_that_was_away(tmp_path: Path) -> None:
    path = str(tmp_path / "orders.sock")
    async with ScriptedTarget(saying(answer(b"ok")), path=path) as target:
        assert target.url == f"unix:{path}"
        pool = pool_for(target.url)
        assert await (await call(pool)).read(9) == b"ok"
        await target.kill()
        await target.restart()
        assert await (await call(pool)).read(9) == b"ok"
        await pool.aclose()


async def test_a_target_with_tls_can_be_frozen(authority: Authority) -> None:
    async with ScriptedTarget(saying(answer(b"ok")), tls=authority.server("localhost")) as target:
        pool = pool_of(Upstream("svc", [target.url], tls=Tls(ca=authority.path)))
        assert await (await call(pool)).read(9) == b"ok"
        target.freeze("reading")
        target.thaw()
        assert await (await call(pool)).read(9) == b"ok"
        await pool.aclose()
        assert (target.connections, target.count()) == (1, 2)
