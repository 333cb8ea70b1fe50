"""Who is calling, as verified: the only basis of decisions about a caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. ``claims`` are those of the verified token, for rules that need more than roles and scopes.

    ``memo`` caches what is derived from a caller, for as long as the token is cached.
    """

    id: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    memo: dict[object, Any] = field(default_factory=dict[object, Any], repr=False, compare=False)
