"""Reads from a request who is calling. A request without an identity did not come through the gateway and is refused.

There are two sources, and the operator decides between them: there is no default. With the gateway's keys in
``IDENTITY_KEYS``, the signed assertion in ``request-identity`` is required: it is a token for this service alone, so a
request that bypasses the gateway has no identity. With ``IDENTITY_KEYS=plain``, the plain headers are trusted, and only the
network keeps others from writing them.
"""

import logging
from collections.abc import Awaitable, Callable
from time import time
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers

from limen_kit.fields import MAX_ROW_ID
from limen_kit.principal import Caller, Identity
from limen_kit.problems import Problem
from limen_kit.settings import ServiceSettings

if TYPE_CHECKING:
    from limen_kit.assertion import AssertionVerifier

_log = logging.getLogger("limen_kit.identity")

PLAIN = "plain"
"""The value of ``IDENTITY_KEYS`` that trusts plain headers. A file of that name is ``./plain``."""

_CHOICE = (
    "set it to the gateway's public keys, such as https://gateway/.well-known/jwks.json. Only where nobody but the gateway "
    f"can reach this port: IDENTITY_KEYS={PLAIN} believes request-user-id from whoever does"
)

IdentitySource = Callable[[Headers], Awaitable[Identity]]
"""Returns the identity in a request's headers; raises Problem."""


class SignedIdentity:
    """Accepts only identities that the gateway has signed."""

    def __init__(self, verifier: "AssertionVerifier", now: Callable[[], float] = time) -> None:
        """Verify with ``verifier``; ``now`` gives seconds since the epoch."""
        self.verifier = verifier
        self.now = now

    async def __call__(self, headers: Headers) -> Identity:
        """Return the identity; raises Problem."""
        # Not at the top: the verifier exists, so this module is loaded already; without keys it never is.
        from limen_kit.assertion import InvalidAssertion, KeysUnavailable

        tokens = headers.getlist("request-identity")
        if not tokens:
            raise _identity_missing()
        try:
            if len(tokens) > 1:
                raise InvalidAssertion("there are several")
            identity = await self.verifier.verify(tokens[0], self.now())
            # Other code may read the plain headers, so they must agree with the assertion.
            for name, value in (
                ("request-user-id", identity.subject),
                ("request-session-id", identity.session_id or ""),
            ):
                if headers.getlist(name) not in ([], [value]):
                    raise InvalidAssertion(f"{name} disagrees with it")
        except InvalidAssertion as error:
            _log.warning("an identity is refused: %s", error)
            raise _identity_invalid() from None
        except KeysUnavailable:
            raise Problem(
                503, "identity_unavailable", "The caller's identity cannot be checked now.", {"retry-after": "5"}
            ) from None
        return identity


async def plain_identity(headers: Headers) -> Identity:
    """Return the identity in the plain headers, unverified; raises Problem."""
    names = ("request-user-id", "request-user-role", "request-session-id")
    user_ids, roles, sessions = map(headers.getlist, names)
    # The gateway writes each header once: a repeated one did not come from the gateway alone.
    if len(user_ids) != 1 or len(roles) > 1 or len(sessions) > 1:
        raise _identity_missing()
    return Identity(
        user_ids[0],
        frozenset(role for role in roles if role),
        session_id=next((session for session in sessions if session), None),
    )


def identity_source(settings: ServiceSettings, name: str | None) -> IdentitySource:
    """Return the identity source of the service ``name``.

    Raises ValueError for settings that can never work; the message says how to fix them.
    """
    if settings.identity_keys is None:
        raise ValueError(f"IDENTITY_KEYS is not set, so nobody has decided whose word for a caller counts; {_CHOICE}")
    if not settings.identity_keys.strip():
        # An empty variable was meant to hold keys: it must not open the service to everybody.
        raise ValueError(f"IDENTITY_KEYS is empty; {_CHOICE}")
    if settings.identity_keys.strip() == PLAIN:
        return plain_identity
    from limen_kit.assertion import AssertionVerifier
    from limen_kit.keys import key_source

    audience = settings.identity_audience or name
    if not audience:
        raise ValueError(
            "IDENTITY_KEYS needs IDENTITY_AUDIENCE, this service's name at the gateway: Upstream('orders', ...) is orders"
        )
    keys = key_source(settings.identity_keys)
    return SignedIdentity(AssertionVerifier(keys, audience=audience, issuer=settings.identity_issuer))


def warn_if_unsigned(identify: IdentitySource) -> None:
    """Log what ``IDENTITY_KEYS=plain`` means, at every start."""
    if identify is plain_identity:
        _log.warning(
            "identity is not signed: whoever can reach this service can pose as any user, since request-user-id is believed "
            "as it comes. Set IDENTITY_KEYS to the gateway's public keys, such as https://gateway/.well-known/jwks.json, and "
            "give the gateway assertion=Assertion(...)"
        )


async def _get_identity(
    request: Request,
    request_identity: Annotated[str | None, Header(description="Set by the gateway: its word for the caller.")] = None,
    request_user_id: Annotated[str | None, Header(description="Set by the gateway: the caller's id.")] = None,
    request_user_role: Annotated[str | None, Header(description="Set by the gateway: the caller's role.")] = None,
) -> Identity:
    # The parameters are for the OpenAPI document only: a parameter cannot tell how often its header comes.
    identify: IdentitySource = request.app.state.identify
    return await identify(request.headers)


CurrentIdentity = Annotated[Identity, Depends(_get_identity)]
"""The caller's identity as the gateway states it, as a parameter of a path operation; 401 without one."""


def user_id(subject: str) -> int | None:
    """Return the id of the user ``subject``; None for any other, such as a service or somebody of an external issuer."""
    # isdecimal alone would accept the digits of every script.
    number = int(subject) if subject.isascii() and subject.isdecimal() and len(subject) <= len(str(MAX_ROW_ID)) else 0
    # "07" and "7" are two subjects to the gateway, so they must not be one user here.
    return number if 1 <= number <= MAX_ROW_ID and str(number) == subject else None


async def _get_caller(identity: CurrentIdentity) -> Caller:
    number = user_id(identity.subject)
    if number is None:
        raise _identity_missing()
    return Caller(number, identity.roles, identity.scopes, identity.session_id)


CurrentCaller = Annotated[Caller, Depends(_get_caller)]
"""The caller, a user of the users service, as a parameter of a path operation; 401 without one."""


async def _get_admin(caller: CurrentCaller) -> Caller:
    if not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to access this scope.")
    return caller


AdminCaller = Annotated[Caller, Depends(_get_admin)]
"""The caller, who must be an admin; 403 otherwise."""


def _identity_missing() -> Problem:
    return Problem(
        401,
        "identity_missing",
        "This request does not say who is calling; send it through the gateway.",
        {"www-authenticate": "Bearer"},
    )


def _identity_invalid() -> Problem:
    return Problem(
        401,
        "identity_invalid",
        "The gateway does not vouch for the caller of this request; send it through the gateway.",
        {"www-authenticate": 'Bearer error="invalid_token"'},
    )
