"""The results of a run: percentiles, the verdict on each row, and the table. Measures nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, inf
from pathlib import Path
from statistics import median
from typing import Any

MIB = 1 << 20
MAX_P99 = 50.0
"""Milliseconds: the probe's 99th percentile during an attack."""

MAX_MEMORY = 64.0
"""MiB by which the gateway's memory may grow."""

AIM_RATIO, AIM_MS = 1.2, 1.0  # compared with nginx: times its p99, or milliseconds more
MAX_P99_ALONE = 25.0
"""Milliseconds: beyond this 99th percentile without an attack, the machine is too busy for a verdict."""

_COLUMNS = (
    "attack",
    "from",
    "gateway",
    "alone p99",
    "p99",
    "worst",
    "failed",
    "MiB more",
    "CPU",
    "verdict",
    "what was done",
)


@dataclass(frozen=True, slots=True)
class Waits:
    """Sorted latencies of successful requests in milliseconds, and the number of failed requests by kind."""

    times: tuple[float, ...]
    failed: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def requests(self) -> int:
        """The number of requests that were sent."""
        return len(self.times) + sum(self.failed.values())

    def percentile(self, share: float) -> float:
        """Return the latency that ``share`` of the requests did not exceed; that of a failed request is infinite."""
        rank = max(1, ceil(share * self.requests))
        return self.times[rank - 1] if rank <= len(self.times) else inf


@dataclass(frozen=True, slots=True)
class Round:
    """One attack on one gateway. Times are in milliseconds, ``memory`` in MiB, ``cpu`` in CPUs that the gateway used."""

    alone: float
    p50: float
    p99: float
    worst: float
    requests: int
    failed: Mapping[str, int]
    memory: float
    cpu: float
    done: Mapping[str, int]


def round_of(alone: Waits, with_attack: Waits, memory: float, cpu: float, done: Mapping[str, int]) -> Round:
    """Return the round with these measurements."""
    return Round(
        alone=alone.percentile(0.99),
        p50=with_attack.percentile(0.5),
        p99=with_attack.percentile(0.99),
        worst=with_attack.percentile(1.0),
        requests=with_attack.requests,
        failed=dict(with_attack.failed),
        memory=memory,
        cpu=cpu,
        done=dict(done),
    )


@dataclass(slots=True)
class Row:
    """One attack from ``count`` connections on one gateway; ``problem`` says why there are no figures."""

    attack: str
    title: str
    count: int
    gateway: str
    is_limen: bool
    rounds: list[Round] = field(default_factory=list[Round])
    problem: str | None = None

    @property
    def p99(self) -> float:
        """The middle of the rounds."""
        return median(round_.p99 for round_ in self.rounds)

    @property
    def memory(self) -> float:
        """The most of the rounds."""
        return max(round_.memory for round_ in self.rounds)

    @property
    def alone(self) -> float:
        """The middle of the rounds."""
        return median(round_.alone for round_ in self.rounds)

    def verdict(self, nginx: "Row | None" = None) -> str:
        """Return ``MISSED``, ``must`` or ``aim``, or why there is no verdict."""
        if self.problem is not None or not self.rounds:
            return "NOT MEASURED"
        if any(round_.done.get("connected", 0) < self.count for round_ in self.rounds):
            return "TOO FEW CONNECTED"
        if not (self.p99 <= MAX_P99 and self.memory <= MAX_MEMORY):
            return "DISTURBED" if self.alone > MAX_P99_ALONE and self.memory <= MAX_MEMORY else "MISSED"
        if nginx is not None and nginx.rounds and self.p99 <= max(nginx.p99 * AIM_RATIO, nginx.p99 + AIM_MS):
            return "aim"
        return "must"


def nginx_row(rows: Sequence[Row], row: Row) -> Row | None:
    """Return nginx's row of the same attack."""
    same = (
        other for other in rows if other.gateway == "nginx" and (other.attack, other.count) == (row.attack, row.count)
    )
    return next(same, None)


def failed_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of limen that do not reach the must."""
    return [row for row in rows if row.is_limen and row.verdict(nginx_row(rows, row)) not in ("must", "aim")]


def cells(row: Row, nginx: Row | None) -> tuple[str, ...]:
    """Return the cells of a row."""
    verdict = row.verdict(nginx) if row.is_limen or row.problem else ""
    if not row.rounds:
        last_line = (row.problem or "").splitlines()[-1:] or ["not measured"]
        return (row.title, str(row.count), row.gateway, *[""] * 6, verdict, last_line[0][:120].replace("|", "/"))
    requests = sum(round_.requests for round_ in row.rounds)
    failed = sum(sum(round_.failed.values()) for round_ in row.rounds)
    return (
        row.title,
        str(row.count),
        row.gateway,
        _ms(row.alone),
        _ms(row.p99),
        _ms(max(round_.worst for round_ in row.rounds)),
        f"{failed} of {requests}" if failed else "0",
        f"{row.memory:.0f}",
        f"{median(round_.cpu for round_ in row.rounds):.2f}",
        verdict,
        _summary(row),
    )


def markdown(about: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the page."""
    parts = ["# Attacks", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in about.items()), ""]
    parts += [
        "Others send their requests at a fixed rate. Waits are in milliseconds from when a request was due; one that failed",
        f"has waited for ever. Must: p99 of others <= {MAX_P99:g} ms, and <= {MAX_MEMORY:g} MiB more memory at the peak.",
        f"Aim: as nginx, {AIM_RATIO:g} times its p99 or {AIM_MS:g} ms more. CPU is how much the gateway used of its own.",
        "",
    ]
    limen_rows = [row for row in rows if row.is_limen]
    failed = failed_rows(rows)
    parts += [f"**{len(limen_rows) - len(failed)} of {len(limen_rows)} reach the must.**", ""]
    parts += ["| " + " | ".join(_COLUMNS) + " |", "|---|--:|---|" + "--:|" * 6 + "---|---|"]
    parts += ["| " + " | ".join(cells(row, nginx_row(rows, row))) + " |" for row in rows]
    return "\n".join(parts) + "\n"


def write_results(about: Mapping[str, str], rows: Sequence[Row], out: Path) -> None:
    """Write ``results.json`` and ``results.md`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    document = {"about": dict(about), "rows": [asdict(row, dict_factory=_without_infinity) for row in rows]}
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "results.md").write_text(markdown(about, rows))


def _without_infinity(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields with None for infinity, which JSON does not have."""
    return {name: None if value == inf else value for name, value in fields}


def _ms(value: float) -> str:
    return "never" if value == inf else f"{value:.1f}"


def _summary(row: Row) -> str:
    """Return the attackers' counts of the last round, as text."""
    done = row.rounds[-1].done
    parts = [f"{done.get('connections', 0):,} connections", f"{done.get('sent', 0) / MIB:,.1f} MiB sent"]
    if read := done.get("read", 0):
        parts.append(f"{read / MIB:,.1f} read")
    parts += [f"{number:,} x {status}" for status, number in sorted(done.items()) if status.isdigit()]
    others = {
        kind: sum(round_.failed.get(kind, 0) for round_ in row.rounds)
        for round_ in row.rounds
        for kind in round_.failed
    }
    parts += [f"others: {number} x {kind}" for kind, number in sorted(others.items())]
    return ", ".join(parts)
