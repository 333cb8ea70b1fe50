"""Runs a scenario, or a group that is compared: the gateways start on one CPU and are loaded in turn, round after round.

They take turns so that a machine that slows down affects all of them. The service and the load share the other CPU.
"""

import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from bench import configs
from bench.configs import Setup
from bench.load import LoadResult, load
from bench.peers import HERE, NO_AUTH, Peer
from bench.processes import Program, busy_seconds, free_port
from bench.scenarios import Scenario

GATEWAY_CPU, LOAD_CPU = 0, 1
WARM_UP = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``rounds`` of ``seconds`` for each peer. ``secret`` signs ``token`` (of an admin) and ``other`` (not an admin)."""

    rounds: int
    seconds: float
    secret: str
    token: str
    other: str


@dataclass(slots=True)
class Row:
    """The figures of one peer in one scenario; ``problem`` says why there are none.

    ``cpu`` and its part ``system`` are in microseconds per request; ``others`` is the share of the gateways' CPU that other
    processes used.
    """

    peer: str
    work: str
    problem: str | None = None
    rounds: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def median_of(self, key: str) -> float:
        """Return the median over the rounds."""
        return median(scenario_run[key] for scenario_run in self.rounds)


@dataclass(slots=True)
class _RunningScenario:
    """A scenario with its running gateways."""

    scenario: Scenario
    folder: Path
    rows: list[Row]
    running: list[tuple[Row, Program]] = field(default_factory=list[tuple[Row, Program]])


def run(scenarios: Sequence[Scenario], peers: Sequence[Peer], plan: Plan, rate: float) -> list[list[Row]]:
    """Measure ``scenarios``, which take turns; ``rate`` is in requests per second, 0 is as fast as possible."""
    with ExitStack() as stack:
        started = [_start_all(stack, scenario, peers, plan, rate) for scenario in scenarios]
        for number in range(plan.rounds):
            for scenario_run in started:
                for row, gateway in scenario_run.running:
                    if row.problem is None:
                        _measure(row, scenario_run.scenario, gateway, plan, rate, scenario_run.folder)
                print(
                    f"  {scenario_run.scenario.name}: round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True
                )
        return [scenario_run.rows for scenario_run in started]


def _start_all(
    stack: ExitStack, scenario: Scenario, peers: Sequence[Peer], plan: Plan, rate: float
) -> _RunningScenario:
    rows = [_row(scenario, peer) for peer in peers if scenario.peers is None or peer.name in scenario.peers]
    peers_by_name = {peer.name: peer for peer in peers}
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-bench-")))
    started = _RunningScenario(scenario, folder, rows)
    upstream = stack.enter_context(service(scenario, folder))
    for row in rows:
        if row.problem is None:
            peer_setup = setup(scenario, folder / str(len(started.running)), upstream, plan)
            started.running.append((row, stack.enter_context(start(peers_by_name[row.peer], peer_setup))))
    for row, gateway in started.running:
        row.problem = gateway.wait() or _admits_without_token(scenario, row, gateway, plan)
        row.problem = row.problem or _warm_up(scenario, gateway, plan, rate, folder)
    return started


def _row(scenario: Scenario, peer: Peer) -> Row:
    work = peer.work.get(scenario.kind)
    if work is None:
        return Row(peer.name, "-", "has no way to do this")
    return Row(peer.name, work, None if peer.program_path() else "not installed")


def setup(scenario: Scenario, folder: Path, upstream: int, plan: Plan) -> Setup:
    """Return the setup of a gateway for ``scenario``; creates its ``folder``."""
    folder.mkdir()
    return Setup(free_port(), upstream, folder, plan.secret, scenario.routes, scenario.token)


@contextmanager
def start(peer: Peer, peer_setup: Setup) -> Generator[Program]:
    """Start ``peer`` on the gateways' CPU, without waiting until it listens."""
    program_path = peer.program_path()
    assert program_path is not None
    env = {
        "BENCH_UPSTREAM": f"http://127.0.0.1:{peer_setup.upstream}",
        "BENCH_PORT": str(peer_setup.port),
        "BENCH_SECRET": peer_setup.secret,
        "BENCH_ROUTES": str(peer_setup.routes),
        "PYTHONWARNINGS": "ignore",
    }
    argv = peer.argv(program_path, peer_setup)
    program = Program(
        argv, cpu=GATEWAY_CPU, port=peer_setup.port, log=peer_setup.folder / "log", env=env | dict(peer.env)
    )
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def service(scenario: Scenario, folder: Path) -> Generator[int]:
    """Start the service behind the gateways and yield its port."""
    peer_setup = folder / "service"
    peer_setup.mkdir()
    port = free_port()
    argv = [sys.executable, "-m", "bench.upstream", str(port)]
    # Not for uploads: nginx answers before it has read the body, so forwarding the body would not be measured.
    if scenario.kind != "upload" and (nginx := shutil.which("nginx")) is not None:
        (peer_setup / "nginx.conf").write_text(configs.service(port, peer_setup))
        folder.chmod(0o755)  # nginx's worker drops root privileges, and has to read the large file
        argv = [nginx, "-e", "stderr", "-c", str(peer_setup / "nginx.conf")]
    program = Program(argv, cpu=LOAD_CPU, port=port, log=peer_setup / "log", env={"PYTHONPATH": str(HERE.parent)})
    try:
        if (problem := program.wait()) is not None:
            raise RuntimeError(f"the service behind the gateways {problem}")
        yield port
    finally:
        program.stop()


