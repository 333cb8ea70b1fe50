"""The API gateway you write in FastAPI."""

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
