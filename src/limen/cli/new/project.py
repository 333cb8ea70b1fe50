"""``limen new project``: a gateway, one service as ``limen new service`` makes it, a test, limen.toml: ready to run."""

from pathlib import Path, PurePosixPath

import click

from limen.cli.new import report
from limen.cli.new.plan import Plan
from limen.cli.new.templates import install_from_wheels, rendered, words_of_templates
from limen.cli.new.words import NameRefused, Words, check_name


def project(parent: Path, name: str, *, service: str, item: str | None, dry_run: bool) -> None:
    """Make the project ``name`` in a new folder of ``parent``; with ``dry_run`` say only what would be written."""
    try:
        check_name(name)
        if service == "gateway":
            raise NameRefused("--service 'gateway' is what the gateway is called; choose another")
        words = Words.of(service, item, words_of_templates())
    except NameRefused as error:
        raise click.ClickException(str(error)) from error
    plan = planned(parent, name, words)
    plan.check()
    if not dry_run:
        plan.write()
    report.show(
        plan,
        dry_run=dry_run,
        next_steps={
            f"cd {name}": "README.md there says how to install it, and goes on",
            "limen up": "starts everything",
            "python -m pytest": "runs all tests",
        },
    )


def planned(parent: Path, name: str, words: Words) -> Plan:
    """Plan the project's files."""
    plan = Plan(parent)
    root = PurePosixPath(name)
    if plan.exists(root):
        plan.refuse(f"{parent / name} is there already; choose another name, or move it away")
        return plan
    gateway, package = f"{name}_gateway", f"{name}_{words.name}"
    substitutes = words.substitutes() | {
        "project": name,
        "Project": name.capitalize(),
        "gateway": gateway,
        "package": package,
        "distribution": package.replace("_", "-"),
        "install": install_from_wheels(".."),
        "port": "8011",
        "workspace": "",
    }
    plan.create(rendered("project", substitutes), root)
    plan.create(rendered("service", substitutes), root / words.name)
    plan.create(rendered("gateway", substitutes | {"package": gateway}), root / "gateway")
    plan.create(rendered("routes", substitutes), root / "gateway" / "src" / gateway / "routes")
    return plan
