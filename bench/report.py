"""What a run has found, as JSON, as a table, and as the list of the numbers to reach. Measures nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load import generator
from bench.peers import HERE, VENV
from bench.run import Row
from bench.scenarios import Scenario

_MIB = 1 << 20
_QUIET = 0.05  # the share of the gateways' CPU that may go to anything else before the figures are doubtful
_HEAD = (
    "gateway",
    "work",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "of it system",
    "RSS MiB",
    "CPU / nginx",
    "CPU / Envoy",
    "p99 / nginx",
)


@dataclass(slots=True)
class Measured:
    """One scenario. ``rate`` is that of a paced load, 0 of one that is not."""

    name: str
    title: str
    connections: int
    load: str
    rate: float
    rows: list[Row]

    @classmethod
    def of(cls, scenario: Scenario, rate: float, rows: list[Row]) -> "Measured":
        """Take what a reader needs of ``scenario``."""
        return cls(scenario.name, scenario.title, scenario.connections, generator(scenario), rate, rows)

    def value(self, peer: str, key: str) -> float | None:
        """Return a median of ``peer``, or None if there is none."""
        return next((row.middle(key) for row in self.rows if row.peer == peer and row.rounds), None)


@dataclass(slots=True)
class Results:
    """A run: what it was measured on, the versions of the gateways (None is not installed), and the scenarios."""

    about: dict[str, str]
    peers: dict[str, str | None]
    scenarios: list[Measured] = field(default_factory=list[Measured])
    memory: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def value(self, scenario: str, peer: str, key: str) -> float | None:
        """Return a median, or None."""
        return next((one.value(peer, key) for one in self.scenarios if one.name == scenario), None)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach: ``of`` divided by ``to``, each (scenario, peer). ``most`` False: at least, not at most."""

    title: str
    key: str
    of: tuple[str, str]
    to: tuple[str, str]
    must: float
    aim: float
    most: bool = True


_LIMEN = ("admin", "limen direct")
GOALS = (
    Goal("CPU against Envoy with JWT and RBAC", "cpu", _LIMEN, ("admin", "Envoy"), 0.50, 0.35),
    Goal("CPU against nginx, a bare proxy", "cpu", _LIMEN, ("admin", "nginx"), 2.5, 1.5),
    Goal("requests/s against the asgi engine", "rate", _LIMEN, ("admin", "limen asgi"), 2, 3, most=False),
    Goal("p99 against nginx at half of limen's peak", "p99", ("half", "limen direct"), ("half", "nginx"), 2, 1.2),
    Goal(
        "CPU, 10,000 routes against 10", "cpu", ("routes-10000", "limen direct"), ("routes-10", "limen direct"), 1.05, 1
    ),
)

MEMORY_GOALS = (
    ("memory for an idle client connection, KiB", "idle", 12, 6),
    ("growth while a GiB goes down, MiB", "down", 16, 4),
    ("growth while a GiB goes up, MiB", "up", 16, 4),
)


def write(results: Results, out: Path) -> None:
    """Write ``results.json`` and ``results.md`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(asdict(results), indent=1) + "\n")
    (out / "results.md").write_text(markdown(results))


def draw(out: Path) -> str:
    """Draw the pictures with the peers' own Python, which has matplotlib; return what there is to say about it."""
    python = VENV / "bin" / "python"
    argv = [str(python) if python.exists() else sys.executable, str(HERE / "picture.py"), str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else f"No picture: {done.stderr.strip().splitlines()[-1]}"


def text(results: Results) -> str:
    """Return the tables for a terminal."""
    parts = [f"{key}: {value}" for key, value in results.about.items()]
    for one in results.scenarios:
        lines = _lines(one)
        widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
        parts += ["", _title(one)]
        parts += ["  ".join(_cell(cell, at, widths[at]) for at, cell in enumerate(line)).rstrip() for line in lines]
    parts += ["", *(f"{title}: {found}" for title, found in _memory(results))]
    parts += ["", *(f"{title}: {found}" for title, found in _goals(results))]
    return "\n".join(parts)


def markdown(results: Results) -> str:
    """Return the same as a page."""
    parts = [
        "# Measurements",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in results.about.items()),
    ]
    parts += [f"| {name} | {version or 'not installed'} |" for name, version in results.peers.items()]
    goals = _goals(results)
    if goals:
        parts += ["", "## Numbers to reach", "", "| measure | found, and what was asked for |", "|---|---|"]
        parts += [f"| {title} | {found} |" for title, found in goals]
    if results.memory:
        parts += ["", "## Memory", "", "| gateway | |", "|---|---|"]
        parts += [f"| {title} | {found} |" for title, found in _memory(results)]
    for one in results.scenarios:
        head, *lines = _lines(one)
        parts += ["", f"## {_title(one)}", "", "| " + " | ".join(head) + " |", "|---|---|" + "--:|" * (len(_HEAD) - 2)]
        parts += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(parts) + "\n"


