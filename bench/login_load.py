"""The two loads of ``bench.logins``, each as a program: GET at a fixed rate, and clients that log in.

Like ``bench.load_generator``, but for a low rate: it replaces the idle connections that the gateway has closed meanwhile.
"""

import asyncio
import json
import os
import random
import select
import signal
import socket
import sys
from collections import Counter, deque
from contextlib import suppress
from statistics import median
from time import perf_counter

from bench.load_generator import ResponseReader

PASSWORD = "b"
RAMP = 2.0
"""Seconds within which the clients connect."""

CONNECTED_AFTER = RAMP + 0.5
"""Seconds after which all clients must have sent their first request."""

_RETRY_SECONDS = (5.0, 15.0)  # a client's pause when the response has no Retry-After


def get(port: int, path: str, seconds: float, rate: float) -> dict[str, float]:
    """Send ``rate`` requests per second; return how many there were, errors, and percentiles in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
    idle: list[socket.socket] = []
    in_flight: dict[socket.socket, ResponseReader] = {}
    times: list[float] = []
    errors = 0
    due_times: deque[float] = deque(number / rate for number in range(int(seconds * rate)))
    started = perf_counter()
    while due_times or in_flight:
        now = perf_counter() - started
        while due_times and due_times[0] <= now:
            connection = _connection(idle, port)
            in_flight[connection] = ResponseReader(due_times.popleft())
            connection.sendall(request)
        until_next = max(0.0, due_times[0] - (perf_counter() - started)) if due_times else 60.0
        for connection in select.select(in_flight, [], [], until_next)[0]:
            data = connection.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the gateway before its answer")
            if in_flight[connection].feed(data):
                answer = in_flight.pop(connection)
                times.append(perf_counter() - started - answer.due)
                errors += answer.failed
                idle.append(connection)
    times.sort()
    return {
        "requests": len(times),
        "errors": errors,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[len(times) * 99 // 100] * 1000,
    }


def _connection(idle: list[socket.socket], port: int) -> socket.socket:
    """Return a connection that is still open, or a new one."""
    while idle:
        connection = idle.pop()
        if not select.select([connection], [], [], 0)[0]:
            return connection
        connection.close()  # no response is outstanding, so being readable means that it was closed
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def lower_priority() -> None:
    """Run only when no other process wants the CPU (sched(7)): these clients stand for other machines."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


async def _client(number: int, port: int, connected: set[int], answers: Counter[str], times: list[float]) -> None:
    """Log in again and again."""
    await asyncio.sleep(random.uniform(0, RAMP))
    body = json.dumps({"username": f"user{number}", "password": PASSWORD}).encode()
    head = f"POST /api/login HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    request = f"{head}\r\nconnection: close\r\n\r\n".encode() + body
    # An address per client (all of 127.0.0.0/8 is this machine): logins are throttled by address.
    source = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
    while True:
        started = perf_counter()
        answer = b""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            try:
                writer.write(request)
                connected.add(number)
                answer = await reader.read()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        except OSError as error:
            answers[type(error).__name__] += 1
        else:
            answers[answer[9:12].decode() or "no answer"] += 1
        if answer[9:12] == b"201":
            times.append(perf_counter() - started)
            continue
        retry_after = answer.lower().partition(b"\r\nretry-after: ")[2].partition(b"\r\n")[0]
        await asyncio.sleep(int(retry_after) if retry_after.isdigit() else random.uniform(*_RETRY_SECONDS))


async def log_in(port: int, clients: int) -> dict[str, float]:
    """Let ``clients`` log in until SIGTERM; return the number of responses by status, and the median time of a login.

    ``connected`` is how many clients had sent a request after ``CONNECTED_AFTER`` seconds: with fewer, the load was too low.
    """
    lower_priority()
    answers: Counter[str] = Counter()
    times: list[float] = []
    connected: set[int] = set()
    connected_in_time: set[int] = set()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.call_later(CONNECTED_AFTER, lambda: connected_in_time.update(connected))
    print("begins", flush=True)
    tasks = [asyncio.create_task(_client(number, port, connected, answers, times)) for number in range(clients)]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    median_seconds = round(median(times), 2) if times else 0.0
    return {**answers, "connected": len(connected_in_time), "seconds for one that succeeded": median_seconds}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["get", port, path, seconds, rate]:
            print(json.dumps(get(int(port), path, float(seconds), float(rate))))
        case ["log-in", port, clients]:
            print(json.dumps(asyncio.run(log_in(int(port), int(clients)))))
        case _:
            sys.exit("python -m bench.login_load get PORT PATH SECONDS RATE, or log-in PORT CLIENTS")
