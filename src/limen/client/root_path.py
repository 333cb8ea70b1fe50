"""The prefix under which clients reach the gateway, where a proxy in front has taken it off, or an application mounts it."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# Bytes of a prefix that a proxy may name.
LONGEST_PREFIX: Final = 256

_PREFIX: Final = re.compile(rb"(?:/[A-Za-z0-9_~\-!$&'()*+,=:@][A-Za-z0-9._~\-!$&'()*+,=:@]*)+/?|/")


def raw_root(root_path: str) -> bytes:
    """Return a ``root_path`` as it stands in a raw path, without a final slash."""
    return quote(root_path.rstrip("/"), "/~!$&'()*+,;=:@").encode()


def is_prefix(root_path: str) -> bool:
    """Tell whether ``root_path`` is one that a proxy could name too, without a final slash."""
    raw = root_path.encode("utf-8", "surrogateescape")
    return len(raw) <= LONGEST_PREFIX and not raw.endswith(b"/") and _PREFIX.fullmatch(raw) is not None


def below_root(raw: bytes, root: bytes) -> bytes:
    """Return the path below ``root``, as Starlette's router reads it: a path that is not below it stays as it is."""
    if not root:
        return raw
    if raw.startswith(root):
        rest = raw[len(root) :]
    elif b"%" in raw:
        # The same prefix, encoded where it need not be.
        pieces = raw.split(b"/")
        depth = root.count(b"/") + 1
        if unquote_to_bytes(b"/".join(pieces[:depth])) != unquote_to_bytes(root):
            return raw
        rest = b"".join(b"/" + piece for piece in pieces[depth:])
    else:
        return raw
    return rest or b"/" if rest[:1] in (b"", b"/") else raw


def forwarded_prefix(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return what a trusted proxy says in ``X-Forwarded-Prefix``; empty when it is missing or malformed.

    Several values are those of several proxies, the first one's first.
    """
    values = [piece.strip() for name, value in lines if name == b"x-forwarded-prefix" for piece in value.split(b",")]
    if sum(map(len, values)) > LONGEST_PREFIX or not all(map(_PREFIX.fullmatch, values)):
        return b""
    return b"".join(value.rstrip(b"/") for value in values)
