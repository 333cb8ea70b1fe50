"""``limen.toml``: the declaration of what ``limen up`` runs. Frozen models; every message names the place in the file."""

import os
import re
import secrets
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import click
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=32)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]

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
    """One process.

    - ``app``: ``module:attribute`` of an ASGI application.
    - ``port``: where it listens, on the loopback address.
    - ``env``: its environment. ``${other.port}`` and ``${other.url}`` refer to services, ``${secrets.NAME}`` to secrets.
    - ``before``: commands that run to their end first, such as migrations; ``python`` is the interpreter of limen.
    - ``health``: the path that answers 200 once the service is ready.
    - ``dir``: folder of its sources, relative to the file's; importable, and watched by ``--reload``.
    """

    app: Annotated[str, StringConstraints(pattern=r"^[\w.]+:[\w.]+$")]
    port: Port
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

    def resolve(self, text: str, secrets: Mapping[str, str]) -> str:
        """Return ``text`` with its references resolved; raises KeyError with the first unknown one."""
        known = {f"{name}.port": str(service.port) for name, service in self.services.items()}
        known |= {f"{name}.url": f"http://127.0.0.1:{service.port}" for name, service in self.services.items()}
        known |= {f"secrets.{name}": value for name, value in secrets.items()}
        return _REFERENCE.sub(lambda match: known[match[1]], text)


def read(path: Path, ports: Sequence[str] = ()) -> Topology:
    """Read ``path``; ``ports`` are ``name=port`` overrides. Raises ClickException with every mistake."""
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise click.ClickException(f"there is no {path}; write one, or name it with --file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    try:
        topology = _with_ports(Topology.model_validate(document), ports)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc']))}: {_TYPE_MESSAGES.get(e['type'], e['msg'])}"
            for e in error.errors(include_input=False)
        ]
        raise click.ClickException("\n".join([f"{path} does not fit:", *lines])) from error
    _check(topology, path)
    return topology


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


def _with_ports(topology: Topology, ports: Sequence[str]) -> Topology:
    services = dict(topology.services)
    for text in ports:
        name, _, port = text.partition("=")
        if name not in services or not port.isdecimal() or not 0 < int(port) < 65536:
            known = ", ".join(services)
            raise click.UsageError(f"--port {text}: write NAME=PORT, with a port of 1-65535 and one of: {known}")
        services[name] = services[name].model_copy(update={"port": int(port)})
    return topology.model_copy(update={"services": services})


def _check(topology: Topology, path: Path) -> None:
    problems: list[str] = []
    ports: dict[int, str] = {}
    placeholders = dict.fromkeys(topology.up.secrets, "")
    for name, service in topology.services.items():
        if other := ports.get(service.port):
            problems.append(f"services.{name}.port: {service.port} is also that of {other}; give each its own")
        ports.setdefault(service.port, name)
        for variable, text in service.env.items():
            try:
                topology.resolve(text, placeholders)
            except KeyError as error:
                problems.append(
                    f"services.{name}.env.{variable}: nothing is called ${{{error.args[0]}}}; "
                    "write ${service.url}, ${service.port} or ${secrets.NAME} with NAME in up.secrets"
                )
    try:
        topology.resolve(topology.up.banner, {})
    except KeyError as error:
        problems.append(
            f"up.banner: nothing is called ${{{error.args[0]}}}; services and their url or port may be named"
        )
    if problems:
        raise click.ClickException("\n".join([f"{path} does not fit:", *(f"  {line}" for line in problems)]))
