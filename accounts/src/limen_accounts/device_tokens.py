"""Device tokens: a client gets one at a login and sends it with the next, which strangers' guesses then do not delay.

A token proves that its holder has logged in to this account with its present password. It opens nothing: the password is
needed all the same. What it changes is which counter of wrong passwords delays the login (``login_throttle``).

Nothing is stored. The token is ``device_``, a random name of the device, and a digest of that with a key: the account's hash
of the password, which nobody outside has. So another password ends all of them, also those of whoever knew the former one.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from secrets import token_urlsafe

DEVICE_PREFIX = "device_"
"""The beginning of every device token."""

DEVICE_TOKEN_PATTERN = rf"^{DEVICE_PREFIX}[A-Za-z0-9_\-]{{65}}$"
"""The form of a device token."""

# Bytes: at least 128 bits, so no two devices have one name.
_NAME_BYTES = 16
_TOKEN = re.compile(rf"{DEVICE_PREFIX}([A-Za-z0-9_\-]{{22}})([A-Za-z0-9_\-]{{43}})", re.ASCII)

# The key in place of the hash of an account that does not exist: no token is made with it.
_NO_HASH = token_urlsafe(32)


def issue_device_token(account_id: int, hashed_password: str, device: str | None = None) -> str:
    """Return a token for a device that has logged in with this password: a new one, or one that has a name already."""
    name = device or token_urlsafe(_NAME_BYTES)
    return f"{DEVICE_PREFIX}{name}{_digest(name, account_id, hashed_password)}"


def device_of(token: str, account_id: int, hashed_password: str | None) -> str | None:
    """Return the name of the device, or None if the token is not one of this account and its present password.

    ``hashed_password`` None is for an unknown account: no token is good, and the check takes as long.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    name, digest = match.groups()
    wanted = _digest(name, account_id, _NO_HASH if hashed_password is None else hashed_password)
    return name if hmac.compare_digest(digest, wanted) and hashed_password is not None else None


def _digest(name: str, account_id: int, hashed_password: str) -> str:
    found = hmac.digest(hashed_password.encode(), f"device {account_id} {name}".encode(), sha256)
    return urlsafe_b64encode(found).rstrip(b"=").decode()
