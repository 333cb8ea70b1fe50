"""``python -m bench.logins``: what do 1,000 concurrent logins leave of ``GET /api/suppliers``?

The shop's gateway, its users and its suppliers run as they do for ``limen up``, on all CPUs, and share them with what asks
for suppliers. In each round, GET /api/suppliers comes at a fixed rate twice: alone, and while 1,000 clients log in, each
with an account and an address of its own. They come within the first two seconds, and stay: a client that has logged in
does so again, one that is told when to come back does so then, and one that is turned away without a time takes 5 to 15 s.
These clients stand for a thousand machines, so their own work waits for the shop's; a round counts only if all of them
have come all the same.

What counts is the 99th percentile of both: their ratio in each round, and the middle of the rounds. Latency is counted from
when a request was due, so a gateway that stalls cannot hide it. Other work on the machine comes into both
figures, but not evenly: rounds that are far apart say that there was some.
"""

import argparse
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, cast
from urllib.request import ProxyHandler, Request, build_opener

from bench.login_clients import COME, PASSWORD
from bench.processes import free_port, machine

HERE = Path(__file__).parent
NAMES = ("users", "suppliers", "gateway")
_PATH = "/api/suppliers"
_SUPPLIERS = 20
_MODEL = "johndoe"  # an account of the demonstration, whose password the others have as well
_PATIENCE = 60.0
_SETTLED = 3  # logins in a row, each of which found nobody waiting
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Round:
    """The 99th percentiles of one round in milliseconds, and what became of the logins."""

    alone: float
    beside: float
    logins: dict[str, float]

    @property
    def ratio(self) -> float:
        """How many times as long it takes beside logins."""
        return self.beside / self.alone


class Shop:
    """The processes, with their data and logs in ``folder``."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Start them, and stop them at the end of ``stack``."""
        self._folder = folder
        self.ports = {name: free_port() for name in NAMES}
        url = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        env = {
            "gateway": {
                "SECRET_KEY": secrets.token_urlsafe(48),
                "USERS_SERVICE_URL": url["users"],
                "ORDERS_SERVICE_URL": f"http://127.0.0.1:{free_port()}",  # nobody asks for orders here
                "SUPPLIERS_SERVICE_URL": url["suppliers"],
            },
            "users": {"DEMO": "1"},
            "suppliers": {},
        }
        for name in NAMES:
            if name != "gateway":
                argv = [sys.executable, "-m", "limen_kit", "migrate", f"shop_{name}.database"]
                subprocess.run(
                    argv, cwd=folder, env=os.environ | env[name], check=True, capture_output=True, timeout=120
                )
            self._start(name, env[name], stack)
        for name in NAMES:
            self._wait(name, "/healthz" if name == "gateway" else "/readyz")

    def _start(self, name: str, env: Mapping[str, str], stack: ExitStack) -> None:
        argv = [sys.executable, "-m", "limen", "serve", f"shop_{name}.app:app", "--port", str(self.ports[name])]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=self._folder, env=os.environ | env, stdout=log, stderr=log)
        stack.callback(_stop, process)

    def _wait(self, name: str, path: str) -> None:
        until = monotonic() + _PATIENCE
        while monotonic() < until:
            with suppress(OSError), _opener.open(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5):
                return
            sleep(0.05)
        said = (self._folder / f"{name}.log").read_text(errors="replace")[-400:]
        raise RuntimeError(f"{name} of the shop is not ready after {_PATIENCE:g} s: {said}")

    def accounts(self, count: int) -> None:
        """Add accounts ``user0`` and so on, as copies: hashing a password for each would take minutes."""
        with sqlite3.connect(self._folder / "users.sqlite3", timeout=30) as database:
            database.row_factory = sqlite3.Row
            row = dict(database.execute("SELECT * FROM users WHERE username = ?", (_MODEL,)).fetchone())
            del row["id"]
            for number in range(count):
                name = f"user{number}"
                row |= {"username": name, "username_key": name, "email": None, "email_key": None}
                into = f"({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
                database.execute(f"INSERT INTO users {into}", tuple(row.values()))
        database.close()

    def call(self, method: str, path: str, body: object, token: str = "") -> dict[str, Any]:
        """Call the gateway; raises OSError for an answer that is an error."""
        request = Request(
            f"http://127.0.0.1:{self.ports['gateway']}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {}),
            method=method,
        )
        with _opener.open(request, timeout=_PATIENCE) as answer:
            return cast("dict[str, Any]", json.load(answer))

    def log_in(self) -> str:
        """Return an access token."""
        return str(self.call("POST", "/api/login", {"username": _MODEL, "password": PASSWORD})["access_token"])

    def settle(self) -> None:
        """Wait until no login waits any more: then the next one is quick."""
        quick, until = 0, monotonic() + _PATIENCE
        while quick < _SETTLED and monotonic() < until:
            begun = monotonic()
            with suppress(OSError):
                self.log_in()
                quick = quick + 1 if monotonic() - begun < 1 else 0
            sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def suppliers(port: int, seconds: float, rate: float) -> dict[str, float]:
    """Return how long GET /api/suppliers takes."""
    argv = [sys.executable, "-m", "bench.login_clients", "get", str(port), _PATH, str(seconds), str(rate)]
    done = subprocess.run(argv, cwd=HERE.parent, stdout=subprocess.PIPE, check=True, timeout=seconds + 120)
    found: dict[str, float] = json.loads(done.stdout)
    if found["errors"]:
        raise RuntimeError(f"{found['errors']:g} of {found['requests']:g} calls of {_PATH} failed")
    return found


