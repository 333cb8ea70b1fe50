"""The audit log of accounts and sessions: one line per event, in logfmt, which other programs can parse. Nothing else logs to
``limen_accounts.audit``, so a monitor can read this logger alone and trust every line.

No field ever holds a password, token or key. An unknown username may be a password that was typed into the wrong field, so
names are logged through ``pseudonym``.
"""

import json
import logging
import re
import secrets
from hashlib import blake2b

_log = logging.getLogger("limen_accounts.audit")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Values that need no quotes. Blanks, "=" and quotes are excluded, so no value can end early or begin another field.
_UNQUOTED = re.compile(r"[A-Za-z0-9._:/@+\-]+")
_MAX_LENGTH = 256
# A new key in each process: with a known key, a list of common passwords would reveal what was typed.
_HASH_KEY = secrets.token_bytes(32)


def event(name: str, /, **fields: str | int) -> None:
    """Log ``name`` and ``fields`` as one line, in their order: ``event=login_succeeded account=1 address=192.0.2.7``.

    A value with anything but letters, digits and ``._:/@+-`` is written as a JSON string in ASCII, and cut after 256
    characters. Raises ValueError for a name that is not in lower case, or that is ``event`` again.
    """
    for part in (name, *fields):
        if not _NAME.fullmatch(part):
            raise ValueError(f"audit event {name!r}: {part!r} is no name; use lower-case letters, digits and '_'")
    if "event" in fields:
        raise ValueError(f"audit event {name!r}: a field named 'event' would be a second name; call it something else")
    _log.info("%s", " ".join([f"event={name}", *(f"{field}={_quoted(value)}" for field, value in fields.items())]))


def pseudonym(text: str) -> str:
    """Return a keyed hash: equal for equal texts within this process, and useless for finding the text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=_HASH_KEY).hexdigest()


def _quoted(value: str | int) -> str:
    text = str(value)[:_MAX_LENGTH]
    return text if _UNQUOTED.fullmatch(text) else json.dumps(text)
