"""``python -m bench.resilience``: what do clients notice when one of three targets of a service goes bad, or all of them?

Each scenario runs on each gateway in turn, for about 30 s, with 60 GETs and 11 POSTs per second, each on a new connection.
The exit status is 1 if a figure of limen misses its must.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.peers import HERE
from bench.processes import commit, machine
from bench.resilience.figures import figures
from bench.resilience.gateways import RESILIENCE_GATEWAYS
from bench.resilience.report import Cell, Results
from bench.resilience.run import Load, measure
from bench.resilience.scenarios import SCENARIOS
from bench.run import LOAD_CPU


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.resilience", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=[one.name for one in SCENARIOS], help="this scenario; may be given again"
    )
    parser.add_argument(
        "--gateway",
        action="append",
        choices=[one.name for one in RESILIENCE_GATEWAYS],
        help="by default "
        + ", ".join(one.name for one in RESILIENCE_GATEWAYS if one.by_default)
        + "; may be given again",
    )
    parser.add_argument("--rounds", type=int, default=1, help="the worst one counts (%(default)s)")
    parser.add_argument("--reads", type=float, default=60.0, help="GETs per second (%(default)s)")
    parser.add_argument("--writes", type=float, default=11.0, help="POSTs per second (%(default)s)")
    parser.add_argument(
        "--patience",
        type=float,
        default=20.0,
        help="seconds that a client waits (%(default)s); longer than the 15 s of the anchors, so that theirs end first",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=3.0,
        help="seconds after which a bad target must be ejected: POSTs that begin later are to succeed (%(default)s)",
    )
    parser.add_argument("--factor", type=float, default=1.0, help="makes all scenarios shorter: 0.5 is half as long")
    parser.add_argument("--out", type=Path, help="folder; bench/results/<date>-<commit>-resilience by default")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure; results are written after each run, so that an interrupted one keeps its figures."""
    options = parse_options(argv)
    if len(os.sched_getaffinity(0)) <= LOAD_CPU:
        sys.exit("two CPUs are needed: one for the gateway, one for the clients and the targets")
    gateways = [
        one for one in RESILIENCE_GATEWAYS if (one.name in options.gateway if options.gateway else one.by_default)
    ]
    scenarios = [one for one in SCENARIOS if options.only is None or one.name in options.only]
    load = Load(options.reads, options.writes, options.patience)
    out: Path = options.out or HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-{commit()}-resilience"
    about = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        **machine(),
        "command": shlex.join(["python", "-m", "bench.resilience", *(sys.argv[1:] if argv is None else argv)]),
        "load": f"{options.reads:g} GETs and {options.writes:g} POSTs per second, each on a new connection; a client waits "
        f"for {options.patience:g} s",
        "after the ejection": f"{options.grace:g} s after the target has gone bad, and before it is well again",
        "refused connections": "as the kernel counts them, less those of health checks",
        **{one.name: f"{one.version() or 'not installed'}: {one.setting}" for one in gateways},
    }
    results = Results(about, gateways, cells := list[Cell]())
    for scenario in scenarios:
        for gateway in gateways:
            cells.append(cell := Cell(scenario.name, gateway.name))
            try:
                for _ in range(options.rounds):
                    run = measure(scenario.times(options.factor), gateway, load)
                    cell.rounds.append(figures(run, options.grace))
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                cell.problem = str(error) or type(error).__name__
            results.write(out)
            print("  ".join(results.details()[-1]), file=sys.stderr, flush=True)
    width = max(len(row[0]) for row in results.table())
    for first, *others in results.table():
        print(first.ljust(width), *(text.rjust(18) for text in others))
    missed = results.missed()
    print(f"Results are in {out}", *(f"MISSED: {title}" for title in missed), sep="\n")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
