"""What ``limen new`` says at the end: what was written, and what to do next. Colours are seen on a terminal only."""

from collections.abc import Mapping

import click

from limen.cli.new.plan import Plan


def show(plan: Plan, *, dry_run: bool, next_steps: Mapping[str, str]) -> None:
    """Print the files of ``plan`` and the commands to run next, each with what it does."""
    if dry_run:
        click.echo("Nothing is written; without --dry-run this would be:")
    for line in plan.listing():
        click.echo(click.style(line, bold=True) if not line.startswith(" ") else line)
    if dry_run:
        return
    click.echo(click.style("Next:", bold=True))
    width = max(map(len, next_steps))
    for command, what in next_steps.items():
        click.echo(f"  {click.style(command, fg='cyan')}{' ' * (width - len(command))}  {what}")
