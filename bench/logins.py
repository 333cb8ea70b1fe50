"""``python -m bench.logins``: how do 1,000 concurrent logins affect the latency of ``GET /api/suppliers``?

The shop's gateway, users and suppliers run as with ``limen up``, on all CPUs, which they share with the load. In each round,
GET /api/suppliers is sent at a fixed rate twice: alone, and while 1,000 clients log in, each with its own account and
address. They connect within the first two seconds and stay: after a login, a client logs in again; after a refusal it waits
for Retry-After, or for 5 to 15 s without one. These clients stand for a thousand machines, so they run at the lowest
priority; a round counts only if all of them could connect.

The result is the ratio of the two 99th percentiles in each round, and its median over the rounds. Latency counts from when a
request was due, which avoids coordinated omission. Other work on the machine disturbs both figures, but not evenly: if the
rounds differ much, there was some.
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

from bench.login_load import CONNECTED_AFTER, PASSWORD
from bench.processes import free_port, machine
from shop_gateway.settings import Settings

HERE = Path(__file__).parent
NAMES = ("users", "suppliers", "gateway")
_PATH = "/api/suppliers"
_SUPPLIERS = 20
_MODEL_ACCOUNT = "johndoe"  # a demo account; the benchmark's accounts are copies of it
_TIMEOUT = 60.0
_QUICK_LOGINS = 3  # in a row: then no login is waiting any more
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Round:
    """The 99th percentiles of one round in milliseconds, and the results of the logins."""

    alone: float
    with_logins: float
    logins: dict[str, float]

    @property
    def ratio(self) -> float:
        """The factor by which logins increase the 99th percentile."""
        return self.with_logins / self.alone


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
                # Nobody asks for the others here.
                **{
                    name.upper(): url.get(name.removesuffix("_service_url"), f"http://127.0.0.1:{free_port()}")
                    for name in Settings.model_fields
                    if name.endswith("_service_url")
                },
            },
            "users": {"DEMO": "1", "IDENTITY_KEYS": "plain"},
            "suppliers": {"IDENTITY_KEYS": "plain"},
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
        deadline = monotonic() + _TIMEOUT
        while monotonic() < deadline:
            with suppress(OSError), _opener.open(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5):
                return
            sleep(0.05)
        log_tail = (self._folder / f"{name}.log").read_text(errors="replace")[-400:]
        raise RuntimeError(f"{name} of the shop is not ready after {_TIMEOUT:g} s: {log_tail}")

    def accounts(self, count: int) -> None:
        """Add accounts ``user0`` and so on as copies of one: hashing a password for each would take minutes."""
        with sqlite3.connect(self._folder / "users.sqlite3", timeout=30) as database:
            database.row_factory = sqlite3.Row
            row = dict(database.execute("SELECT * FROM users WHERE username = ?", (_MODEL_ACCOUNT,)).fetchone())
            del row["id"]
            for number in range(count):
                name = f"user{number}"
                row |= {"username": name, "username_key": name, "email": None, "email_key": None}
                columns = f"({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
                database.execute(f"INSERT INTO users {columns}", tuple(row.values()))
        database.close()

    def call(self, method: str, path: str, body: object, token: str = "") -> dict[str, Any]:
        """Call the gateway; raises OSError for a status of 400 or more."""
        request = Request(
            f"http://127.0.0.1:{self.ports['gateway']}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {}),
            method=method,
        )
        with _opener.open(request, timeout=_TIMEOUT) as answer:
            return cast("dict[str, Any]", json.load(answer))

    def log_in(self) -> str:
        """Return an access token."""
        return str(self.call("POST", "/api/login", {"username": _MODEL_ACCOUNT, "password": PASSWORD})["access_token"])

    def settle(self) -> None:
        """Wait until no login is waiting any more, which is when logins are quick again."""
        quick, deadline = 0, monotonic() + _TIMEOUT
        while quick < _QUICK_LOGINS and monotonic() < deadline:
            started = monotonic()
            with suppress(OSError):
                self.log_in()
                quick = quick + 1 if monotonic() - started < 1 else 0
            sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def measure_suppliers(port: int, seconds: float, rate: float) -> dict[str, float]:
    """Return the latencies of GET /api/suppliers."""
    argv = [sys.executable, "-m", "bench.login_load", "get", str(port), _PATH, str(seconds), str(rate)]
    done = subprocess.run(argv, cwd=HERE.parent, stdout=subprocess.PIPE, check=True, timeout=seconds + 120)
    results: dict[str, float] = json.loads(done.stdout)
    if results["errors"]:
        raise RuntimeError(f"{results['errors']:g} of {results['requests']:g} calls of {_PATH} failed")
    return results


def measure_with_logins(
    port: int, clients: int, seconds: float, rate: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the same during logins, and the results of the logins; raises RuntimeError if not all clients could connect."""
    argv = [sys.executable, "-m", "bench.login_load", "log-in", str(port), str(clients)]
    with subprocess.Popen(argv, cwd=HERE.parent, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it has imported what it needs
            results = measure_suppliers(port, seconds, rate)
        finally:
            process.send_signal(signal.SIGTERM)
        logins: dict[str, float] = json.loads(process.stdout.readline())
    if logins["connected"] < clients:
        raise RuntimeError(
            f"{logins['came']:g} of {clients} clients had asked after {CONNECTED_AFTER:g} s: no time was left for them"
        )
    return results, logins


def measure(*, rounds: int, seconds: float, clients: int, rate: float) -> list[Round]:
    """Run the shop and measure all rounds."""
    results: list[Round] = []
    with ExitStack() as stack:
        shop = Shop(Path(stack.enter_context(TemporaryDirectory(prefix="limen-logins-"))), stack)
        shop.accounts(clients)
        token = shop.log_in()
        for number in range(_SUPPLIERS):
            shop.call(
                "POST", _PATH, {"name": f"Supplier {number}", "surname": "Ltd", "address": "1 High Street"}, token
            )
        port = shop.ports["gateway"]
        measure_suppliers(port, min(3.0, seconds), rate)  # warms up
        for number in range(rounds):
            alone = measure_suppliers(port, seconds, rate)
            with_logins, logins = measure_with_logins(port, clients, seconds, rate)
            results.append(Round(alone["p99"], with_logins["p99"], logins))
            result = results[-1]
            print(f"round {number + 1}: p50 {alone['p50']:.2f} and {with_logins['p50']:.2f} ms, ", end="")
            print(
                f"p99 {result.alone:.2f} and {result.with_logins:.2f} ms, {result.ratio:.2f} times; logins {result.logins}",
                flush=True,
            )
            shop.settle()
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and exit with status 1 when the ratio is above ``--most``."""
    parser = argparse.ArgumentParser(prog="python -m bench.logins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a round")
    parser.add_argument("--clients", type=int, default=1000, help="that log in at once")
    parser.add_argument("--rate", type=float, default=100.0, help=f"of GET {_PATH}, in requests per second")
    parser.add_argument("--most", type=float, help="the ratio that is still well")
    options = parser.parse_args(argv)
    if options.seconds <= CONNECTED_AFTER:
        parser.error(
            f"--seconds {options.seconds:g}: the clients need {CONNECTED_AFTER:g} s to come, so it must be more"
        )
    print(*(f"{name}: {value}" for name, value in machine().items()), sep="\n")
    results = measure(rounds=options.rounds, seconds=options.seconds, clients=options.clients, rate=options.rate)
    ratio = median(result.ratio for result in results)
    print(f"GET {_PATH} beside {options.clients} logins: p99 is {ratio:.2f} times (middle of {len(results)} rounds)")
    sys.exit(1 if options.most is not None and ratio > options.most else 0)


if __name__ == "__main__":
    main()
