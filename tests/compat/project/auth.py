"""Authentication of the project, as that of the article has it: a decoder, two checkers, a header generator."""

import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

SECRET = "a key that only these tests know, long enough"
_KEY = OctKey.import_key(SECRET)


class AuthTokenMissing(Exception):
    """There is no token."""


class AuthTokenExpired(Exception):
    """The token was good once."""


class AuthTokenCorrupted(Exception):
    """The token is not one of ours."""


def encode_access_token(user: dict[str, Any], minutes: float = 360) -> str:
    """Return a token for ``user``."""
    claims = {"id": user["id"], "user_type": user["user_type"], "exp": int(time.time() + minutes * 60)}
    return jwt.encode({"alg": "HS256"}, claims, _KEY)


def decode_access_token(authorization: str | None = None) -> dict[str, Any]:
    """Return the payload of the token in the header."""
    if not authorization:
        raise AuthTokenMissing("Auth token is missing in headers.")
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), _KEY, algorithms=["HS256"]).claims
    except (JoseError, ValueError) as error:
        raise AuthTokenCorrupted(f"this text must not leave the gateway: {authorization}") from error
    if claims.get("exp", 0) <= time.time():
        raise AuthTokenExpired("Auth token is expired.")
    return claims


def is_admin_user(payload: dict[str, Any]) -> bool:
    """Tell whether an admin calls."""
    return payload["user_type"] == "admin"


def is_default_user(payload: dict[str, Any]) -> bool:
    """Tell whether a user calls, or an admin."""
    return payload["user_type"] in ("default", "admin")


def generate_request_header(payload: dict[str, Any]) -> dict[str, str]:
    """Return the headers that tell a service who calls."""
    return {"request-user-id": str(payload["id"])}


NOT_A_FUNCTION = 7
