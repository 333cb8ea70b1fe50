"""The API gateway you write in FastAPI."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limen.app.access import caller
    from limen.app.document.problem import Problem, problems
    from limen.app.gateway import IDENTITY, Gateway
    from limen.app.group import Group
    from limen.app.router import Router
    from limen.auth.rules import Rule, anyone, owner, role, scope, signed_in
    from limen.client.limits import ClientLimits
    from limen.client.trust import Trust
    from limen.errors import DeclarationError
    from limen.exchange.principal import Principal
    from limen.runtime.proxy_status import ProxyStatus
    from limen.runtime.split import Split, header_is
    from limen.upstream.balance import Hash, LeastRequests, RoundRobin, Sticky
    from limen.upstream.declared import Limits, Timeouts, Upstream
    from limen.upstream.ejection import Ejection
    from limen.upstream.health import Health
    from limen.upstream.retry import Hedge, Retry
    from limen.upstream.tls_declared import Tls

__all__ = [
    "IDENTITY",
    "ClientLimits",
    "DeclarationError",
    "Ejection",
    "Gateway",
    "Group",
    "Hash",
    "Health",
    "Hedge",
    "LeastRequests",
    "Limits",
    "Principal",
    "Problem",
    "ProxyStatus",
    "Retry",
    "RoundRobin",
    "Router",
    "Rule",
    "Split",
    "Sticky",
    "Timeouts",
    "Tls",
    "Trust",
    "Upstream",
    "anyone",
    "caller",
    "header_is",
    "owner",
    "problems",
    "role",
    "scope",
    "signed_in",
]

# Where each is from, whence it is imported when it is first asked for. FastAPI comes with most of them, and takes longer
# to import than all of the rest: who imports a part of limen, such as the command line, is not to wait for that.
_HOMES = {
    "IDENTITY": "limen.app.gateway",
    "ClientLimits": "limen.client.limits",
    "DeclarationError": "limen.errors",
    "Ejection": "limen.upstream.ejection",
    "Gateway": "limen.app.gateway",
    "Group": "limen.app.group",
    "Hash": "limen.upstream.balance",
    "Health": "limen.upstream.health",
    "Hedge": "limen.upstream.retry",
    "LeastRequests": "limen.upstream.balance",
    "Limits": "limen.upstream.declared",
    "Principal": "limen.exchange.principal",
    "Problem": "limen.app.document.problem",
    "ProxyStatus": "limen.runtime.proxy_status",
    "Retry": "limen.upstream.retry",
    "RoundRobin": "limen.upstream.balance",
    "Router": "limen.app.router",
    "Rule": "limen.auth.rules",
    "Split": "limen.runtime.split",
    "Sticky": "limen.upstream.balance",
    "Timeouts": "limen.upstream.declared",
    "Tls": "limen.upstream.tls_declared",
    "Trust": "limen.client.trust",
    "Upstream": "limen.upstream.declared",
    "anyone": "limen.auth.rules",
    "caller": "limen.app.access",
    "header_is": "limen.runtime.split",
    "owner": "limen.auth.rules",
    "problems": "limen.app.document.problem",
    "role": "limen.auth.rules",
    "scope": "limen.auth.rules",
    "signed_in": "limen.auth.rules",
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
