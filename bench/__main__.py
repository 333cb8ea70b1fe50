"""``python -m bench``: measure gateways on this machine, and keep the figures with what they were measured on."""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import memory
from bench.peers import HERE, PEERS, Peer, program
from bench.processes import commit, machine
from bench.report import Results, ScenarioResult, as_text, draw_charts, write
from bench.run import LOAD_CPU, Plan, run
from bench.scenarios import SCENARIOS, Scenario
from limen.auth import Jwt, issue

MEMORY = "memory"
MEASURED_FOR_MEMORY = ("limen direct", "limen asgi", "nginx", "Envoy")
_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--scenario", action="append", choices=[*_BY_NAME, MEMORY], help="only this one; may be given again"
    )
    parser.add_argument(
        "--peer", action="append", choices=[peer.name for peer in PEERS], help="only this one, likewise"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each peer in each round")
    parser.add_argument("--quick", action="store_true", help="one round of one second: does it work at all?")
    parser.add_argument("--out", type=Path, help="folder for the results; bench/results/<date>-<commit> by default")
    return parser.parse_args()


def main() -> None:
    """Run the requested scenarios; results are written after each one, so that an interrupted run keeps its figures."""
    options = _options()
    if len(os.sched_getaffinity(0)) <= LOAD_CPU:
        sys.exit("two CPUs are needed: one for the gateway, one for the service and the load")
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    secret = secrets.token_urlsafe(32)
    jwt = Jwt(secret)
    plan = Plan(rounds, seconds, secret, token=issue(jwt, "7", "admin"), other=issue(jwt, "8", "default"))
    peers = [peer for peer in PEERS if options.peer is None or peer.name in options.peer]
    scenarios = [scenario for scenario in SCENARIOS if options.scenario is None or scenario.name in options.scenario]
    out: Path = options.out or HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-{commit()}"
    results = Results(_environment(plan), {peer.name: _version(peer) for peer in PEERS})
    peaks: dict[str, float] = {}
    for group in _compared_groups(scenarios):
        share = group[0].peak_share
        rate = 0.0 if share is None else round(_peak(peaks, peers, plan) * share)
        for scenario, rows in zip(group, run(group, peers, plan, rate), strict=True):
            if scenario.name == "admin":
                peaks |= {row.peer: row.median_of("rate") for row in rows if row.rounds}
            results.scenarios.append(ScenarioResult.of(scenario, rate, rows))
        write(results, out)
    if options.scenario is None or MEMORY in options.scenario:
        for peer in peers:
            if peer.name in MEASURED_FOR_MEMORY and peer.program_path():
                try:
                    results.memory[peer.name] = memory.measure(peer, plan)
                except (OSError, RuntimeError) as error:
                    print(f"  memory of {peer.name} was not measured: {error}", file=sys.stderr)
                write(results, out)
    print(as_text(results))
    print(draw_charts(out))
    print(f"Results are in {out}")


def _compared_groups(scenarios: Sequence[Scenario]) -> list[list[Scenario]]:
    """Return the scenarios in groups that are compared with one another."""
    groups: list[list[Scenario]] = []
    for scenario in scenarios:
        if groups and groups[-1][0].name == scenario.compared_with:
            groups[-1].append(scenario)
        else:
            groups.append([scenario])
    return groups


def _peak(peaks: dict[str, float], peers: Sequence[Peer], plan: Plan) -> float:
    """Return the peak requests per second of the first of ``peers``; measures it if it is not known yet."""
    first = peers[0]
    if first.name not in peaks:
        ((row,),) = run([_BY_NAME["admin"]], [first], plan, 0)
        if not row.rounds:
            sys.exit(f"{first.name} cannot be paced, for its peak is not known: {row.problem}")
        peaks[first.name] = row.median_of("rate")
    return peaks[first.name]


def _environment(plan: Plan) -> dict[str, str]:
    wrk = program("wrk")()
    nginx = program("nginx")()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        **machine(),
        "rounds": f"{plan.rounds} of {plan.seconds:g} s for each gateway, in turn; figures are medians of the rounds",
        "load": "wrk" if wrk else "bench/load_generator.py",
        "service": "nginx, canned answers" if nginx else "bench/upstream.py",
    }


def _version(peer: Peer) -> str | None:
    path = peer.program_path()
    return peer.version(path) if path else None


if __name__ == "__main__":
    main()
