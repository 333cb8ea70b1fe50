"""The API gateway you write in FastAPI."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limen.declare.limits import ClientLimits
    from limen.declare.policy import Rule, anyone, owner, role, scope, signed_in
    from limen.declare.principal import Principal
    from limen.declare.tls import Tls
    from limen.declare.trust import Trust
    from limen.declare.upstream import Limits, Timeouts, Upstream
    from limen.errors import DeclarationError
    from limen.gateway import IDENTITY, Gateway
    from limen.group import Group
    from limen.openapi import Problem, problems

__all__ = [
    "IDENTITY",
    "ClientLimits",
    "DeclarationError",
    "Gateway",
    "Group",
    "Limits",
    "Principal",
    "Problem",
    "Rule",
    "Timeouts",
    "Tls",
    "Trust",
    "Upstream",
    "anyone",
    "owner",
    "problems",
    "role",
    "scope",
    "signed_in",
]

# Where each is from, whence it is imported when it is first asked for. FastAPI comes with most of them, and takes longer
# to import than all of the rest: who imports a part of limen, such as the command line, is not to wait for that.
_HOMES = {
    "IDENTITY": "limen.gateway",
    "ClientLimits": "limen.declare.limits",
    "DeclarationError": "limen.errors",
    "Gateway": "limen.gateway",
    "Group": "limen.group",
    "Limits": "limen.declare.upstream",
    "Principal": "limen.declare.principal",
    "Problem": "limen.openapi",
    "Rule": "limen.declare.policy",
    "Timeouts": "limen.declare.upstream",
    "Tls": "limen.declare.tls",
    "Trust": "limen.declare.trust",
    "Upstream": "limen.declare.upstream",
    "anyone": "limen.declare.policy",
    "owner": "limen.declare.policy",
    "problems": "limen.openapi",
    "role": "limen.declare.policy",
    "scope": "limen.declare.policy",
    "signed_in": "limen.declare.policy",
}


def __getattr__(name: str) -> object:
    """Import what is public (PEP 562)."""
    if name in _HOMES:
        found: object = getattr(import_module(_HOMES[name]), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")  # limen.errors, say, without a line that imports it
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
