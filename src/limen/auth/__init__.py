"""Authentication, as a gateway's code uses it: declare methods, issue tokens (in ``after`` of a login, say), end tokens."""

from collections.abc import Sequence

from limen.auth.api_keys import ApiKeys
from limen.auth.assertion import Assertion
from limen.auth.decoder import TokenDecoder
from limen.auth.issuer.declared import Issuer
from limen.auth.jose.keys import Keys
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import issue as _issue
from limen.auth.method import Method, Methods
from limen.auth.revocation import RevocationStore
from limen.auth.revocation_live import Revocations
from limen.exchange.clock import now as _now


def issue(
    config: Jwt,
    subject: int | str,
    role: str,
    *,
    session: str | None = None,
    scopes: Sequence[str] = (),
    now: float | None = None,
) -> str:
    """Return a token for ``subject`` with ``role``, signed as ``config`` says, which begins at ``now``.

    ``session`` becomes the claim ``sid``, by which ``Revocations.end_session`` ends it early. ``now`` is in seconds since
    the epoch, by default this moment. Raises ValueError if there is no private key, and for what cannot be a claim.
    """
    return _issue(config, subject, role, _now() if now is None else now, session=session, scopes=scopes)


__all__ = [
    "ApiKeys",
    "Assertion",
    "Issuer",
    "Jwt",
    "Keys",
    "Method",
    "Methods",
    "RevocationStore",
    "Revocations",
    "TokenDecoder",
    "issue",
]
