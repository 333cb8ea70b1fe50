"""Memory of one gateway: per idle client connection, and its growth while a GiB passes in each direction."""

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
_SMALL_REQUEST = b"GET /api/items HTTP/1.1\r\nhost: bench\r\n\r\n"
_DOWNLOAD_REQUEST = b"GET /api/huge HTTP/1.1\r\nhost: bench\r\n\r\n"
_UPLOAD_REQUEST = b"POST /api/upload HTTP/1.1\r\nhost: bench\r\ncontent-length: %d\r\n\r\n" % HUGE

_DOWNLOADS = Scenario("memory", "memory", "public")
_UPLOADS = Scenario("memory", "memory", "upload")


def measure(peer: Peer, plan: Plan) -> dict[str, float]:
    """Return KiB for each idle connection, and MiB of growth at the peak of a GiB ``down`` and ``up``."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    return {
        "idle": _with_gateway(peer, plan, _DOWNLOADS, _memory_per_connection) / 1024,
        "down": _with_gateway(peer, plan, _DOWNLOADS, lambda gateway: _growth(gateway, _download)) / MiB,
        "up": _with_gateway(peer, plan, _UPLOADS, lambda gateway: _growth(gateway, _upload)) / MiB,
    }


def _with_gateway(peer: Peer, plan: Plan, scenario: Scenario, measurement: Callable[[Program], float]) -> float:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-bench-")))
        upstream = stack.enter_context(service(scenario, folder))
        gateway = stack.enter_context(start(peer, setup(scenario, folder / "0", upstream, plan)))
        if (problem := gateway.wait()) is not None:
            raise RuntimeError(f"{peer.name} {problem}")
        for _ in range(50):  # allocate everything that is allocated only once
            _idle_connection(gateway).close()
        return measurement(gateway)


def _connect(gateway: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), 60)


def _idle_connection(gateway: Program) -> socket.socket:
    """Return a connection that is idle after one request."""
    client = _connect(gateway)
    client.sendall(_SMALL_REQUEST)
    _read_response(client)
    return client


def _read_response(client: socket.socket) -> tuple[int, int]:
    """Read the head of a response, and all of a small one; return its Content-Length and how much of it was read."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (piece := client.recv(65536))
        if not piece:
            raise ConnectionError("closed by the gateway")
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the gateway answered {head[:60]!r}")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    received = len(rest)
    while length < MiB and received < length:
        received += len(client.recv(65536))
    return length, received


def _memory_per_connection(gateway: Program) -> float:
    before = gateway.rss()
    clients = [_idle_connection(gateway) for _ in range(CONNECTIONS)]
    used = gateway.rss() - before
    for client in clients:
        client.close()
    return used / CONNECTIONS


def _growth(gateway: Program, move: Callable[[Program], None]) -> float:
    gateway.reset_peak()
    before = gateway.rss()
    move(gateway)
    return gateway.peak() - before


def _download(gateway: Program) -> None:
    with _connect(gateway) as client:
        client.sendall(_DOWNLOAD_REQUEST)
        length, received = _read_response(client)
        sleep(_STALL_SECONDS)  # the client stops reading: the gateway must apply backpressure to the service
        while received < length:
            received += (piece := len(client.recv(1 << 18)))
            if not piece:
                raise ConnectionError(f"the answer ended after {received} of {length} bytes")


def _upload(gateway: Program) -> None:
    piece = bytes(MiB)
    with _connect(gateway) as client:
        client.sendall(_UPLOAD_REQUEST)
        for _ in range(HUGE // MiB):
            client.sendall(piece)
        _read_response(client)
