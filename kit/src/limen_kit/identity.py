"""Who is calling, as the gateway says. A request without it did not come through the gateway and is refused.

There are two ways to believe it. With ``IDENTITY_KEYS``, the gateway's signature is asked for: ``request-identity`` holds a
token for this service alone, and whoever reaches the service past the gateway is nobody. Without, the plain headers are
believed as they come, and only the network keeps others from writing them.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers

from limen_kit.problems import Problem
from limen_kit.settings import ServiceSettings

if TYPE_CHECKING:
    from limen_kit.assertion import Verifier

LARGEST_ID = 2_147_483_647

_log = logging.getLogger("limen_kit.identity")


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller as the gateway names them: ``subject`` is text, which for users of an outside issuer it may stay."""

    subject: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller: ``id`` at the users service; ``session_id`` None has no session, such as a machine with an API key.

    Without signed identity there are no ``scopes``, and several roles come as one text, which is none of them.
    """

    id: int
    roles: frozenset[str]
    scopes: frozenset[str] = frozenset()
    session_id: str | None = None

    @property
    def role(self) -> str:
        """The role; several are joined by commas."""
        return ",".join(sorted(self.roles)) or "default"

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return "admin" in self.roles


Identify = Callable[[Headers], Awaitable[Identity]]
"""How a service learns who is calling; raises Problem."""


class Signed:
    """Believes what the gateway has signed, and nothing else."""

    def __init__(self, verifier: "Verifier", now: Callable[[], float] = time) -> None:
        """Verify with ``verifier``; ``now`` gives seconds since the epoch."""
        self.verifier = verifier
        self.now = now

    async def __call__(self, headers: Headers) -> Identity:
        """Return who is calling; raises Problem."""
        # Imported where it is known to be loaded already.
        from limen_kit.assertion import Refused, Unavailable

        tokens = headers.getlist("request-identity")
        if not tokens:
            raise _missing()
        try:
            if len(tokens) > 1:
                raise Refused("there are several")
            identity = await self.verifier.verify(tokens[0], self.now())
            # Some code may read the plain headers: they must not tell another story.
            for name, value in (
                ("request-user-id", identity.subject),
                ("request-session-id", identity.session_id or ""),
            ):
                if headers.getlist(name) not in ([], [value]):
                    raise Refused(f"{name} disagrees with it")
        except Refused as error:
            _log.warning("an identity is refused: %s", error)
            raise _invalid() from None
        except Unavailable:
            raise Problem(
                503, "identity_unavailable", "The caller's identity cannot be checked now.", {"retry-after": "5"}
            ) from None
        return identity


async def plain(headers: Headers) -> Identity:
    """Believe the plain headers; raises Problem."""
    names = ("request-user-id", "request-user-role", "request-session-id")
    ids, roles, sessions = map(headers.getlist, names)
    # The gateway writes each once: whatever comes twice did not come from it alone.
    if len(ids) != 1 or len(roles) > 1 or len(sessions) > 1:
        raise _missing()
    return Identity(
        ids[0], frozenset(role for role in roles if role), session_id=next((one for one in sessions if one), None)
    )


def identification(settings: ServiceSettings, name: str | None) -> Identify:
    """Return how a service called ``name`` learns who is calling.

    Raises ValueError for settings that can never work, and says how to mend them.
    """
    if settings.identity_keys is None:
        return plain
    if not settings.identity_keys.strip():
        # A variable that was meant to hold keys and does not must not open the service to everybody.
        raise ValueError("IDENTITY_KEYS is empty; give it the gateway's public keys, or do not set it at all")
    from limen_kit.assertion import Verifier
    from limen_kit.keys import keys_from

    audience = settings.identity_audience or name
    if not audience:
        raise ValueError(
            "IDENTITY_KEYS needs IDENTITY_AUDIENCE, this service's name at the gateway: Upstream('orders', ...) is orders"
        )
    keys = keys_from(settings.identity_keys)
    return Signed(Verifier(keys, audience=audience, issuer=settings.identity_issuer))


def warn_if_plain(identify: Identify) -> None:
    """Say once what it means that identity is not signed."""
    if identify is plain:
        _log.warning(
            "identity is not signed: whoever can reach this service can pose as any user, since request-user-id is believed "
            "as it comes. Set IDENTITY_KEYS to the gateway's public keys, such as https://gateway/.well-known/jwks.json, and "
            "give the gateway assertion=Assertion(...)"
        )


async def _identity(
    request: Request,
    request_identity: Annotated[str | None, Header(description="Set by the gateway: its word for the caller.")] = None,
    request_user_id: Annotated[str | None, Header(description="Set by the gateway: the caller's id.")] = None,
    request_user_role: Annotated[str | None, Header(description="Set by the gateway: the caller's role.")] = None,
) -> Identity:
    # The parameters are for the document; each header is counted, which a parameter cannot do.
    identify: Identify = request.app.state.identify
    return await identify(request.headers)


CurrentIdentity = Annotated[Identity, Depends(_identity)]
"""The caller as the gateway names them, as a parameter of a path operation; 401 without one."""


async def _caller(identity: CurrentIdentity) -> Caller:
    text = identity.subject
    # isdecimal alone would take digits of every script.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID)) else 0
    # "07" is another name than "7" to the gateway, so it must not be the same user here.
    if not 1 <= number <= LARGEST_ID or str(number) != text:
        raise _missing()
    return Caller(number, identity.roles, identity.scopes, identity.session_id)


CurrentCaller = Annotated[Caller, Depends(_caller)]
"""The caller, who is one of the users service's, as a parameter of a path operation; 401 without one."""


async def _admin(caller: CurrentCaller) -> Caller:
    if not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to access this scope.")
    return caller


AdminCaller = Annotated[Caller, Depends(_admin)]
"""The caller, who must be an admin; 403 otherwise."""


def _missing() -> Problem:
    return Problem(
        401,
        "identity_missing",
        "This request does not say who is calling; send it through the gateway.",
        {"www-authenticate": "Bearer"},
    )


def _invalid() -> Problem:
    return Problem(
        401,
        "identity_invalid",
        "The gateway does not vouch for the caller of this request; send it through the gateway.",
        {"www-authenticate": 'Bearer error="invalid_token"'},
    )
