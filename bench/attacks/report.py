"""What a run has found: percentiles, the verdict on each row, and the table. Measures nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, inf
from pathlib import Path
from statistics import median
from typing import Any

MIB = 1 << 20
MUST_P99 = 50.0
"""Milliseconds that the slowest hundredth of others may wait."""

MUST_MEMORY = 64.0
"""MiB that the gateway may take more than before."""

AIM_RATIO, AIM_NEAR = 1.2, 1.0  # as nginx: so many times as long, or so many milliseconds more
QUIET = 25.0
"""Milliseconds at the 99th percentile, without an attack, beyond which the machine is too busy to tell."""

_HEAD = (
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
    """Waits of answered requests in milliseconds, in order, and how many requests failed."""

    times: tuple[float, ...]
    failed: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.times) + sum(self.failed.values())

    def percentile(self, share: float) -> float:
        """Return the wait that ``share`` of the requests did not exceed; one that failed has waited for ever."""
        rank = max(1, ceil(share * self.requests))
        return self.times[rank - 1] if rank <= len(self.times) else inf


@dataclass(frozen=True, slots=True)
class Round:
    """One attack on one gateway. Times in milliseconds, ``memory`` in MiB, ``cpu`` in CPUs that the gateway used."""

    alone: float
    p50: float
    p99: float
    worst: float
    requests: int
    failed: Mapping[str, int]
    memory: float
    cpu: float
    done: Mapping[str, int]


def judged(alone: Waits, beside: Waits, memory: float, cpu: float, done: Mapping[str, int]) -> Round:
    """Return a round of what was measured."""
    return Round(
        alone=alone.percentile(0.99),
        p50=beside.percentile(0.5),
        p99=beside.percentile(0.99),
        worst=beside.percentile(1.0),
        requests=beside.requests,
        failed=dict(beside.failed),
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
    own: bool
    rounds: list[Round] = field(default_factory=list[Round])
    problem: str | None = None

    @property
    def p99(self) -> float:
        """The middle of the rounds."""
        return median(one.p99 for one in self.rounds)

    @property
    def memory(self) -> float:
        """The most of the rounds."""
        return max(one.memory for one in self.rounds)

    @property
    def alone(self) -> float:
        """The middle of the rounds."""
        return median(one.alone for one in self.rounds)

    def verdict(self, nginx: "Row | None" = None) -> str:
        """Return ``MISSED``, ``must`` or ``aim``, or why nothing can be said."""
        if self.problem is not None or not self.rounds:
            return "NOT MEASURED"
        if any(one.done.get("came", 0) < self.count for one in self.rounds):
            return "TOO FEW CAME"
        if not (self.p99 <= MUST_P99 and self.memory <= MUST_MEMORY):
            return "DISTURBED" if self.alone > QUIET and self.memory <= MUST_MEMORY else "MISSED"
        if nginx is not None and nginx.rounds and self.p99 <= max(nginx.p99 * AIM_RATIO, nginx.p99 + AIM_NEAR):
            return "aim"
        return "must"


def beside(rows: Sequence[Row], row: Row) -> Row | None:
    """Return what nginx did under the same attack."""
    same = (one for one in rows if one.gateway == "nginx" and (one.attack, one.count) == (row.attack, row.count))
    return next(same, None)


def missed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of limen that do not show that the must is reached."""
    return [row for row in rows if row.own and row.verdict(beside(rows, row)) not in ("must", "aim")]


def line(row: Row, nginx: Row | None) -> tuple[str, ...]:
    """Return the cells of a row."""
    verdict = row.verdict(nginx) if row.own or row.problem else ""
    if not row.rounds:
        said = (row.problem or "").splitlines()[-1:] or ["not measured"]
        return (row.title, str(row.count), row.gateway, *[""] * 6, verdict, said[0][:120].replace("|", "/"))
    requests = sum(one.requests for one in row.rounds)
    failed = sum(sum(one.failed.values()) for one in row.rounds)
    return (
        row.title,
        str(row.count),
        row.gateway,
        _ms(row.alone),
        _ms(row.p99),
        _ms(max(one.worst for one in row.rounds)),
        f"{failed} of {requests}" if failed else "0",
        f"{row.memory:.0f}",
        f"{median(one.cpu for one in row.rounds):.2f}",
        verdict,
        _done(row),
    )


def markdown(about: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the page."""
    parts = ["# Attacks", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in about.items()), ""]
    parts += [
        "Others send their requests at a fixed rate. Waits are in milliseconds from when a request was due; one that failed",
        f"has waited for ever. Must: p99 of others <= {MUST_P99:g} ms, and <= {MUST_MEMORY:g} MiB more memory at the peak.",
        f"Aim: as nginx, {AIM_RATIO:g} times its p99 or {AIM_NEAR:g} ms more. CPU is how much the gateway used of its own.",
        "",
    ]
    own = [row for row in rows if row.own]
    short = missed(rows)
    parts += [f"**{len(own) - len(short)} of {len(own)} reach the must.**", ""]
    parts += ["| " + " | ".join(_HEAD) + " |", "|---|--:|---|" + "--:|" * 6 + "---|---|"]
    parts += ["| " + " | ".join(line(row, beside(rows, row))) + " |" for row in rows]
    return "\n".join(parts) + "\n"


def write(about: Mapping[str, str], rows: Sequence[Row], out: Path) -> None:
    """Write ``results.json`` and ``results.md`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    found = {"about": dict(about), "rows": [asdict(row, dict_factory=_plain) for row in rows]}
    (out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "results.md").write_text(markdown(about, rows))


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON has no infinity: a wait without end is null."""
    return {name: None if value == inf else value for name, value in fields}


def _ms(value: float) -> str:
    return "never" if value == inf else f"{value:.1f}"


def _done(row: Row) -> str:
    """Say what the attackers have done, in the last round."""
    done = row.rounds[-1].done
    parts = [f"{done.get('connections', 0):,} connections", f"{done.get('sent', 0) / MIB:,.1f} MiB sent"]
    if read := done.get("read", 0):
        parts.append(f"{read / MIB:,.1f} read")
    parts += [f"{number:,} x {status}" for status, number in sorted(done.items()) if status.isdigit()]
    others = {kind: sum(one.failed.get(kind, 0) for one in row.rounds) for one in row.rounds for kind in one.failed}
    parts += [f"others: {number} x {kind}" for kind, number in sorted(others.items())]
    return ", ".join(parts)