def beside(port: int, clients: int, seconds: float, rate: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the same beside logins, and what became of these; raises RuntimeError if clients were kept from asking."""
    argv = [sys.executable, "-m", "bench.login_clients", "log-in", str(port), str(clients)]
    with subprocess.Popen(argv, cwd=HERE.parent, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it has imported what it needs
            found = suppliers(port, seconds, rate)
        finally:
            process.send_signal(signal.SIGTERM)
        logins: dict[str, float] = json.loads(process.stdout.readline())
    if logins["came"] < clients:
        raise RuntimeError(
            f"{logins['came']:g} of {clients} clients had asked after {COME:g} s: no time was left for them"
        )
    return found, logins


def measure(*, rounds: int, seconds: float, clients: int, rate: float) -> list[Round]:
    """Run the shop and return what was seen."""
    found: list[Round] = []
    with ExitStack() as stack:
        shop = Shop(Path(stack.enter_context(TemporaryDirectory(prefix="limen-logins-"))), stack)
        shop.accounts(clients)
        token = shop.log_in()
        for number in range(_SUPPLIERS):
            shop.call(
                "POST", _PATH, {"name": f"Supplier {number}", "surname": "Ltd", "address": "1 High Street"}, token
            )
        port = shop.ports["gateway"]
        suppliers(port, min(3.0, seconds), rate)  # warms up
        for number in range(rounds):
            alone = suppliers(port, seconds, rate)
            with_logins, logins = beside(port, clients, seconds, rate)
            found.append(Round(alone["p99"], with_logins["p99"], logins))
            one = found[-1]
            print(f"round {number + 1}: p50 {alone['p50']:.2f} and {with_logins['p50']:.2f} ms, ", end="")
            print(
                f"p99 {one.alone:.2f} and {one.beside:.2f} ms, {one.ratio:.2f} times; logins {one.logins}", flush=True
            )
            shop.settle()
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and exit with status 1 when the ratio is above ``--most``."""
    parser = argparse.ArgumentParser(prog="python -m bench.logins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a round")
    parser.add_argument("--clients", type=int, default=1000, help="that log in at once")
    parser.add_argument("--rate", type=float, default=100.0, help=f"of GET {_PATH}, in requests per second")
    parser.add_argument("--most", type=float, help="the ratio that is still well")
    options = parser.parse_args(argv)
    if options.seconds <= COME:
        parser.error(f"--seconds {options.seconds:g}: the clients need {COME:g} s to come, so it must be more")
    print(*(f"{name}: {value}" for name, value in machine().items()), sep="\n")
    found = measure(rounds=options.rounds, seconds=options.seconds, clients=options.clients, rate=options.rate)
    ratio = median(one.ratio for one in found)
    print(f"GET {_PATH} beside {options.clients} logins: p99 is {ratio:.2f} times (middle of {len(found)} rounds)")
    sys.exit(1 if options.most is not None and ratio > options.most else 0)


if __name__ == "__main__":
    main()
