"""The settings of the shop from its models: docs/settings.md, and the shorter table of README."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from doc_tables.table import Filled, Table, filled, under
from limen.cli.topology import read
from shop_gateway.settings import Settings as GatewaySettings

ROOT = Path(__file__).parents[2]
GATEWAY = "gateway"


def _of(app: str) -> type[BaseSettings]:
    return import_module(f"{app.partition('.')[0]}.settings").Settings


# Those that `make up` starts, by name.
SERVICES: dict[str, type[BaseSettings]] = {
    name: _of(service.app) for name, service in read(ROOT / "limen.toml").declared.services.items() if name != GATEWAY
}
# What is worked out where a setting is not given: the model says nothing of it.
WORDS = {
    "HASH_THREADS": "one fewer than cores",
    "IDENTITY_AUDIENCE": "the service's name",
}
REQUIRED = "none: required"
# What a service does not start without, though the model has a default: migrating its database does not need it.
NEEDED_TO_START = frozenset({"IDENTITY_KEYS"})

Defaults = dict[str, str]


def gateway() -> Defaults:
    """Return the default of every setting of the gateway."""
    return _defaults(GatewaySettings)


def services() -> dict[str, tuple[str, str]]:
    """Return who has a setting, and its default, for every setting of a service.

    Raises ValueError where two services have other defaults, beyond their own names in them.
    """
    found: dict[str, dict[str, str]] = {}
    for who, model in SERVICES.items():
        for name, default in _defaults(model).items():
            told_default = REQUIRED if name in NEEDED_TO_START else default
            found.setdefault(name, {})[who] = told_default.replace(f"//{who}.", "//<service>.")
    told: dict[str, tuple[str, str]] = {}
    for name, by_service in found.items():
        if len(set(by_service.values())) > 1:
            raise ValueError(f"{name}: its defaults differ between services: {by_service}")
        who = "all" if len(by_service) == len(SERVICES) else ", ".join(by_service)
        told[name] = who, next(iter(by_service.values()))
    return told


def page(text: str) -> Filled:
    """Fill docs/settings.md: the defaults of the gateway, and those of the services with who has them."""
    own = {name: {"default": default} for name, default in gateway().items()}
    theirs = {name: {"who": who, "default": default} for name, (who, default) in services().items()}
    first = filled(text, [under(text, "## Gateway")], _names, own)
    second = filled(first.text, [under(first.text, "## Services")], _names, theirs)
    return Filled(second.text, first.problems + second.problems)


def readme(text: str) -> Filled:
    """Fill the defaults in README, where the services' settings stand with the gateway's."""
    values = {f"{name} (gateway)": {"default": default} for name, default in gateway().items()}
    for name, (who, default) in services().items():
        values[f"{name} ({'services' if who == 'all' else who})"] = {"default": default}

    def keys(table: Table, row: Sequence[str]) -> list[str]:
        return [f"{name} ({row[table.column('who')]})" for name in _names(table, row)]

    return filled(text, [under(text, "## Settings")], keys, values)


def _names(table: Table, row: Sequence[str]) -> list[str]:
    return re.findall(r"`([A-Z_]+)`", row[table.column("name")])


def _defaults(model: type[BaseSettings]) -> Defaults:
    """Return the defaults of a model by the names that the environment has for them."""
    found: Defaults = {}
    for field, info in model.model_fields.items():
        name = field.upper()
        found[name] = WORDS.get(name) or (REQUIRED if info.is_required() else _text(info.default))
    return found


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{int(value)}`"
    # A secret has no default that could be told.
    assert not isinstance(value, SecretStr)
    return f"`{value}`"
