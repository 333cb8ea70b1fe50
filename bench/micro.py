"""``python -m bench.micro``: the hot path of the direct engine without sockets, in nanoseconds per operation, and in
instructions where valgrind is installed. It runs the code of a real request; only the transports are fakes.
"""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import perf_counter_ns, time
from typing import Any, cast

os.environ.setdefault("BENCH_UPSTREAM", "http://127.0.0.1:9")
os.environ.setdefault("BENCH_SECRET", secrets.token_urlsafe(32))
os.environ.setdefault("BENCH_ROUTES", "10")

from joserfc.jwk import ECKey
from uvicorn.config import Config
from uvicorn.server import ServerState

from bench.gateways.limen_bench import app, service
from bench.scenarios import ITEM
from limen import Principal
from limen.auth import Assertion, Jwt, issue
from limen.auth.assertion_live import Asserter
from limen.auth.jwt_live import Verifier
from limen.engines.direct import GatewayProtocol
from limen.exchange.outcome import Outcome
from limen.fairness.scheduler import scheduler_of
from limen.http.headers import Headers, block, to_client, to_upstream
from limen.observe.access import LOG
from limen.observe.handler import LineHandler
from limen.upstream import request
from limen.upstream.connection import Connection

_REPEATS = 7
_COUNT = 20_000
_FEW, _MANY = 200, 1200  # operations under valgrind; the difference excludes the cost of the start

JWT = Jwt(os.environ["BENCH_SECRET"])
TOKEN = issue(JWT, "7", "admin").encode()
REQUEST = b"GET /api/admin HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer " + TOKEN + b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nserver: s\r\ncontent-type: application/json\r\ncontent-length: 120\r\n\r\n" + ITEM


