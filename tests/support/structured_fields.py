"""A strict reader of structured fields (RFC 9651), as far as ``Proxy-Status`` has them: lists of tokens and strings.

It shares nothing with what writes them. What the grammar leaves no room for raises ValueError.
"""

import re
from typing import NamedTuple

_BARE = re.compile(r'(?P<string>"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*")|(?P<number>-?[0-9]{1,15}(?![0-9.]))|')
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")


class Token(str):
    """A token, which is no string."""

    __slots__ = ()


class Member(NamedTuple):
    """One member of a list, and its parameters."""

    value: str | int
    parameters: dict[str, str | int | bool]


def read_list(*lines: bytes) -> list[Member]:
    """Return the members of a list whose field lines are ``lines``."""
    text = ", ".join(line.decode("ascii") for line in lines).strip(" ")
    at, members = 0, list[Member]()
    while True:
        value, at = _bare(text, at)
        parameters, at = _parameters(text, at)
        members.append(Member(value, parameters))
        rest = text[at:].lstrip(" \t")
        if not rest:
            return members
        if not rest.startswith(","):
            raise ValueError(f"no comma at {rest!r}")
        at = len(text) - len(rest[1:].lstrip(" \t"))


def _parameters(text: str, at: int) -> tuple[dict[str, str | int | bool], int]:
    found: dict[str, str | int | bool] = {}
    while text[at : at + 1] == ";":
        at += 1
        while text[at : at + 1] == " ":
            at += 1
        key = _KEY.match(text, at)
        if key is None:
            raise ValueError(f"no key at {text[at:]!r}")
        at = key.end()
        value: str | int | bool = True
        if text[at : at + 1] == "=":
            value, at = _bare(text, at + 1)
        found[key[0]] = value
    return found, at


def _bare(text: str, at: int) -> tuple[str | int, int]:
    match = _BARE.match(text, at)
    assert match is not None
    if match["string"]:
        return re.sub(r"\\(.)", r"\1", match["string"][1:-1]), match.end()
    if match["number"]:
        return int(match["number"]), match.end()
    token = _TOKEN.match(text, at)
    if token is None:
        raise ValueError(f"no item at {text[at:]!r}")
    return Token(token[0]), token.end()
