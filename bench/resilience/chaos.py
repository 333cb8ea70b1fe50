"""``python -m bench.resilience.chaos``: targets fail at random under load; every answer must be right, none may be missing.

A gateway has three targets. They are killed, frozen, slowed and restarted, answer 503 or reset connections, while clients
send GET, PUT and POST, each with content of its own. The same seed makes the same faults and requests. Only counts are
judged:

1. lost: every request gets a whole answer, whatever its status.
2. wrong: every success is the answer to its own request, and has reached a target.
3. repeated: no POST reaches the targets more than once.
4. failed: of GET and PUT, at most the share that ``--most-failed`` allows.
5. ended: all clients are answered, and the gateway stops by itself.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from bench.peers import HERE
from bench.processes import Program, free_port
from bench.resilience.chaos_plan import PlannedFault, plan_faults
from bench.resilience.figures import repeated
from bench.resilience.fleet import Fault, TargetProcess, received, running_fleet
from bench.resilience.load import LOST, WRONG, Sent, send
from bench.resilience.service import Received

MOST_FAILED = 0.0001
"""The share of idempotent requests that may fail."""

SETTLED = 12.0
"""Seconds: longer than an ejection lasts (10 s at most), so that one target is always known to be well."""

RATE = 200.0
"""Requests per second at most: what two busy CPUs can do for clients, gateway and targets."""

_METHODS = {"GET": 75, "PUT": 10, "POST": 15}
_IDEMPOTENT = ("GET", "PUT")
_PATIENCE = 60.0  # seconds; longer than any timeout of the gateway
_IN_FLIGHT = 100  # requests; more wait until one is answered
_EXAMPLES = 5  # of each problem

# Characters of the gateway's log that a problem shows.
_LOG = 20_000


@dataclass(frozen=True, slots=True)
class Chaos:
    """What is run: ``requests`` idempotent ones, and POSTs between them, ``rate`` of all in a second at most."""

    requests: int
    seed: int
    engine: str = "direct"
    rate: float = RATE
    most_failed: float = MOST_FAILED
    settled: float = SETTLED


@dataclass(slots=True)
class Result:
    """What a run says; ``problems`` is empty if all is well."""

    chaos: Chaos
    faults: list[PlannedFault]
    sent: list[Sent] = field(default_factory=list[Sent])
    received: list[Received] = field(default_factory=list[Received])
    seconds: float = 0.0
    exit_status: int = 0
    log: str = ""
    problems: list[str] = field(default_factory=list[str])

    @property
    def idempotent(self) -> list[Sent]:
        """The requests that may be tried again."""
        return [one for one in self.sent if one.method in _IDEMPOTENT]

    def judge(self, planned: int) -> None:
        """Add a problem for each rule that is broken."""
        times = Counter(entry.number for entry in self.received)
        failed = [one for one in self.idempotent if one.failed]
        allowed = len(self.idempotent) * self.chaos.most_failed
        self._add("lost", [one for one in self.sent if one.result == LOST])
        self._add(
            "wrong", [one for one in self.sent if one.result == WRONG or (not one.failed and not times[one.number])]
        )
        if count := repeated(self.received, "POST"):
            self.problems.append(f"repeated: {count} POSTs have reached the targets more than once")
        if len(failed) > allowed:
            self._add(f"failed, of {len(self.idempotent)} idempotent ones ({allowed:g} allowed)", failed)
        if len(self.sent) != planned:
            self.problems.append(f"ended: {planned - len(self.sent)} of {planned} requests have no end")
        if self.exit_status or "Traceback" in self.log:
            self.problems.append(f"ended: the gateway has ended with status {self.exit_status}, and said: {self.log}")

    def _add(self, title: str, found: Sequence[Sent]) -> None:
        if found:
            examples = ", ".join(f"{one.method} {one.number}: {one.result}" for one in found[:_EXAMPLES])
            self.problems.append(f"{len(found)} requests {title}, such as {examples}")

    def summary(self) -> dict[str, object]:
        """Return the counts and times, as JSON takes them."""
        times = sorted(one.seconds * 1000 for one in self.idempotent)
        return {
            **asdict(self.chaos),
            "seconds": round(self.seconds, 1),
            "faults": dict(Counter(fault.fault for fault in self.faults)),
            "results": {
                method: dict(Counter(one.result for one in self.sent if one.method == method)) for method in _METHODS
            },
            "attempts": len(self.received),
            "p50 ms": round(times[len(times) // 2], 1) if times else None,
            "p99 ms": round(times[len(times) * 99 // 100], 1) if times else None,
            "slowest ms": round(times[-1], 1) if times else None,
            "problems": self.problems,
        }

    def as_text(self) -> str:
        """Return the summary as text."""
        lines = [f"{key}: {value}" for key, value in self.summary().items() if key != "problems"]
        if self.problems:
            lines.append(f"the gateway said at the end: {self.log}")
        lines += [f"PROBLEM: {problem}" for problem in self.problems] or ["nothing lost, wrong or repeated"]
        return "\n".join(lines)


def draw_methods(rng: random.Random, idempotent: int) -> list[str]:
    """Return the methods of the requests, with so many idempotent ones."""
    methods: list[str] = []
    while idempotent:
        methods += rng.choices(list(_METHODS), list(_METHODS.values()))
        idempotent -= methods[-1] in _IDEMPOTENT
    return methods


def run(chaos: Chaos) -> Result:
    """Run it; problems are in the result. Raises RuntimeError if something did not start."""
    rng = random.Random(chaos.seed)
    methods = draw_methods(rng, chaos.requests)
    result = Result(chaos, plan_faults(rng, len(methods), chaos.rate, chaos.settled))
    cpus = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="limen-chaos-")))
        targets = stack.enter_context(running_fleet(folder, cpus[-1]))
        gateway = _start_gateway(chaos, targets, folder, cpus[0])
        stack.callback(gateway.kill)
        if (problem := gateway.wait()) is not None:
            raise RuntimeError(f"the gateway {problem}")
        started = monotonic()
        asyncio.run(_load(gateway.port, methods, targets, result))
        result.seconds = monotonic() - started
        result.received = received(targets)
        result.exit_status, result.log = gateway.stop(), gateway.output_tail(_LOG)
    result.judge(len(methods))
    return result


def _start_gateway(chaos: Chaos, targets: dict[str, TargetProcess], folder: Path, cpu: int) -> Program:
    options = ["--engine", chaos.engine, "--log-level", "warning", "--port"]
    port = free_port()
    return Program(
        [sys.executable, "-m", "limen", "serve", "bench.gateways.limen_resilience:app", *options, str(port)],
        cpu=cpu,
        port=port,
        log=folder / "gateway.log",
        env={
            "BENCH_TARGETS": ",".join(target.url for target in targets.values()),
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(HERE.parent)))),
        },
    )


async def _load(port: int, methods: Sequence[str], targets: dict[str, TargetProcess], result: Result) -> None:
    """Send all requests; the faults begin and end when it is their turn."""
    free = asyncio.Semaphore(_IN_FLIGHT)
    turns: asyncio.Queue[int | None] = asyncio.Queue()

    async def one(number: int, method: str, due: float) -> None:
        try:
            ended_as = await send(port, number, method, _PATIENCE)
            result.sent.append(Sent(number, method, due, monotonic() - due, ended_as))
        finally:
            free.release()

    started = monotonic()
    async with asyncio.TaskGroup() as group:
        director = group.create_task(_make_faults(result.faults, targets, turns))
        for number, method in enumerate(methods):
            await asyncio.sleep(started + number / result.chaos.rate - monotonic())
            await free.acquire()
            turns.put_nowait(number)
            group.create_task(one(number, method, monotonic()))
        turns.put_nowait(None)
        await director


async def _make_faults(
    faults: Sequence[PlannedFault], targets: dict[str, TargetProcess], turns: "asyncio.Queue[int | None]"
) -> None:
    """Begin and end each fault when the request of its turn is sent; at the end, make all targets well."""
    changes: list[tuple[int, TargetProcess, Fault | None]] = []
    for fault in faults:
        changes.append((fault.begin, targets[fault.target], fault.fault))
        changes.append((fault.end, targets[fault.target], None))
    waiting = sorted(changes, key=lambda change: change[0])
    while (number := await turns.get()) is not None:
        while waiting and waiting[0][0] <= number:
            _, target, fault = waiting.pop(0)
            if fault is None:
                await asyncio.to_thread(target.end)
            else:
                await asyncio.to_thread(target.begin, fault)
    for target in targets.values():
        await asyncio.to_thread(target.end)


def main(argv: Sequence[str] | None = None) -> None:
    """Run, print the summary, and exit with status 1 if there was a problem."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.resilience.chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000, help="idempotent ones (%(default)s)")
    parser.add_argument("--seed", type=int, help="of faults and requests; drawn and printed by default")
    parser.add_argument("--engine", choices=("direct", "asgi"), default="direct")
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second, at most (%(default)s)")
    parser.add_argument("--most-failed", type=float, default=MOST_FAILED, help="share of them (%(default)s)")
    parser.add_argument(
        "--settled", type=float, default=SETTLED, help="seconds for which one target has been well (%(default)s)"
    )
    parser.add_argument("--out", type=Path, help="file for the summary, as JSON")
    options = parser.parse_args(argv)
    seed: int = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    chaos = Chaos(options.requests, seed, options.engine, options.rate, options.most_failed, options.settled)
    result = run(chaos)
    if options.out is not None:
        options.out.write_text(json.dumps(result.summary(), indent=1) + "\n")
    print(result.as_text())
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
