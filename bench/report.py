"""The results of a run: as JSON, as tables, and compared with the goals. Measures nothing."""

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
_MAX_OTHER_CPU = 0.05  # the share of the gateways' CPU that other processes may use before the figures are doubtful
_COLUMNS = (
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
class ScenarioResult:
    """The results of one scenario. ``rate`` is the fixed rate of the load, or 0 without one."""

    name: str
    title: str
    connections: int
    load: str
    rate: float
    rows: list[Row]

    @classmethod
    def of(cls, scenario: Scenario, rate: float, rows: list[Row]) -> "ScenarioResult":
        """Copy what the report needs from ``scenario``."""
        return cls(scenario.name, scenario.title, scenario.connections, generator(scenario), rate, rows)

    def value(self, peer: str, key: str) -> float | None:
        """Return a median of ``peer``, or None if there is none."""
        return next((row.median_of(key) for row in self.rows if row.peer == peer and row.rounds), None)


@dataclass(slots=True)
class Results:
    """A run: the machine, the versions of the gateways (None is not installed), and the scenarios."""

    about: dict[str, str]
    peers: dict[str, str | None]
    scenarios: list[ScenarioResult] = field(default_factory=list[ScenarioResult])
    memory: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def value(self, scenario: str, peer: str, key: str) -> float | None:
        """Return a median, or None."""
        return next((result.value(peer, key) for result in self.scenarios if result.name == scenario), None)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach: ``numerator`` divided by ``denominator``, each (scenario, peer); without ``at_most``, at least."""

    title: str
    key: str
    numerator: tuple[str, str]
    denominator: tuple[str, str]
    must: float
    aim: float
    at_most: bool = True


_LIMEN = ("admin", "limen direct")
GOALS = (
    Goal("CPU against Envoy with JWT and RBAC", "cpu", _LIMEN, ("admin", "Envoy"), 0.50, 0.35),
    Goal("CPU against nginx, a bare proxy", "cpu", _LIMEN, ("admin", "nginx"), 2.5, 1.5),
    Goal("requests/s against the asgi engine", "rate", _LIMEN, ("admin", "limen asgi"), 2, 3, at_most=False),
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
    (out / "results.md").write_text(as_markdown(results))


def draw_charts(out: Path) -> str:
    """Draw the charts with the peers' Python, which has matplotlib; return a message about the result."""
    python = VENV / "bin" / "python"
    argv = [str(python) if python.exists() else sys.executable, str(HERE / "charts.py"), str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else f"No picture: {done.stderr.strip().splitlines()[-1]}"


def as_text(results: Results) -> str:
    """Return the tables for a terminal."""
    parts = [f"{key}: {value}" for key, value in results.about.items()]
    for result in results.scenarios:
        lines = _table(result)
        widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
        parts += ["", _title(result)]
        parts += [
            "  ".join(_cell(cell, column, widths[column]) for column, cell in enumerate(line)).rstrip()
            for line in lines
        ]
    parts += ["", *(f"{title}: {result}" for title, result in _memory(results))]
    parts += ["", *(f"{title}: {result}" for title, result in _goals(results))]
    return "\n".join(parts)


def as_markdown(results: Results) -> str:
    """Return the tables as Markdown."""
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
        parts += [f"| {title} | {result} |" for title, result in goals]
    if results.memory:
        parts += ["", "## Memory", "", "| gateway | |", "|---|---|"]
        parts += [f"| {title} | {result} |" for title, result in _memory(results)]
    for result in results.scenarios:
        head, *lines = _table(result)
        parts += [
            "",
            f"## {_title(result)}",
            "",
            "| " + " | ".join(head) + " |",
            "|---|---|" + "--:|" * (len(_COLUMNS) - 2),
        ]
        parts += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(parts) + "\n"


def _title(result: ScenarioResult) -> str:
    paced = f", {result.rate:,.0f} requests/s asked for" if result.rate else ""
    others = max((row.median_of("others") for row in result.rows if row.rounds), default=0.0)
    warning = f", DISTURBED: others had {others:.0%} of the gateways' CPU" if others > _MAX_OTHER_CPU else ""
    return f"{result.title} ({result.connections} connections, {result.load}{paced}{warning})"


def _table(result: ScenarioResult) -> list[list[str]]:
    return [list(_COLUMNS), *(_table_row(result, row) for row in result.rows)]


def _table_row(result: ScenarioResult, row: Row) -> list[str]:
    if not row.rounds:
        missing = (row.problem or "not measured").splitlines()[-1][:80].replace("|", "/")
        return [row.peer, f"MISSING: {missing}", *[""] * (len(_COLUMNS) - 2)]
    cpu, p99 = row.median_of("cpu"), row.median_of("p99")
    return [
        row.peer,
        row.work + (f" (stopped early: {row.problem})" if row.problem else ""),
        f"{row.median_of('rate'):,.0f}",
        f"{row.median_of('p50'):.2f}",
        f"{p99:.2f}",
        f"{cpu:,.1f}",
        f"{row.median_of('system'):,.1f}",
        f"{row.median_of('rss') / _MIB:.0f}",
        _ratio(cpu, result.value("nginx", "cpu")),
        _ratio(cpu, result.value("Envoy", "cpu")),
        _ratio(p99, result.value("nginx", "p99")),
    ]


def _ratio(value: float, denominator: float | None) -> str:
    return f"{value / denominator:.2f}" if denominator else ""


def _cell(cell: str, column: int, width: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _memory(results: Results) -> Sequence[tuple[str, str]]:
    """Return the memory of each gateway, as title and text."""
    return [
        (
            f"memory of {peer}",
            f"{peak['idle']:.1f} KiB for an idle connection; while a GiB passes, "
            f"{peak['down']:.1f} MiB more down, {peak['up']:.1f} MiB more up",
        )
        for peer, peak in results.memory.items()
    ]


def _goals(results: Results) -> Sequence[tuple[str, str]]:
    found_goals: list[tuple[str, str]] = []
    for title, key, must, aim in MEMORY_GOALS:
        if (own := results.memory.get(_LIMEN[1])) is not None:
            verdict = "aim reached" if own[key] <= aim else "must reached" if own[key] <= must else "MISSED"
            found_goals.append((title, f"{own[key]:.1f}: {verdict} (must <= {must:g}, aim <= {aim:g})"))
    for goal in GOALS:
        numerator, denominator = results.value(*goal.numerator, goal.key), results.value(*goal.denominator, goal.key)
        if numerator and denominator:
            ratio, sign = numerator / denominator, "<=" if goal.at_most else ">="
            verdict = (
                "aim reached"
                if _reached(goal, ratio, goal.aim)
                else "must reached"
                if _reached(goal, ratio, goal.must)
                else "MISSED"
            )
            found_goals.append(
                (goal.title, f"{ratio:.2f}: {verdict} (must {sign} {goal.must:g}, aim {sign} {goal.aim:g})")
            )
    return found_goals


def _reached(goal: Goal, ratio: float, bound: float) -> bool:
    return ratio <= bound if goal.at_most else ratio >= bound
