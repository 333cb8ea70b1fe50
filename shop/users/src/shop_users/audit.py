"""What happened to accounts and sessions, one line per event, in a form that other programs read (logfmt). Nothing else
logs here: whoever watches over logins takes the lines of ``shop_users.audit`` alone, and can believe each of them.

No password, token or key is ever a field. A name that is no account's may be a password that was typed into the wrong
box: it goes through ``disguised``.
"""

import json
import logging
import re
import secrets
from hashlib import blake2b

_log = logging.getLogger("shop_users.audit")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# What needs no quotes. Neither blank, "=" nor quote is among it, so no value can end early or begin another field.
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+\-]+")
_MOST = 256
# Of this process alone: with a known key, a list of common passwords would tell what was typed.
_KEY = secrets.token_bytes(32)


def event(name: str, /, **fields: str | int) -> None:
    """Log ``name`` and ``fields`` as one line, in their order: ``event=login_succeeded account=1 address=192.0.2.7``.

    A value with anything but letters, digits and ``._:/@+-`` is written as a JSON string in ASCII, and cut after 256
    characters. Raises ValueError for a name that is not in lower case, or that is ``event`` again.
    """
    for word in (name, *fields):
        if not _NAME.fullmatch(word):
            raise ValueError(f"audit event {name!r}: {word!r} is no name; use lower-case letters, digits and '_'")
    if "event" in fields:
        raise ValueError(f"audit event {name!r}: a field named 'event' would be a second name; call it something else")
    _log.info("%s", " ".join([f"event={name}", *(f"{field}={_written(value)}" for field, value in fields.items())]))


def disguised(text: str) -> str:
    """Return what tells equal texts from others in the log of this process, and nobody what they are."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=_KEY).hexdigest()


def _written(value: str | int) -> str:
    text = str(value)[:_MOST]
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
