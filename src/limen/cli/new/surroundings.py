"""The project that a new service comes into, as its limen.toml says: where the gateway is, what is beside it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click

from limen.cli.targets import LAST_PORT
from limen.cli.topology import Layout, Service, read

TOPOLOGY = "limen.toml"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A project. Paths are relative to ``root``, the folder of its limen.toml; ``gateway`` is the name of its gateway."""

    root: Path
    layout: Layout
    gateway: str

    @classmethod
    def find(cls, start: Path, gateway: str) -> "Surroundings":
        """Find the project from the folder ``start`` upwards. Raises ClickException."""
        root = next((folder for folder in (start, *start.parents) if (folder / TOPOLOGY).is_file()), None)
        if root is None:
            raise click.ClickException(
                f"there is no {TOPOLOGY} in {start} or above it; change to the folder of a project, or make one: "
                "limen new project NAME"
            )
        layout = read(root / TOPOLOGY)
        if gateway not in layout.declared.services:
            known = ", ".join(layout.declared.services)
            raise click.ClickException(
                f"{root / TOPOLOGY} has no service {gateway}, which should be the gateway; "
                f"say which is: --gateway NAME ({known})"
            )
        found = cls(root, layout, gateway)
        if not (root / found.gateway_sources / "__init__.py").is_file():
            raise click.ClickException(
                f"services.{gateway}: {found.gateway_sources}/__init__.py is not there; the gateway has to be a package in "
                f'the folder that dir says, as in app = "shop_gateway.app:app" with dir = "shop/gateway/src"'
            )
        return found

    @property
    def services(self) -> dict[str, Service]:
        """The services by name, in the order of the file."""
        return self.layout.declared.services

    @property
    def gateway_app(self) -> str:
        """The gateway's ``module:attribute``."""
        return self.services[self.gateway].app

    @property
    def gateway_package(self) -> str:
        """The name of the gateway's package."""
        return self.gateway_app.partition(":")[0].partition(".")[0]

    @property
    def gateway_dir(self) -> PurePosixPath:
        """The folder that makes the gateway's package importable."""
        return PurePosixPath(self.services[self.gateway].dir.as_posix())

    @property
    def gateway_sources(self) -> PurePosixPath:
        """The folder of the gateway's package."""
        return self.gateway_dir / self.gateway_package

    def package(self, name: str) -> str:
        """Return what the package of the service ``name`` is called: ``shop_reviews`` beside ``shop_gateway``."""
        return f"{self.gateway_package.removesuffix(self.gateway)}{name}" if self._has_prefix else name

    def distribution(self, name: str) -> str:
        """Return what its distribution is called."""
        return self.package(name).replace("_", "-")

    def folder(self, name: str) -> PurePosixPath:
        """Return the folder of the service ``name``, beside that of the gateway."""
        beside = self.gateway_dir.parent if self.gateway_dir.name == "src" else self.gateway_dir
        return beside.parent / name

    def free_port(self) -> int:
        """Return the port after those of the other services. Raises ClickException where none is left."""
        taken = {target.port for target in self.layout.all_targets()}
        others = [target.port for target in self.layout.all_targets() if target.service != self.gateway]
        port = max(others, default=self.services[self.gateway].port) + 1
        while port in taken:
            port += 1
        if port > LAST_PORT:
            raise click.ClickException("no port is left above those of the other services; choose one: --port PORT")
        return port

    def model(self, pyproject: str) -> str | None:
        """Return the last service that is like a new one: the dependencies of ``pyproject``, and no further settings."""
        wanted = _dependencies(pyproject)
        for name, service in reversed(self.services.items()):
            path = self.root / self.folder(name) / "pyproject.toml"
            plain = service.env.keys() <= {"IDENTITY_KEYS"} and service.targets == 1
            if name != self.gateway and plain and path.is_file() and _dependencies(path.read_text("utf-8")) == wanted:
                return name
        return None

    def identity_keys(self, beside: str | None) -> str:
        """Return where a new service finds the gateway's public keys: where ``beside`` does."""
        if beside is not None and (keys := self.services[beside].env.get("IDENTITY_KEYS")):
            return keys
        return f"${{{self.gateway}.url}}/.well-known/jwks.json"

    def kit_is_in_the_workspace(self) -> bool:
        """Tell whether the project's own uv workspace has the kit."""
        try:
            document: dict[str, Any] = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            return False
        source = document.get("tool", {}).get("uv", {}).get("sources", {}).get("limen-kit")
        return source == {"workspace": True}

    @property
    def _has_prefix(self) -> bool:
        return self.gateway_package.endswith(f"_{self.gateway}")


def _dependencies(pyproject: str) -> frozenset[str] | None:
    try:
        return frozenset(tomllib.loads(pyproject)["project"]["dependencies"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
