"""The gateway as it is going to be, tried in a folder of its own before anything is written.

1. copy the gateway's sources, and put the planned files among them
2. run what limen.toml runs before the gateway, such as ``limen keys new``
3. ``limen check``: errors are a refusal
4. ``limen matrix``, for the page that says who may call what

The secrets are made up, and the addresses are those of limen.toml; nothing is called.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from secrets import token_urlsafe
from tempfile import TemporaryDirectory

import click

from limen.cli.new.plan import Plan
from limen.cli.new.surroundings import TOPOLOGY, Surroundings
from limen.cli.topology import command, read

# Seconds for one command: a gateway is imported, on a machine that may be busy.
_COMMAND_TIMEOUT = 120


def tried(plan: Plan, project: Surroundings, *, with_matrix: bool) -> str:
    """Try the gateway of ``plan``; return the page of ``limen matrix``, or nothing. Raises ClickException."""
    with TemporaryDirectory(prefix="limen-new-") as temporary:
        folder = Path(temporary)
        sources = folder / "src"
        shutil.copytree(
            project.root / project.gateway_dir, sources, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
        for path in (*plan.created, *plan.changed):
            if path.is_relative_to(project.gateway_dir):
                target = sources / path.relative_to(project.gateway_dir)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(plan.text(path), encoding="utf-8")
        (folder / TOPOLOGY).write_text(plan.text(PurePosixPath(TOPOLOGY)), encoding="utf-8")
        env = _environment(folder, project.gateway)
        gateway = read(folder / TOPOLOGY).declared.services[project.gateway]
        for line in gateway.before:
            _run(command(line), folder, env, f"services.{project.gateway}.before: {line}")
        limen = [sys.executable, "-m", "limen"]
        _run([*limen, "check", gateway.app], folder, env, "limen check, of the gateway as it would be")
        if not with_matrix:
            return ""
        return _run([*limen, "matrix", gateway.app, "--format", "markdown"], folder, env, "limen matrix")


def _environment(folder: Path, gateway: str) -> dict[str, str]:
    layout = read(folder / TOPOLOGY)
    secrets = {name: token_urlsafe(48) for name in layout.declared.up.secrets}
    env = {key: layout.resolve(text, secrets) for key, text in layout.declared.services[gateway].env.items()}
    roots = filter(None, (str(folder / "src"), os.environ.get("PYTHONPATH")))
    return os.environ | env | {"PYTHONPATH": os.pathsep.join(roots)}


def _run(argv: Sequence[str], folder: Path, env: Mapping[str, str], what: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands, and those of limen.toml
            argv,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise click.ClickException(f"nothing was written. {what} did not end well: {error}") from error
    if done.returncode:
        told = (done.stdout + done.stderr).strip()
        raise click.ClickException(f"nothing was written. {what} failed with status {done.returncode}:\n{told}")
    return done.stdout