def _load(scenario: Scenario, gateway: Program, seconds: float, token: str, rate: float, folder: Path) -> LoadResult:
    return load(scenario, port=gateway.port, cpu=LOAD_CPU, seconds=seconds, token=token, rate=rate, folder=folder)


def _admits_without_token(scenario: Scenario, row: Row, gateway: Program, plan: Plan) -> str | None:
    """Return the problem if a gateway that should check tokens admits a caller without an admin's token."""
    if not scenario.token or NO_AUTH in row.work:
        return None
    for caller, headers in (("nobody", {}), ("a caller of another role", {"authorization": f"Bearer {plan.other}"})):
        client = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        try:
            client.request(scenario.method, scenario.path, headers=headers)
            status = client.getresponse().status
        except OSError as error:
            return f"does not answer: {error}"
        finally:
            client.close()
        if status not in (401, 403):
            return f"answers {status} to {caller}"
    return None


def _warm_up(scenario: Scenario, gateway: Program, plan: Plan, rate: float, folder: Path) -> str | None:
    """Load a gateway for a moment; return the problem if there are errors."""
    try:
        result = _load(scenario, gateway, WARM_UP, plan.token, rate, folder)
    except RuntimeError as error:
        return str(error)
    if result.errors or not result.requests:
        return f"{result.errors} errors in {result.requests} requests: {gateway.output_tail()}"
    return None


def _measure(row: Row, scenario: Scenario, gateway: Program, plan: Plan, rate: float, folder: Path) -> None:
    before, busy, started_at = gateway.cpu_seconds(), busy_seconds(GATEWAY_CPU), monotonic()
    try:
        result = _load(scenario, gateway, plan.seconds, plan.token, rate, folder)
    except RuntimeError as error:
        row.problem = str(error)
        return
    user, system = (after - was for after, was in zip(gateway.cpu_seconds(), before, strict=True))
    used = user + system
    others = (busy_seconds(GATEWAY_CPU) - busy - used) / (monotonic() - started_at)
    if result.errors or not result.requests:
        row.problem = f"{result.errors} errors in {result.requests} requests"
        return
    row.rounds.append(
        {
            "requests": result.requests,
            "rate": result.requests / result.seconds,
            "cpu": used / result.requests * 1e6,
            "system": system / result.requests * 1e6,
            "p50": result.p50,
            "p99": result.p99,
            "rss": float(gateway.rss()),
            "others": max(0.0, others),
        }
    )
