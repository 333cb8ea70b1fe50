"""The results: the table of measures, the verdict on those of limen, and all figures. Measures nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from bench.resilience.figures import Figures
from bench.resilience.gateways import ResilienceGateway
from bench.resilience.scenarios import ONE_BAD, SCENARIOS


@dataclass(frozen=True, slots=True)
class Measure:
    """A row: the sum of a figure over ``scenarios``; ``must`` and ``aim`` are the most that it may be."""

    title: str
    scenarios: tuple[str, ...]
    figure: Callable[[Figures], float | None]
    must: float | None = None
    aim: float | None = None


@dataclass(slots=True)
class Cell:
    """All rounds of one scenario on one gateway; ``problem`` says why there are none."""

    scenario: str
    gateway: str
    rounds: list[Figures] = field(default_factory=list[Figures])
    problem: str | None = None


MEASURES = (
    Measure("one of three frozen: reads failed", ("frozen",), lambda run: run.reads_failed, 0, 0),
    Measure("one of three frozen: reads over 250 ms", ("frozen",), lambda run: run.over_250ms, 0, 0),
    Measure("one of three frozen: reads over 100 ms", ("frozen",), lambda run: run.over_100ms, None, 0),
    Measure("one of three frozen: reads over 1 s", ("frozen",), lambda run: run.over_1s),
    Measure("one of three frozen: the slowest read, ms", ("frozen",), lambda run: run.slowest_ms),
    Measure("one of three answers 503: reads failed", ("unavailable",), lambda run: run.reads_failed, 0, 0),
    Measure("one of three answers 503: attempts wasted on it", ("unavailable",), lambda run: run.wasted, None, 10),
    Measure("one of three resets: reads failed", ("resetting",), lambda run: run.reads_failed, 0, 0),
    Measure("one of three resets: attempts wasted on it", ("resetting",), lambda run: run.wasted, None, 10),
    Measure("POSTs in these three: repeated at the service", ONE_BAD, lambda run: run.writes_repeated, 0),
    Measure("POSTs in these three, begun after the ejection: failed", ONE_BAD, lambda run: run.writes_failed_late, 0),
    Measure("all three answer 503: attempts per request", ("outage",), lambda run: run.attempts, 1.2),
    Measure("all three refuse connections: attempts per request", ("refused",), lambda run: run.attempts, 1.2),
    Measure("one killed and started again: seconds until in balance", ("recovery",), lambda run: run.balance, 10),
    Measure("wrong answers, in all scenarios", tuple(one.name for one in SCENARIOS), lambda run: run.wrong, 0),
)
_DETAILS = (
    "scenario",
    "gateway",
    "reads",
    "failed",
    "over 100 ms",
    "over 250 ms",
    "over 1 s",
    "slowest ms",
    "POSTs",
    "failed",
    "failed late",
    "repeated",
    "wasted",
    "what failed",
)


@dataclass(frozen=True, slots=True)
class Results:
    """All cells, and what they were measured on."""

    about: Mapping[str, str]
    gateways: Sequence[ResilienceGateway]
    cells: Sequence[Cell]

    def value(self, measure: Measure, gateway: ResilienceGateway) -> float | str:
        """Return a measure, the worst of its rounds, or why there is none."""
        total = 0.0
        for scenario in measure.scenarios:
            cell = next((one for one in self.cells if (one.scenario, one.gateway) == (scenario, gateway.name)), None)
            if cell is None:
                return "not run"
            if cell.problem is not None:
                return cell.problem.splitlines()[-1][:80].replace("|", "/")
            values = [value for value in map(measure.figure, cell.rounds) if value is not None]
            if not values:
                return "not measured"
            total += max(values)
        return total

    def missed(self) -> list[str]:
        """Return the measures in which limen misses the must, or has no figure though it was to be run."""
        return [
            f"{measure.title} ({gateway.name})"
            for gateway in self.gateways
            if gateway.is_limen
            for measure in MEASURES
            if (value := self.value(measure, gateway)) != "not run" and verdict(measure, value) == "MISSED"
        ]

    def table(self) -> list[list[str]]:
        """Return the rows of the first table, its head first."""
        rows = [["measure", "must", "aim", *(gateway.name for gateway in self.gateways)]]
        for measure in MEASURES:
            values = [(gateway, self.value(measure, gateway)) for gateway in self.gateways]
            if all(value == "not run" for _, value in values):
                continue
            shown = [_shown(value) + _verdict_shown(measure, value, gateway) for gateway, value in values]
            rows.append([measure.title, _bound(measure.must), _bound(measure.aim), *shown])
        return rows

    def details(self) -> list[list[str]]:
        """Return the rows of the second table, its head first."""
        return [list(_DETAILS), *(_detail_row(cell) for cell in self.cells)]

    def markdown(self) -> str:
        """Return the page."""
        parts = ["# Resilience", "", "| | |", "|---|---|", *(f"| {key} | {text} |" for key, text in self.about.items())]
        parts += ["", *_markdown_table(self.table()), ""]
        missed = self.missed()
        parts += [
            f"Limen misses the must of {len(missed)}: {'; '.join(missed)}." if missed else "Limen reaches every must."
        ]
        parts += [
            "",
            "Where there are several rounds, the worst one counts. The scenarios, with their full durations:",
            "",
        ]
        run = {cell.scenario for cell in self.cells}
        parts += [f"- {scenario}" for scenario in SCENARIOS if scenario.name in run] + ["", "All figures:", ""]
        parts += _markdown_table(self.details())
        return "\n".join(parts) + "\n"

    def write(self, out: Path) -> None:
        """Write ``results.json`` and ``results.md`` into ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        cells = [asdict(cell, dict_factory=_without_infinity) for cell in self.cells]
        (out / "results.json").write_text(json.dumps({"about": dict(self.about), "cells": cells}, indent=1) + "\n")
        (out / "results.md").write_text(self.markdown())


