"""``python -m bench.soak --minutes 30``: mixed traffic for a long time; every answer right, and nothing that grows.

The gateway, the service and the clients have a process each, on the loopback address. Traffic comes in rounds; behind each
round all clients have left and the service has dropped its connections, so what the gateway still holds, it keeps.

- An answer that is wrong, late or somebody else's ends the run.
- File descriptors at rest must come back to those before the first request, exactly.
- RSS at rest must stay within 5 % of the first rounds after warming up. Warming up takes a third of the run, at most five
  minutes: until then Python's and malloc's arenas grow to the load's peak, and caches fill. That is bounded growth, which the
  rest of the run proves; a leak of as little as one object in ten requests does not stop then, and is seen.
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
from bench.soak_clients import Clients
from bench.soak_service import CLOSE_ALL

TOLERANCE = 0.05
_CLIENTS = 24
_ROUND_SECONDS = 10.0
_REST_SECONDS = 8.0
_MOST_WARM_UP = 300.0
_FIRST = 3  # rounds whose middle is the base


class Watched(Program):
    """A program whose file descriptors are counted."""

    def fds(self) -> int:
        """Return how many are open in its whole session."""
        return sum(len(os.listdir(f"/proc/{stat[-1]}/fd")) for stat in self._members())


@dataclass(frozen=True)
class Sample:
    """The gateway at rest, behind a round."""

    seconds: float
    rss: int
    fds: int
    requests: int


@dataclass
class Result:
    """What a run has come to."""

    engine: str
    seconds: float
    warm_up: float
    base_rss: int = 0
    base_fds: int = 0
    samples: list[Sample] = field(default_factory=list[Sample])
    done: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])

    def judge(self) -> None:
        """Find what has grown."""
        for one in self.samples:
            if one.fds != self.base_fds:
                self.problems.append(
                    f"{one.fds} file descriptors at rest after {one.seconds:.0f} s, {self.base_fds} before any request"
                )
                break
        warm = [one for one in self.samples if one.seconds >= self.warm_up]
        if len(warm) <= _FIRST:
            return  # too short a run to tell of memory
        self.base_rss = int(median(one.rss for one in warm[:_FIRST]))
        for one in warm:
            if abs(one.rss / self.base_rss - 1) > TOLERANCE:
                self.problems.append(
                    f"RSS {one.rss / 1048576:.1f} MiB after {one.seconds:.0f} s, {self.base_rss / 1048576:.1f} MiB after "
                    f"warming up: more than {TOLERANCE:.0%} apart"
                )
                break

    def text(self) -> str:
        """Return the summary that people read."""
        lines = [f"{self.engine} engine, {self.seconds:.0f} s, {sum(self.done.values())} exchanges"]
        lines += [f"  {name:16}{count:9}" for name, count in sorted(self.done.items())]
        lines.append("  seconds   RSS MiB   fds   exchanges")
        lines += [f"  {s.seconds:7.0f}{s.rss / 1048576:10.2f}{s.fds:6}{s.requests:12}" for s in self.samples]
        lines += [f"PROBLEM: {problem}" for problem in self.problems] or ["nothing wrong, nothing grew"]
        return "\n".join(lines)


def soak(seconds: float, *, engine: str, seed: int = 1, clients: int = _CLIENTS) -> Result:
    """Run for so many seconds on ``engine`` and return what was seen; problems are in the result."""
    result = Result(engine, seconds, min(_MOST_WARM_UP, seconds / 3))
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
            lambda port: ["-m", "limen", "serve", "bench.gateways.soaked:app", *options, str(port)],
            env,
        )
        result.base_fds = _at_rest(gateway, service, None)
        begun = monotonic()
        load = Clients(gateway.port, seed=seed)
        while (left := begun + seconds - monotonic()) > 0 and not load.wrong:
            asyncio.run(load.run(clients, min(_ROUND_SECONDS, max(left, 1.0))))
            fds = _at_rest(gateway, service, result.base_fds)
            result.samples.append(Sample(monotonic() - begun, gateway.rss(), fds, sum(load.done.values())))
        result.done = dict(load.done)
        result.problems += load.wrong[:5]
        if load.wrong:
            result.problems.append(f"the gateway said: {gateway.said()}")
    result.judge()
    return result


def _start(
    stack: ExitStack, folder: Path, name: str, port: int, argv: Callable[[int], list[str]], env: dict[str, str]
) -> Watched:
    command = [sys.executable, *argv(port)]
    cpu = sorted(os.sched_getaffinity(0))[0 if name == "gateway" else -1]
    program = Watched(command, cpu=cpu, port=port, log=folder / name, env=env)
    stack.callback(program.stop)
    if (problem := program.wait()) is not None:
        raise RuntimeError(f"the {name} of the soak {problem}")
    return program


def _at_rest(gateway: Watched, service: Program, base: int | None) -> int:
    """Let everything be closed, and return the gateway's file descriptors: ``base``, unless it keeps some."""
    until = monotonic() + _REST_SECONDS
    fds, before = -2, -1
    while (fds != base if base is not None else fds != before) and monotonic() < until:
        # Each time: what a client has given up may end, and leave an idle connection, only after the others.
        with urlopen(f"http://127.0.0.1:{service.port}{CLOSE_ALL.decode()}", timeout=5):
            pass
        sleep(0.2)
        before, fds = fds, gateway.fds()
    return fds


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the summary, and exit with status 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--engine", choices=("direct", "asgi"), default="direct")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do")
    parser.add_argument("--out", type=Path, help="where to write the summary: OUT.json and OUT.txt")
    options = parser.parse_args(argv)
    result = soak(options.minutes * 60, engine=options.engine, seed=options.seed)
    if options.out is not None:
        options.out.with_suffix(".json").write_text(json.dumps(asdict(result), indent=1) + "\n")
        options.out.with_suffix(".txt").write_text(result.text() + "\n")
    print(result.text())
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
