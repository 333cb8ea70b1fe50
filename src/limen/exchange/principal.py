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

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Raise TypeError: what is read from a request could be anybody."""
        raise TypeError(
            "a Principal is who is calling, and is never read from a request; take it as a "
            "parameter of an endpoint with allow=, or as Annotated[Principal, Depends(limen.caller)] in a dependency"
        )
