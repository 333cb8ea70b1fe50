"""The two loads of ``bench.logins``, each as a program: GET at a fixed rate, and clients that log in.

The rate is kept with ``select``, as in ``bench.pace``, whose connections do not outlive the gateway's patience with idle
ones: at a rate this low, most of them are idle for longer.
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

from bench.pace import Answer

PASSWORD = "b"
RAMP = 2.0
"""Seconds in which the clients come."""

COME = RAMP + 0.5
"""Seconds by which all have asked for the first time, unless they get too little time for that."""

_AGAIN = (5.0, 15.0)  # seconds that a client takes which was not told when to come back


def get(port: int, path: str, seconds: float, rate: float) -> dict[str, float]:
    """Send ``rate`` requests per second; return how many there were, errors, and percentiles in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
    idle: list[socket.socket] = []
    busy: dict[socket.socket, Answer] = {}
    times: list[float] = []
    errors = 0
    waiting: deque[float] = deque(number / rate for number in range(int(seconds * rate)))
    begun = perf_counter()
    while waiting or busy:
        now = perf_counter() - begun
        while waiting and waiting[0] <= now:
            connection = _connection(idle, port)
            busy[connection] = Answer(waiting.popleft())
            connection.sendall(request)
        until_next = max(0.0, waiting[0] - (perf_counter() - begun)) if waiting else 60.0
        for connection in select.select(busy, [], [], until_next)[0]:
            data = connection.recv(1 << 20)
            if not data:
                raise ConnectionError("closed by the gateway before its answer")
            if busy[connection].take(data):
                answer = busy.pop(connection)
                times.append(perf_counter() - begun - answer.due)
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
        connection.close()  # nothing was due, so what can be read is its end
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def step_back() -> None:
    """Take only the time that others leave (sched(7)), and never let them wait: clients are other machines."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


async def _client(number: int, port: int, came: set[int], answers: Counter[str], times: list[float]) -> None:
    """Log in again and again."""
    await asyncio.sleep(random.uniform(0, RAMP))
    body = json.dumps({"username": f"user{number}", "password": PASSWORD}).encode()
    head = f"POST /api/login HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    request = f"{head}\r\nconnection: close\r\n\r\n".encode() + body
    # An address of its own (all of 127.0.0.0/8 is this machine): one address may not log in so often.
    source = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
    while True:
        begun = perf_counter()
        answer = b""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            try:
                writer.write(request)
                came.add(number)
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
            times.append(perf_counter() - begun)
            continue
        after = answer.lower().partition(b"\r\nretry-after: ")[2].partition(b"\r\n")[0]
        await asyncio.sleep(int(after) if after.isdigit() else random.uniform(*_AGAIN))


async def log_in(port: int, clients: int) -> dict[str, float]:
    """Let ``clients`` log in until SIGTERM; return how many answers had which status, and what a login took.

    ``came`` are the clients that had asked after ``COME`` seconds: fewer would make the rest look better than it is.
    """
    step_back()
    answers: Counter[str] = Counter()
    times: list[float] = []
    came: set[int] = set()
    early: set[int] = set()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.call_later(COME, lambda: early.update(came))
    print("begins", flush=True)
    tasks = [asyncio.create_task(_client(number, port, came, answers, times)) for number in range(clients)]
    await ended.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    middle = round(median(times), 2) if times else 0.0
    return {**answers, "came": len(early), "seconds for one that succeeded": middle}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["get", port, path, seconds, rate]:
            print(json.dumps(get(int(port), path, float(seconds), float(rate))))
        case ["log-in", port, clients]:
            print(json.dumps(asyncio.run(log_in(int(port), int(clients)))))
        case _:
            sys.exit("python -m bench.login_clients get PORT PATH SECONDS RATE, or log-in PORT CLIENTS")
