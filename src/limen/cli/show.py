"""``limen routes``."""

import json
from dataclasses import asdict

import click

from limen.cli.load import load_gateway
from limen.runtime.route_info import RouteInfo


def routes(spec: str, *, as_json: bool) -> None:
    """Print the routes of the gateway at ``spec``."""
    infos = load_gateway(spec).describe()
    click.echo(json.dumps([asdict(info) for info in infos], indent=2) if as_json else _table(infos))


def _table(infos: list[RouteInfo]) -> str:
    rows = [("METHOD", "PATH", "UPSTREAM", "ALLOW", "ENGINE", "WHY")]
    rows += [(",".join(r.methods), r.path, r.upstream, r.allow, r.engine, r.reason) for r in infos]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
