"""``python -m bench.attacks``: can one hostile client, or one hostile service, keep others from being served?

Each attack runs from one connection and from a hundred, for a few seconds, on a gateway that was just started, while a probe
sends 100 requests per second. Must: the probe's 99th percentile is at most 50 ms, and the gateway takes at most 64 MiB more
memory. The exit status is 1 if a row of limen misses that.
"""

import argparse
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.attacks import gateways
from bench.attacks.catalogue import ANCHORS, ATTACKS
from bench.attacks.gateways import AttackedGateway
from bench.attacks.report import Row, cells, failed_rows, nginx_row, write_results
from bench.attacks.run import Plan, measure
from bench.peers import HERE, PEERS
from bench.processes import commit, machine
from bench.run import LOAD_CPU


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    names = [attack.name for attack in ATTACKS]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help="this attack; may be given again"
    )
    parser.add_argument("--list", action="store_true", help="name the attacks, and do nothing")
    parser.add_argument("--connections", type=int, action="append", help="1 and 100 by default; may be given again")
    parser.add_argument(
        "--gateway",
        action="append",
        choices=[gateway.name for gateway in gateways.ATTACKED_GATEWAYS],
        help="limen by default: the sources as they are; may be given again",
    )
    parser.add_argument("--anchors", action="store_true", help="nginx and Envoy too, where the attack exists for them")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measure (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="of the others, in requests per second (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what attackers make up (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder; bench/results/<date>-<commit>-attacks by default")
    return parser.parse_args(argv)


def plan_rows(options: argparse.Namespace) -> list[tuple[Row, AttackedGateway]]:
    """Return the rows to measure; rows that are compared stand next to one another."""
    names = options.gateway or ["limen"]
    anchors = ANCHORS if options.anchors else ()
    return [
        (Row(attack.name, attack.title, count, gateway.name, gateway.is_limen), gateway)
        for attack in ATTACKS
        if options.only is None or attack.name in options.only
        for count in options.connections or (1, 100)
        for gateway in gateways.ATTACKED_GATEWAYS
        if gateway.name in names or (gateway.name in anchors and gateway.name in attack.anchors)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure; results are written after each row, so that an interrupted run keeps its figures."""
    options = parse_options(argv)
    if options.list:
        print("\n".join(f"{attack.name:24}{attack.title}" for attack in ATTACKS))
        return
    if len(os.sched_getaffinity(0)) <= LOAD_CPU:
        sys.exit("two CPUs are needed: one for the gateway, one for all others")
    plan = Plan(options.seconds, options.rate, options.seed, secrets.token_urlsafe(32))
    out: Path = options.out or HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-{commit()}-attacks"
    command = shlex.join(["python", "-m", "bench.attacks", *(sys.argv[1:] if argv is None else argv)])
    environment = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        **machine(),
        "command": command,
        "measure": f"2 s alone at most, and {plan.seconds:g} s beside each attack, in {options.rounds} rounds; p99 is their "
        "middle, worst and MiB the most",
        "others": f"{plan.rate:g} requests/s over 10 connections",
        "load average before": _load_average(),
    }
    by_name = {attack.name: attack for attack in ATTACKS}
    rows = plan_rows(options)
    all_rows = [row for row, _ in rows]
    environment |= _versions({gateway.name for _, gateway in rows})
    for row, gateway in rows:
        try:
            for _ in range(options.rounds):
                row.rounds.append(measure(by_name[row.attack], row.count, gateway, plan))
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            row.problem = str(error) or type(error).__name__
        environment["load average after"] = _load_average()
        write_results(environment, all_rows, out)
        print("  ".join(cells(row, nginx_row(all_rows, row))), file=sys.stderr, flush=True)
    failed = failed_rows(all_rows)
    limen_rows = sum(row.is_limen for row in all_rows)
    print(f"{limen_rows - len(failed)} of {limen_rows} reach the must. Results are in {out}")
    for row in failed:
        print(f"{row.verdict()}: {row.title}, from {row.count}, {row.gateway}")
    sys.exit(1 if failed else 0)


def _versions(names: Collection[str]) -> dict[str, str]:
    """Return the versions of the other gateways."""
    peers = {peer.name: (peer, peer.program_path()) for peer in PEERS if peer.name in names}
    return {name: peer.version(path) if path else "not installed" for name, (peer, path) in peers.items()}


def _load_average() -> str:
    """Return the load averages of the last minute and of the last five."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg()[:2])


if __name__ == "__main__":
    main()
