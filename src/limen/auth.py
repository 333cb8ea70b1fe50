"""Tokens, as a gateway's code needs them: the configuration, and issuing one (say, in ``after`` of a login)."""

from time import time

from limen.declare.jwt import Jwt
from limen.gates.jwt import issue as _issue


def issue(config: Jwt, subject: int | str, role: str) -> str:
    """Return a token for ``subject`` with ``role``, signed as ``config`` says and beginning now."""
    return _issue(config, subject, role, time())


__all__ = ["Jwt", "issue"]