def verdict(measure: Measure, value: float | str) -> str:
    """Return ``aim``, ``must``, ``MISSED``, or nothing where nothing is asked; ``no aim`` is a miss of the aim alone."""
    if measure.must is None and measure.aim is None:
        return ""
    if isinstance(value, str) or (measure.must is not None and value > measure.must):
        return "MISSED"
    if measure.aim is None:
        return "must"
    if value <= measure.aim:
        return "aim"
    return "must" if measure.must is not None else "no aim"


def _verdict_shown(measure: Measure, value: float | str, gateway: ResilienceGateway) -> str:
    if not gateway.is_limen or isinstance(value, str) or not (found := verdict(measure, value)):
        return ""
    return {"aim": " (aim)", "must": " (must)", "no aim": " (aim missed)", "MISSED": " **MISSED**"}[found]


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value == inf:
        return "never"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.2f}"


def _bound(value: float | None) -> str:
    return "" if value is None else f"<= {value:g}" if value else "0"


def _detail_row(cell: Cell) -> list[str]:
    if not cell.rounds:
        return [cell.scenario, cell.gateway, *[""] * (len(_DETAILS) - 3), cell.problem or "not measured"]
    worst = max(cell.rounds, key=lambda run: (run.reads_failed, run.slowest_ms))
    numbers: tuple[float, ...] = (
        worst.reads,
        worst.reads_failed,
        worst.over_100ms,
        worst.over_250ms,
        worst.over_1s,
        round(worst.slowest_ms),
        worst.writes,
        worst.writes_failed,
        worst.writes_failed_late,
        worst.writes_repeated,
        worst.wasted,
    )
    failures = ", ".join(f"{count} x {result}" for result, count in sorted(worst.failures.items()))
    return [cell.scenario, cell.gateway, *map(_shown, numbers), failures]


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return [head, "|---|" + "--:|" * (len(rows[0]) - 1), *others]


def _without_infinity(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields with None for infinity, which JSON does not have."""
    return {name: None if value == inf else value for name, value in fields}
