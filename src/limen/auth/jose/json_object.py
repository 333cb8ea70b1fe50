"""Reading a JSON object of a token, strictly. Never raises: whoever sends it may be an attacker."""

import re
from json import JSONDecoder
from typing import cast

DEEPEST = 16
MOST_NESTED = 512
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[{}\]]")


def read_json_object(text: bytes) -> dict[str, object] | None:
    """Return the JSON object in ``text``; None for anything else, for a repeated name, and for much or deep nesting.

    The depth is checked before parsing: at its own limit, each version of the parser behaves in another way.
    """
    nested = text.count(b"[") + text.count(b"{")
    if nested > DEEPEST and (nested > MOST_NESTED or _is_deep(text)):
        return None
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _is_deep(text: bytes) -> bool:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