class Transport(asyncio.Transport):
    """Discards what is written."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.written = 0

    def write(self, data: Any) -> None:
        self.written += 1

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class ServiceTransport(Transport):
    """Notes the connection that was written to last: of several targets, that is the one to answer."""

    def __init__(self, loop: "Loop", protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self._loop.service = self._protocol


class Loop(asyncio.SelectorEventLoop):
    """An event loop with fake connections; ``service`` is the protocol of the one that is to answer."""

    service: Any = None

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - one of many overloads
        """Connect a fake transport."""
        self.service = protocol = protocol_factory()
        transport = Transport() if len(service.targets) == 1 else ServiceTransport(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    @property
    def ready(self) -> "deque[Any]":
        """The scheduled callbacks, which nothing runs during a measurement."""
        return self._ready  # pyright: ignore


class NullSink:
    """A sink that ignores the response."""

    def head(self, status: int, reason: bytes, headers: Headers) -> None: ...

    def body(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    def end(self) -> None: ...

    def fault(self, fault: object) -> None: ...


async def operations(loop: Loop) -> dict[str, Callable[[], object]]:
    """Return the measured operations; each can be called repeatedly."""
    table = app.active_config().table
    verifier = Verifier(JWT)
    now = time()
    verifier.verify(TOKEN, now)
    asserter = Asserter(Assertion(ECKey.generate_key("P-256").as_pem(private=True).decode()))
    caller = Principal("7", frozenset(("admin",)))
    client_fields = [
        (b"host", b"bench"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"authorization", b"Bearer " + TOKEN),
    ]
    gateway_fields = block([(b"via", b"1.1 limen"), (b"x-request-id", b"0" * 32), (b"request-user-id", b"7")])
    strip = frozenset((b"authorization", b"request-user-id", b"request-user-role"))
    service_fields = [(b"server", b"s"), (b"content-type", b"application/json"), (b"content-length", b"120")]

    def write_head() -> bytes:
        return request.head(
            b"GET", b"/api/admin", b"service", to_upstream(client_fields, strip=strip), gateway_fields, b""
        )

    connection = Connection(service.addresses[0], 65536, lambda _: None, scheduler_of(loop))
    connection.connection_made(Transport())
    sink = cast("Any", NullSink())

    def parse() -> None:
        connection.start(sink, b"GET", b"", whole=True)
        connection.data_received(ANSWER)

    return {
        "a whole admin-only GET": await whole_request(loop),  # first: the pool does not keep its connection for long
        "match a literal path": lambda: table.match(b"GET", b"/api/admin"),
        "match a path with a parameter": lambda: table.match(b"GET", b"/api/r9/1/items"),
        "verify a token that is cached": lambda: verifier.verify(TOKEN, now),
        "recall a token that is remembered": lambda: verifier.recall(TOKEN, now),
        "vouch for a caller that is known": lambda: asserter.line(caller, "service", "0" * 32, now),
        "craft the head for the service": write_head,
        "drop headers of the answer": lambda: to_client(service_fields, bodyless=False),
        "parse the service's answer": parse,
    }


async def whole_request(loop: Loop) -> Callable[[], object]:
    """Return a whole request: the client's bytes in, the service's bytes in, and all that the engine does with them."""
    config = Config(
        app,
        http="limen.engines.direct:GatewayProtocol",
        proxy_headers=False,
        access_log=False,
        log_level="error",
        log_config=None,
    )
    config.load()
    protocol = GatewayProtocol(config, ServerState(), {"limen": app}, loop)
    transport = Transport()
    protocol.connection_made(transport)
    for _ in range(1 if len(service.targets) == 1 else 20 * len(service.targets)):
        loop.service = None
        protocol.data_received(REQUEST)
        while loop.service is None or not loop.service.uses:  # noqa: ASYNC110  # nothing to wait for but the loop's turns
            await asyncio.sleep(0)  # the pool connects in a task, the first time
        loop.service.data_received(ANSWER)

    ready = loop.ready

    def run() -> None:
        protocol.data_received(REQUEST)
        loop.service.data_received(ANSWER)
        while ready:
            ready.popleft()._run()

    before = transport.written
    run()
    if transport.written == before:
        raise RuntimeError("no answer was written: the direct engine did not take this request")
    return run


@contextlib.contextmanager
def access_log_enabled() -> Generator[None]:
    """Write the access log as ``limen serve`` does, to /dev/null."""
    access = logging.getLogger("limen.access")
    with open(os.devnull, "wb") as nowhere:
        handler = LineHandler(descriptor=nowhere.fileno())
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    access.propagate = False
    try:
        yield
    finally:
        handler.flush()
        access.removeHandler(handler)
        access.setLevel(logging.NOTSET)
        access.propagate = True
        handler.close()


def add_line() -> None:
    """Log one request: its record, its line, and its share of a write."""
    outcome = Outcome(b"GET", b"/api/r9/1/items", "0" * 32, b"127.0.0.1")
    outcome.route, outcome.upstream, outcome.status, outcome.seconds = "/api/r9/{id}/items", "service", 200, 0.0021
    outcome.caller = "7"
    LOG.add(outcome)


def nanoseconds(operation: Callable[[], object]) -> float:
    """Return the least of several means: disturbances only ever add time."""
    means: list[float] = []
    for _ in range(_REPEATS):
        started = perf_counter_ns()
        for _ in range(_COUNT):
            operation()
        means.append((perf_counter_ns() - started) / _COUNT)
    return min(means)


def instructions(*, log: bool, targets: int = 1) -> float | None:
    """Return the instructions of a whole request, with the access ``log`` or without, or None without valgrind.

    The service has so many ``targets``, with all that is on by default for several.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out"
        argv = [valgrind, "--tool=callgrind", out, sys.executable, "-m", "bench.micro", "log" if log else "no-log"]
        few, many = (_collected([*argv, str(count)], targets) for count in (_FEW, _MANY))
    return (many - few) / (_MANY - _FEW)


def _collected(argv: Sequence[str], targets: int) -> int:
    urls = ",".join(f"http://127.0.0.1:{9 + n}" for n in range(targets))
    env = os.environ | {"PYTHONHASHSEED": "0", "BENCH_UPSTREAM": urls}
    done = subprocess.run(argv, env=env, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    means = re.search(r"Collected : (\d+)", done.stderr)
    if means is None:
        raise RuntimeError(f"valgrind did not say what it counted: {done.stderr[-400:]}")
    return int(means[1])


async def main(loop: Loop) -> None:
    """Print the table; with ``log`` or ``no-log`` and a number, only run that many requests, for valgrind to count."""
    async with app.running():
        ready = await operations(loop)
        if len(sys.argv) > 1:
            with access_log_enabled() if sys.argv[1] == "log" else contextlib.nullcontext():
                for _ in range(int(sys.argv[2])):
                    ready["a whole admin-only GET"]()
            return
        for name, operation in ready.items():
            print(f"{name:40}{nanoseconds(operation):10,.0f} ns")
        with access_log_enabled():
            print(f"{'access log, a line':40}{nanoseconds(add_line):10,.0f} ns")
    for name, log, targets in (
        ("... instructions", False, 1),
        ("... instructions, with the access log", True, 1),
        ("... instructions, with three targets", False, 3),
    ):
        counted = instructions(log=log, targets=targets)
        print("valgrind is not installed: no instructions counted" if counted is None else f"{name:40}{counted:10,.0f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = cast("Loop", runner.get_loop())
        runner.run(main(loop))