def _title(one: Measured) -> str:
    paced = f", {one.rate:,.0f} requests/s asked for" if one.rate else ""
    others = max((row.middle("others") for row in one.rows if row.rounds), default=0.0)
    warning = f", DISTURBED: others had {others:.0%} of the gateways' CPU" if others > _QUIET else ""
    return f"{one.title} ({one.connections} connections, {one.load}{paced}{warning})"


def _lines(one: Measured) -> list[list[str]]:
    return [list(_HEAD), *(_line(one, row) for row in one.rows)]


def _line(one: Measured, row: Row) -> list[str]:
    if not row.rounds:
        missing = (row.problem or "not measured").splitlines()[-1][:80].replace("|", "/")
        return [row.peer, f"MISSING: {missing}", *[""] * (len(_HEAD) - 2)]
    cpu, p99 = row.middle("cpu"), row.middle("p99")
    return [
        row.peer,
        row.work + (f" (stopped early: {row.problem})" if row.problem else ""),
        f"{row.middle('rate'):,.0f}",
        f"{row.middle('p50'):.2f}",
        f"{p99:.2f}",
        f"{cpu:,.1f}",
        f"{row.middle('system'):,.1f}",
        f"{row.middle('rss') / _MIB:.0f}",
        _ratio(cpu, one.value("nginx", "cpu")),
        _ratio(cpu, one.value("Envoy", "cpu")),
        _ratio(p99, one.value("nginx", "p99")),
    ]


def _ratio(value: float, to: float | None) -> str:
    return f"{value / to:.2f}" if to else ""


def _cell(cell: str, at: int, width: int) -> str:
    return cell.ljust(width) if at < 2 else cell.rjust(width)


def _memory(results: Results) -> Sequence[tuple[str, str]]:
    """Say what memory each gateway took."""
    return [
        (
            f"memory of {peer}",
            f"{found['idle']:.1f} KiB for an idle connection; while a GiB passes, "
            f"{found['down']:.1f} MiB more down, {found['up']:.1f} MiB more up",
        )
        for peer, found in results.memory.items()
    ]


def _goals(results: Results) -> Sequence[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for title, key, must, aim in MEMORY_GOALS:
        if (mine := results.memory.get(_LIMEN[1])) is not None:
            word = "aim reached" if mine[key] <= aim else "must reached" if mine[key] <= must else "MISSED"
            found.append((title, f"{mine[key]:.1f}: {word} (must <= {must:g}, aim <= {aim:g})"))
    for goal in GOALS:
        of, to = results.value(*goal.of, goal.key), results.value(*goal.to, goal.key)
        if of and to:
            ratio, sign = of / to, "<=" if goal.most else ">="
            word = (
                "aim reached"
                if _reached(goal, ratio, goal.aim)
                else "must reached"
                if _reached(goal, ratio, goal.must)
                else "MISSED"
            )
            found.append((goal.title, f"{ratio:.2f}: {word} (must {sign} {goal.must:g}, aim {sign} {goal.aim:g})"))
    return found


def _reached(goal: Goal, ratio: float, bound: float) -> bool:
    return ratio <= bound if goal.most else ratio >= bound
