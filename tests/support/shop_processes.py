"""The shop as real processes, each of which a test may kill and start again."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TextIO
from urllib.request import ProxyHandler, build_opener

from limen import Principal
from limen.auth import Assertion, Jwt, Keys
from limen.auth.assertion_live import Asserter
from limen.cli.targets import target_names
from limen.cli.topology import read

ROOT = Path(__file__).parents[2]
GATEWAY = "gateway"
SERVICES = tuple(name for name in read(ROOT / "limen.toml").declared.services if name != GATEWAY)
"""What `make up` starts besides the gateway."""

SECRET = "a key that only these tests know, long enough"
AUTH = Jwt(SECRET, issuer="shop", audience="shop")
"""The tokens of the shop, as its gateway issues them."""
EVENTS_KEY = "another key that only these tests know, long enough"

_opener = build_opener(ProxyHandler({}))

# What PYTHONPATH says already, such as where the compiled limen is, stays in front.
_WITH_SUPPORT = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(Path(__file__).parent))))


# Ports for servers of tests: below those that a system gives to whoever connects.
_PORTS = range(20_000, 32_000)
_taken: list[TextIO] = []


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and that nobody else gets: not another run of tests beside this one, nor a client.

    Each is kept by the lock on a file, for as long as this process lives.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if _take(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} ports of {_PORTS} are free")


def free_ports_in_a_row(count: int) -> list[int]:
    """Return such ports with the numbers of neighbours: what ``limen up`` gives to the targets of one service."""
    for first in random.SystemRandom().sample(_PORTS[: 1 - count], len(_PORTS) + 1 - count):
        row = list(range(first, first + count))
        if all(map(_take, row)):  # what was taken of a row that is no use stays so: there are plenty
            return row
    raise RuntimeError(f"no {count} ports in a row of {_PORTS} are free")


def _take(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / "limen-test-ports"
    folder.mkdir(exist_ok=True)
    lock = (folder / str(port)).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        lock.close()
        return False
    _taken.append(lock)
    return True


def wait_for(port: int, path: str, process: subprocess.Popen[bytes], seconds: float = 40) -> None:
    """Wait until ``path`` answers 200."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            with _opener.open(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except OSError:
            time.sleep(0.05)  # nothing but asking tells when it is ready
    raise TimeoutError(f"{path} on {port} did not answer well within {seconds} s")


class Shop:
    """The processes of the shop with data in ``folder``; ``ports``, ``url`` and ``pid`` by name.

    ``users`` is the application of the users service: ``cheap_users:app`` for tests that make many passwords. ``orders`` is
    the number of its targets: from two on, their names are ``orders-1``, ``orders-2`` and so on, and they share a database.
    ``engine`` is that of the gateway.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: str = "shop_users.app:app",
        orders: int = 1,
        engine: str = "direct",
        **gateway: str,
    ) -> None:
        self.folder = folder
        self._engine = engine
        self._apps = {"users": users}
        self.targets: dict[str, list[str]] = {
            name: target_names(name, orders if name == "orders" else 1) for name in (*SERVICES, "gateway")
        }
        self._services = {target: name for name, targets in self.targets.items() for target in targets}
        self.ports: dict[str, int] = dict(zip(self._services, free_ports(len(self._services)), strict=True))
        self.gateway_env = gateway
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Shop":
        self._run("limen", "keys", "new", "--directory", "identity-keys", env=os.environ.copy())
        for name in SERVICES:
            self._run("limen_kit", "migrate", f"shop_{name}.database", env=self._env(name))
        for name in self.ports:
            self.spawn(name)
        for name in self.ports:
            self.ready(name)
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)  # what is frozen still does not hear it
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def url(self, name: str = "gateway") -> str:
        """Return where ``name`` listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def pid(self, name: str) -> int:
        """Return the id of the process of ``name``, for a signal by hand."""
        return self.processes[name].pid

    def spawn(self, name: str) -> None:
        """Start ``name`` without waiting for it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "limen", "serve", self._app(name), "--port", str(self.ports[name])),
                    *(("--engine", self._engine) if name == "gateway" else ()),
                ],
                cwd=self.folder,
                env=self._env(name),
                stdout=log,
                stderr=log,
            )

    def ready(self, name: str) -> None:
        """Wait until ``name`` is ready."""
        wait_for(self.ports[name], "/healthz" if name == "gateway" else "/readyz", self.processes[name])

    def kill(self, name: str) -> None:
        """Kill ``name`` with SIGKILL."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def freeze(self, name: str) -> None:
        """Stop ``name`` where it is: its sockets stay open, and nothing answers."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let ``name`` go on."""
        self.processes[name].send_signal(signal.SIGCONT)

    def restart(self, name: str) -> None:
        """Start ``name`` again and wait for it."""
        self.spawn(name)
        self.ready(name)

    def identity_headers(self, service: str, subject: int = 1, role: str = "admin") -> dict[str, str]:
        """Return the header with the caller's identity that the gateway would send to ``service``; valid for minutes."""
        line = self._asserter.line(Principal(str(subject), frozenset((role,))), service, "-", time.time())
        name, _, value = line.decode().strip().partition(": ")
        return {name: value}

    @cached_property
    def _asserter(self) -> Asserter:
        return Asserter(Assertion(Keys.directory(self.folder / "identity-keys"), lifetime=timedelta(minutes=10)))

    def log(self, name: str) -> str:
        """Return what ``name`` has logged."""
        return (self.folder / f"{name}.log").read_text()

    def _run(self, module: str, *arguments: str, env: dict[str, str]) -> None:
        subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=env,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _app(self, name: str) -> str:
        service = self._services[name]
        return self._apps.get(service, f"shop_{service}.app:app")

    def _env(self, name: str) -> dict[str, str]:
        env = os.environ | {"DEMO": "1", "PYTHONPATH": _WITH_SUPPORT}
        if name == "gateway":
            env |= {
                f"{service.upper()}_SERVICE_URL": ",".join(self.url(target) for target in self.targets[service])
                for service in SERVICES
            }
            env |= {"SECRET_KEY": SECRET, "EVENTS_KEY": EVENTS_KEY, "IDENTITY_KEYS": "identity-keys"} | self.gateway_env
        else:
            env |= {"IDENTITY_KEYS": f"{self.url('gateway')}/.well-known/jwks.json"}
        if self._services.get(name, name) == "orders":
            env |= {"GATEWAY_URL": self.url("gateway")}
        if name == "users":
            env |= {"EVENTS_URL": f"{self.url('gateway')}/events", "EVENTS_KEY": EVENTS_KEY}
        return env
