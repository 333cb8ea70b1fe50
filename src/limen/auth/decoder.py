"""Tokens that a function of the user's decodes: for forms that no other method reads. Configuration only."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from limen.auth.jose.claims import Claims
from limen.auth.method import Method
from limen.auth.rules import is_async

Decode = Callable[[str | None], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class TokenDecoder(Method):
    """Callers whom ``decode`` knows. Prefer ``Jwt`` or ``Issuer`` for tokens that they can verify.

    ``decode`` gets the value of ``Authorization`` as it came, or None without one, and returns the claims of the caller. It
    alone decides whether they are good: signature, end, scheme. The claims named hold the caller's id (text or whole number),
    role (text or list) and scopes (space-separated text or list). Claims without an id are refused.

    Whatever it raises is a 401: ``token_missing`` without the header, ``token_expired`` for an exception with "Expired" in
    the name of its class, or of a base of that, and ``token_corrupted`` for any other. The access log names the class; the
    text is neither logged nor sent.

    With ``Gateway(revocations=)``, the store is asked about what ``decode`` accepts. The claims need ``exp`` then, no later
    than that of the gateway's own tokens: the store remembers an end for no longer.

    ``decode`` is called in the event loop, for each request that is not public, and nothing is cached: all other requests
    wait for it. It must not wait for a service or a file. It cannot be async.
    """

    decode: Decode
    id_claim: str = field(default="id", kw_only=True)
    role_claim: str = field(default="user_type", kw_only=True)
    scope_claim: str = field(default="scope", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot be called with one argument, and what would have to be awaited."""
        decode: object = self.decode
        name = getattr(decode, "__name__", type(decode).__name__)
        if not callable(decode):
            raise TypeError(f"TokenDecoder: {decode!r} is no function of the Authorization header")
        if is_async(decode):
            raise TypeError(f"TokenDecoder: {name} is async, and nothing may wait here; make it def")
        try:
            inspect.signature(decode).bind(None)
        except TypeError:
            raise TypeError(f"TokenDecoder: {name} must take one argument, the Authorization header or None") from None
        except ValueError:
            pass  # many functions in C have no signature

    @property
    def claims(self) -> Claims:
        """Which claims say who calls."""
        return Claims(
            id_claim=self.id_claim, role_claim=self.role_claim, scope_claim=self.scope_claim, roles_needed=False
        )
