"""Calling a gateway as somebody, with the tokens that it accepts."""

from collections.abc import Mapping, Sequence

from limen.app.gateway import Gateway
from limen.auth import issue
from limen.auth.jwt import Jwt


def token_for(
    app: Gateway,
    subject: int | str,
    role: str = "user",
    *,
    scopes: Sequence[str] = (),
    session: str | None = None,
    now: float | None = None,
) -> str:
    """Return a token for the caller ``subject`` with ``role``, signed with the key of the gateway's own ``Jwt``.

    ``scopes`` and ``session`` are further claims. It begins at ``now``, in seconds since the epoch, by default the present:
    with a clock, give ``now=clock.now()``. Raises LookupError if the gateway has no ``Jwt`` that can sign.
    """
    found = next((one for one in app.auth if isinstance(one, Jwt)), None)
    if found is None:
        raise LookupError(
            "the gateway has no auth=Jwt(...) to sign a token with; give serving() the outside issuer, or the service of the "
            "API keys, as one of its services=, or make the gateway of the test with auth=Jwt(...)"
        )
    return issue(found, subject, role, session=session, scopes=scopes, now=now)


def as_caller(
    app: Gateway,
    subject: int | str,
    role: str = "user",
    *,
    scopes: Sequence[str] = (),
    session: str | None = None,
    now: float | None = None,
) -> Mapping[str, str]:
    """Return the headers of a request by that caller: ``client.get("/api/orders", headers=as_caller(app, 7, "admin"))``.

    The arguments are those of ``token_for``.
    """
    return {"authorization": f"Bearer {token_for(app, subject, role, scopes=scopes, session=session, now=now)}"}
