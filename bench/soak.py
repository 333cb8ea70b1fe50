"""``python -m bench.soak --minutes 30``: mixed traffic for a long time; every response must be right, and nothing may leak.

Gateway, service and clients are one process each, on the loopback address. Traffic comes in rounds. After each round all
clients have disconnected and the service has dropped its connections, so whatever the gateway still holds is a leak.

- A wrong or late response, or one that belongs to another request, ends the run.
- At rest, the number of file descriptors must be exactly that before the first request.
- At rest, RSS must stay within 5 % of the first rounds after the warm-up. The warm-up is a third of the run, at most five
  minutes: until then the arenas of Python and malloc grow to the load's peak, and caches fill. That growth ends; a leak of
  as little as one object in ten requests continues, and is detected.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from urllib.request import urlopen

from bench.processes import Program, free_port
from bench.soak_load import Clients
from bench.soak_service import CLOSE_ALL

TOLERANCE = 0.05
_CLIENTS = 24
_ROUND_SECONDS = 10.0
_REST_SECONDS = 8.0
_MAX_WARM_UP = 300.0
_BASE_ROUNDS = 3  # rounds whose median is the base


class MonitoredProgram(Program):
    """A program whose open file descriptors are counted."""

    def fds(self) -> int:
        """Return the open file descriptors of its whole session."""
        return sum(len(os.listdir(f"/proc/{stat[-1]}/fd")) for stat in self._members())


@dataclass(frozen=True)
class Sample:
    """The gateway at rest, after a round."""

    seconds: float
    rss: int
    fds: int
    requests: int


@dataclass
class Result:
    """The result of a run."""

    engine: str
    seconds: float
    warm_up: float
    base_rss: int = 0
    base_fds: int = 0
    samples: list[Sample] = field(default_factory=list[Sample])
    done: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])

    def judge(self) -> None:
        """Add a problem for each leak."""
        for sample in self.samples:
            if sample.fds != self.base_fds:
                self.problems.append(
                    f"{sample.fds} file descriptors at rest after {sample.seconds:.0f} s, {self.base_fds} before any request"
                )
                break
        warm = [sample for sample in self.samples if sample.seconds >= self.warm_up]
        if len(warm) <= _BASE_ROUNDS:
            return  # the run was too short to judge memory
        self.base_rss = int(median(sample.rss for sample in warm[:_BASE_ROUNDS]))
        for sample in warm:
            if abs(sample.rss / self.base_rss - 1) > TOLERANCE:
                rss, base = sample.rss / 1048576, self.base_rss / 1048576
                self.problems.append(
                    f"RSS {rss:.1f} MiB after {sample.seconds:.0f} s, {base:.1f} MiB after warming up: "
                    f"more than {TOLERANCE:.0%} apart"
                )
                break

    def as_text(self) -> str:
        """Return the summary as text."""
        lines = [f"{self.engine} engine, {self.seconds:.0f} s, {sum(self.done.values())} exchanges"]
        lines += [f"  {name:16}{count:9}" for name, count in sorted(self.done.items())]
        lines.append("  seconds   RSS MiB   fds   exchanges")
        lines += [f"  {s.seconds:7.0f}{s.rss / 1048576:10.2f}{s.fds:6}{s.requests:12}" for s in self.samples]
        lines += [f"PROBLEM: {problem}" for problem in self.problems] or ["nothing wrong, nothing grew"]
        return "\n".join(lines)


def soak(seconds: float, *, engine: str, seed: int = 1, clients: int = _CLIENTS) -> Result:
    """Run for ``seconds`` on ``engine``; problems are in the result."""
    result = Result(engine, seconds, min(_MAX_WARM_UP, seconds / 3))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="limen-soak-")))
        service = _start(
            stack, folder, "service", free_port(), lambda port: ["-m", "bench.soak_service", str(port)], {}
        )
        env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{service.port}", "BENCH_SECRET": secrets.token_urlsafe(32)}
        options = ("--engine", engine, "--log-level", "error", "--port")
        gateway = _start(
            stack,
            folder,
            "gateway",
            free_port(),
            lambda port: ["-m", "limen", "serve", "bench.gateways.limen_soak:app", *options, str(port)],
            env,
        )
        result.base_fds = _fds_at_rest(gateway, service, None)
        started = monotonic()
        load = Clients(gateway.port, seed=seed)
        while (seconds_left := started + seconds - monotonic()) > 0 and not load.failures:
            asyncio.run(load.run(clients, min(_ROUND_SECONDS, max(seconds_left, 1.0))))
            fds = _fds_at_rest(gateway, service, result.base_fds)
            result.samples.append(Sample(monotonic() - started, gateway.rss(), fds, sum(load.done.values())))
        result.done = dict(load.done)
        result.problems += load.failures[:5]
        if load.failures:
            result.problems.append(f"the gateway said: {gateway.output_tail()}")
    result.judge()
    return result


def _start(
    stack: ExitStack, folder: Path, name: str, port: int, argv: Callable[[int], list[str]], env: dict[str, str]
) -> MonitoredProgram:
    command = [sys.executable, *argv(port)]
    cpu = sorted(os.sched_getaffinity(0))[0 if name == "gateway" else -1]
    program = MonitoredProgram(command, cpu=cpu, port=port, log=folder / name, env=env)
    stack.callback(program.stop)
    if (problem := program.wait()) is not None:
        raise RuntimeError(f"the {name} of the soak {problem}")
    return program


def _fds_at_rest(gateway: MonitoredProgram, service: Program, base: int | None) -> int:
    """Wait until all connections are closed; return the gateway's file descriptors, ``base`` unless it leaks some."""
    deadline = monotonic() + _REST_SECONDS
    fds, before = -2, -1
    while (fds != base if base is not None else fds != before) and monotonic() < deadline:
        # Every time: an aborted request may end late, and only then leave an idle connection to the service.
        with urlopen(f"http://127.0.0.1:{service.port}{CLOSE_ALL.decode()}", timeout=5):
            pass
        sleep(0.2)
        before, fds = fds, gateway.fds()
    return fds


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the summary, and exit with status 1 if there was a problem."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--engine", choices=("direct", "asgi"), default="direct")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do")
    parser.add_argument("--out", type=Path, help="where to write the summary: OUT.json and OUT.txt")
    options = parser.parse_args(argv)
    result = soak(options.minutes * 60, engine=options.engine, seed=options.seed)
    if options.out is not None:
        options.out.with_suffix(".json").write_text(json.dumps(asdict(result), indent=1) + "\n")
        options.out.with_suffix(".txt").write_text(result.as_text() + "\n")
    print(result.as_text())
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
