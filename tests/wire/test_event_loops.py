"""One gateway in several event loops, one after another and at once, with and without a lifespan: nothing is left behind."""

import asyncio
import gc
import http.server
import logging
import threading
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakSet

import httpx2
import pytest
import uvloop
from starlette.testclient import TestClient

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt, Revocations, issue
from limen.policies import Edits, Headers
from limen.runtime.revocation_relay import RevocationRelay
from limen.testing import snapshot

SECRET = "a-key-for-this-test-only-0123456789abcdef"
JWT = Jwt(SECRET)


class Service(http.server.ThreadingHTTPServer):
    """A service in threads of its own, which keeps connections; ``addresses`` are those that connected."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.addresses: set[object] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers ``"here"``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Service)
        self.server.addresses.add(self.client_address)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b'"here"')

    def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        del args


@pytest.fixture
def service() -> Generator[Service]:
    with Service() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def nothing_left(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Fail on whatever is collected unclosed, and on what asyncio logs about tasks that nobody ended."""
    gc.freeze()  # what is there already need not be looked through each time
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    gc.unfreeze()
    assert [str(one.message) for one in caught] == []
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def gateway(service: Service) -> Gateway:
    app = Gateway(auth=JWT, revocations=Revocations())
    upstream = Upstream("svc", [service.url])

    @app.get("/x", upstream=upstream, allow=anyone)
    def x() -> str: ...

    @app.get("/mine", upstream=upstream, allow=signed_in)
    def mine() -> str: ...

    del x, mine
    return app


async def ask(app: Gateway, count: int = 1) -> list[int]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://t") as client:
        return [(await client.get("/x")).status_code for _ in range(count)]


def test_a_test_client_without_with_asks_again_and_again(service: Service) -> None:
    client = TestClient(gateway(service))
    assert [client.get("/x").json() for _ in range(3)] == ["here"] * 3


def test_a_test_client_with_with_keeps_its_connection(service: Service) -> None:
    app = gateway(service)
    for rounds in (1, 2):
        with TestClient(app) as client:
            assert [client.get("/x").status_code for _ in range(3)] == [200] * 3
            assert snapshot(app).upstreams[0].idle == 1
        assert len(service.addresses) == rounds


def test_with_and_without_in_turn_and_within_each_other(service: Service) -> None:
    app = gateway(service)
    plain = TestClient(app)
    assert plain.get("/x").status_code == 200
    with TestClient(app) as one, TestClient(app) as other:
        assert [c.get("/x").status_code for c in (one, plain, other, one, plain, other)] == [200] * 6
    assert plain.get("/x").status_code == 200
    with TestClient(app) as again:
        assert again.get("/x").status_code == 200


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_one_loop_after_another(service: Service, run: Any) -> None:
    app = gateway(service)
    assert [run(ask(app, 2)) for _ in range(3)] == [[200, 200]] * 3


def test_loops_that_are_closed_are_let_go_of(service: Service) -> None:
    app = gateway(service)
    loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    async def noted() -> None:
        loops.add(asyncio.get_running_loop())
        await ask(app)

    for _ in range(6):
        asyncio.run(noted())
    gc.collect()
    assert len(loops) == 1  # the last one, until another comes


def test_loops_in_several_threads_at_once(service: Service) -> None:
    app = gateway(service)
    with TestClient(app) as client, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(lambda: asyncio.run(ask(app, 5))) for _ in range(8)]
        plain = [threads.submit(lambda: TestClient(app).get("/x").status_code) for _ in range(8)]
        assert [client.get("/x").status_code for _ in range(5)] == [200] * 5
        assert [one.result() for one in asked] == [[200] * 5] * 8
        assert [one.result() for one in plain] == [200] * 8


def test_connections_are_kept_only_in_a_lifespan_and_the_log_says_so_once(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    app = gateway(service)

    async def twice() -> None:
        assert await ask(app, 2) == [200, 200]
        assert snapshot(app).upstreams[0].idle == 0
        assert len(service.addresses) == 2
        async with app.running():
            assert await ask(app, 2) == [200, 200]
            assert len(service.addresses) == 3
            async with app.running():  # as two servers in one loop have it
                assert await ask(app) == [200]
            assert await ask(app) == [200]
            assert len(service.addresses) == 3

    with caplog.at_level(logging.WARNING, "limen"):
        asyncio.run(twice())
        asyncio.run(ask(app))
    said = [record.getMessage() for record in caplog.records if record.name == "limen.app.config"]
    assert len(said) == 1
    assert "async with gateway.running()" in said[0]


def test_what_the_user_gave_is_shared_by_all_loops(service: Service) -> None:
    store = Revocations()
    app = Gateway(auth=JWT, revocations=store)

    @app.get("/mine", upstream=Upstream("svc", [service.url]), allow=signed_in)
    def mine() -> str: ...

    del mine
    bearer = {"authorization": f"Bearer {issue(JWT, 7, 'user', session='s')}"}
    plain = TestClient(app)
    with TestClient(app) as one, TestClient(app) as other:
        clients = (one, plain, other)
        assert [c.get("/mine", headers=bearer).status_code for c in clients] == [200] * 3
        store.end_session("s", 1e12)  # from a thread without a loop
        assert [c.get("/mine", headers=bearer).status_code for c in clients] == [401] * 3
    plain.get("/mine")
    relay = next(one.__self__ for one in vars_of(store)["_listeners"])
    assert isinstance(relay, RevocationRelay)
    assert repr(relay) == "<RevocationRelay 2 listeners>"  # of what is compiled to be looked at, and of the last loop


def vars_of(store: Revocations) -> dict[str, Any]:
    return {name: getattr(store, name) for name in type(store).__slots__}


def test_what_is_declared_later_is_served_in_every_loop(service: Service) -> None:
    app = gateway(service)
    with TestClient(app) as one, TestClient(app) as other:
        assert [c.get("/late").status_code for c in (one, other)] == [404, 404]
        app.forward("/late", upstream=Upstream("svc", [service.url]), allow=anyone)
        assert [c.get("/late").status_code for c in (one, other, TestClient(app))] == [200] * 3


def test_to_look_at_it_starts_nothing(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    app = gateway(service)

    async def look() -> None:
        before = app.active_config()
        async with app.running():
            assert app.active_config() is before
            assert await ask(app) == [200]
            assert snapshot(app).upstreams[0].idle == 1
        assert app.active_config() is not before

    asyncio.run(look())
    with TestClient(app) as client:
        client.get("/x")

        async def look_from_elsewhere() -> int:
            return snapshot(app).upstreams[0].idle

        assert asyncio.run(look_from_elsewhere()) == 1
    assert not [record for record in caplog.records if record.name == "limen.app.config"]


def test_policies_live_once_in_each_loop_and_are_closed(service: Service) -> None:
    closed: list[str] = []

    class Live:
        def close(self) -> None:
            closed.append("one")

    class Closing(Headers):
        def live(self, environment: Any) -> Any:
            del environment
            return Live()

    app = Gateway(policies=[Closing(request=Edits(remove=["x-a"]))])
    app.forward("/x", upstream=Upstream("svc", [service.url]), allow=anyone)
    for count in range(3):
        with TestClient(app) as client:
            assert client.get("/x").status_code == 200
        assert len(closed) == count + 1
    for _ in range(3):
        assert TestClient(app).get("/x").status_code == 200
    assert len(closed) == 5  # the last is closed with the next loop
