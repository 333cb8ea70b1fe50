"""Memory of one gateway: what an idle client connection costs, and how much it grows while a GiB passes each way."""

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

from bench.peers import Peer
from bench.processes import Program
from bench.run import Plan, service, setup, start
from bench.scenarios import HUGE, MiB, Scenario

CONNECTIONS = 2000
_STALL_SECONDS = 0.5
_SMALL = b"GET /api/items HTTP/1.1\r\nhost: bench\r\n\r\n"
_DOWN = b"GET /api/huge HTTP/1.1\r\nhost: bench\r\n\r\n"
_UP = b"POST /api/upload HTTP/1.1\r\nhost: bench\r\ncontent-length: %d\r\n\r\n" % HUGE

_STREAMS = Scenario("memory", "memory", "public")
_SWALLOWS = Scenario("memory", "memory", "upload")


def measure(peer: Peer, plan: Plan) -> dict[str, float]:
    """Return KiB for each idle connection, and MiB of growth at the peak of a GiB ``down`` and ``up``."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return {
        "idle": _with(peer, plan, _STREAMS, _idle) / 1024,
        "down": _with(peer, plan, _STREAMS, lambda gateway: _growth(gateway, _download)) / MiB,
        "up": _with(peer, plan, _SWALLOWS, lambda gateway: _growth(gateway, _upload)) / MiB,
    }


def _with(peer: Peer, plan: Plan, scenario: Scenario, what: Callable[[Program], float]) -> float:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-bench-")))
        upstream = stack.enter_context(service(scenario, folder))
        gateway = stack.enter_context(start(peer, setup(scenario, folder / "0", upstream, plan)))
        if (problem := gateway.wait()) is not None:
            raise RuntimeError(f"{peer.name} {problem}")
        for _ in range(50):  # whatever is made once is made now
            _call(gateway).close()
        return what(gateway)


def _connect(gateway: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), 60)


def _call(gateway: Program) -> socket.socket:
    """Return a connection on which one request was answered, and which is idle now."""
    client = _connect(gateway)
    client.sendall(_SMALL)
    _answer(client)
    return client


def _answer(client: socket.socket) -> tuple[int, int]:
    """Read the head of an answer, and all of a small one; return the content's length and how much of it was read."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (piece := client.recv(65536))
        if not piece:
            raise ConnectionError("closed by the gateway")
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the gateway answered {head[:60]!r}")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    got = len(rest)
    while length < MiB and got < length:
        got += len(client.recv(65536))
    return length, got


def _idle(gateway: Program) -> float:
    before = gateway.rss()
    clients = [_call(gateway) for _ in range(CONNECTIONS)]
    used = gateway.rss() - before
    for client in clients:
        client.close()
    return used / CONNECTIONS


def _growth(gateway: Program, move: Callable[[Program], None]) -> float:
    gateway.forget_peak()
    before = gateway.rss()
    move(gateway)
    return gateway.peak() - before


def _download(gateway: Program) -> None:
    with _connect(gateway) as client:
        client.sendall(_DOWN)
        length, got = _answer(client)
        sleep(_STALL_SECONDS)  # a client that reads nothing for a while: what comes now must be left with the service
        while got < length:
            got += (piece := len(client.recv(1 << 18)))
            if not piece:
                raise ConnectionError(f"the answer ended after {got} of {length} bytes")


def _upload(gateway: Program) -> None:
    piece = bytes(MiB)
    with _connect(gateway) as client:
        client.sendall(_UP)
        for _ in range(HUGE // MiB):
            client.sendall(piece)
        _answer(client)
