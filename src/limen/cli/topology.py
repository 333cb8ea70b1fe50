"""``limen.toml``: the declaration of what ``limen up`` runs. Frozen models; every message names the place in the file."""

import os
import re
import secrets
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from limen.cli.targets import LAST_PORT, NoPortLeft, Target, place, references, target_names

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=32)]
Port = Annotated[int, Field(strict=True, ge=1, le=LAST_PORT)]

# Processes of one service: more than one machine has a use for, and few enough to start at once.
MAX_TARGETS = 32

# Messages for values of a wrong type, in the terms of TOML; pydantic's are in those of Python.
_TYPE_MESSAGES = {
    "int_type": "Input should be a whole number, without quotes",
    "string_type": "Input should be a string, in quotes",
    "path_type": "Input should be a path, in quotes",
    "tuple_type": 'Input should be an array: ["one", "two"]',
    "dict_type": "Input should be a table",
    "model_type": "Input should be a table",
}

_REFERENCE = re.compile(r"\$\{([^}]*)\}")


class StrictModel(BaseModel):
    """A frozen model in which unknown keys are errors: a misspelt one must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(StrictModel):
    """One service: a process, or several that are alike and share its data.

    - ``app``: ``module:attribute`` of an ASGI application.
    - ``port``: where it listens, on the loopback address.
    - ``targets``: how many processes. From two on they are called ``NAME-1``, ``NAME-2`` and so on. The first has ``port``,
      the others the next numbers that nothing else in the file has.
    - ``env``: their environment. ``${other.url}``, ``${other.urls}`` and ``${other.port}`` refer to services,
      ``${secrets.NAME}`` to secrets.
    - ``before``: commands that run to their end first, once for the service, such as migrations; ``python`` is the
      interpreter of limen.
    - ``health``: the path that answers 200 once the service is ready.
    - ``dir``: folder of its sources, relative to the file's; importable, and watched by ``--reload``.
    """

    app: Annotated[str, StringConstraints(pattern=r"^[\w.]+:[\w.]+$")]
    port: Port
    targets: Annotated[int, Field(strict=True, ge=1, le=MAX_TARGETS)] = 1
    env: dict[str, str] = {}
    before: tuple[str, ...] = ()
    health: Annotated[str, StringConstraints(pattern=r"^/")] = "/healthz"
    dir: Path = Path()


class UpOptions(StrictModel):
    """The table ``[up]``.

    ``secrets`` are generated once, kept beside the data and never printed; ``banner`` is shown when all services are up;
    ``watch`` are more folders for ``--reload``.
    """

    secrets: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], ...] = ()
    banner: str = ""
    watch: tuple[Path, ...] = ()


class Topology(StrictModel):
    """Services are started in the order of the file and stopped in reverse."""

    up: UpOptions = UpOptions()
    services: Annotated[dict[Name, Service], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Layout:
    """A topology whose processes have their names and ports: ``targets`` by service, in the order of the file."""

    declared: Topology
    targets: dict[str, tuple[Target, ...]]

    def resolve(self, text: str, secrets: Mapping[str, str]) -> str:
        """Return ``text`` with its references resolved; raises KeyError with the first unknown one."""
        known = references(self.targets) | {f"secrets.{name}": value for name, value in secrets.items()}
        return _REFERENCE.sub(lambda match: known[match[1]], text)

    def all_targets(self) -> Iterator[Target]:
        """Return every process, in the order in which they start."""
        for targets in self.targets.values():
            yield from targets


def read(path: Path, ports: Sequence[str] = ()) -> Layout:
    """Read ``path``; ``ports`` are ``name=port`` overrides. Raises ClickException with every mistake."""
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise click.ClickException(f"there is no {path}; write one, or name it with --file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    try:
        topology = Topology.model_validate(document)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc']))}: {_TYPE_MESSAGES.get(e['type'], e['msg'])}"
            for e in error.errors(include_input=False)
        ]
        raise _misfit(path, lines) from error
    chosen = _chosen_ports(topology, ports)
    if problems := _collisions(topology, chosen):
        raise _misfit(path, problems)
    try:
        layout = lay_out(topology, chosen)
    except NoPortLeft as error:
        raise _misfit(path, [str(error)]) from error
    if problems := [*_unknown_references(layout)]:
        raise _misfit(path, problems)
    return layout


def lay_out(topology: Topology, ports: Mapping[str, int]) -> Layout:
    """Give each target its name and port; ``ports`` are overrides by the name of a service or target."""
    names = {name: target_names(name, service.targets) for name, service in topology.services.items()}
    own = {name: ports.get(name, service.port) for name, service in topology.services.items()}
    targets = {name for these in names.values() for name in these}
    return Layout(topology, place(names, own, {name: port for name, port in ports.items() if name in targets}))


def load_secrets(topology: Topology, folder: Path) -> dict[str, str]:
    """Return the secrets: from the environment where set, else from ``folder``, generated on first use (mode 0600)."""
    values: dict[str, str] = {}
    for name in topology.up.secrets:
        path = folder / name
        if value := os.environ.get(name):
            values[name] = value
        elif path.exists():
            values[name] = path.read_text().strip()
        else:
            values[name] = secrets.token_urlsafe(48)
            folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(values[name] + "\n")
    return values


def command(line: str) -> list[str]:
    """Split a ``before`` line; ``python`` becomes our own interpreter."""
    words = shlex.split(line)
    return [sys.executable, *words[1:]] if words[:1] == ["python"] else words


def _chosen_ports(topology: Topology, options: Sequence[str]) -> dict[str, int]:
    """Return the ports of ``--port``, by the name of a service or of one of its targets."""
    names = list(topology.services)
    for name, service in topology.services.items():
        if service.targets > 1:
            names += target_names(name, service.targets)
    chosen: dict[str, int] = {}
    for text in options:
        name, _, port = text.partition("=")
        if name not in names or not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
            known = ", ".join(names)
            raise click.UsageError(f"--port {text}: write NAME=PORT, with a port of 1-65535 and one of: {known}")
        chosen[name] = int(port)
    return chosen


def _collisions(topology: Topology, chosen: Mapping[str, int]) -> list[str]:
    """Return what names two processes alike, or gives two of them one port."""
    problems: list[str] = []
    ports: dict[int, str] = {}

    def claim(place: str, name: str, port: int) -> None:
        if (other := ports.setdefault(port, name)) != name:
            problems.append(f"{place}: {port} is also that of {other}; give each its own")

    for name, service in topology.services.items():
        # The first target has the port of the service, unless it was chosen for the target itself.
        first, *others = target_names(name, service.targets)
        port = chosen.get(first) or chosen.get(name) or service.port
        claim(f"services.{name}.port", first, port)
        for target in others:
            if target in chosen:
                claim(f"--port {target}={chosen[target]}", target, chosen[target])
        if service.targets > 1:
            problems += [
                f"services.{target}: this is also the name of a target of {name}, which has {service.targets}; "
                "call the service something else"
                for target in (first, *others)
                if target in topology.services
            ]
    return problems


def _unknown_references(layout: Layout) -> Iterator[str]:
    secrets = dict.fromkeys(layout.declared.up.secrets, "")
    for name, service in layout.declared.services.items():
        for variable, text in service.env.items():
            try:
                layout.resolve(text, secrets)
            except KeyError as error:
                mend = (
                    "write ${service.url}, ${service.urls}, ${service.port} or ${secrets.NAME} with NAME in up.secrets"
                )
                yield f"services.{name}.env.{variable}: {_unknown(layout, error.args[0], mend)}"
    try:
        layout.resolve(layout.declared.up.banner, {})
    except KeyError as error:
        mend = "services and their url, urls or port may be named"
        yield f"up.banner: {_unknown(layout, error.args[0], mend)}"


def _unknown(layout: Layout, reference: str, mend: str) -> str:
    name, _, what = reference.partition(".")
    targets = layout.targets.get(name, ())
    if len(targets) > 1 and what in ("url", "port"):
        one = f"${{{targets[0].name}.{what}}}"
        return f"${{{reference}}}: {name} has {len(targets)} targets; write ${{{name}.urls}} for all, or {one} for one"
    return f"nothing is called ${{{reference}}}; {mend}"


def _misfit(path: Path, problems: Sequence[str]) -> click.ClickException:
    return click.ClickException("\n".join([f"{path} does not fit:", *(f"  {line}" for line in problems)]))
