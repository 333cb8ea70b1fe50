"""Where a claim is, and what it says: the forms in which providers write ids, roles and scopes.

Nothing is verified when this runs for the first time, so it is bounded by the size of a token, and it never raises.
"""

from collections.abc import Mapping, Sequence
from typing import cast

Path = str | Sequence[str]
"""The name of a claim, or a path to it: text with dots, or the exact names one by one."""


def claim_at(claims: Mapping[str, object], path: Path) -> object:
    """Return the value at ``path``; None if there is none.

    The names of a sequence are exact. A text is a name if there is such a claim; else its dots lead into objects, and at each
    object the longest name counts: ``resource_access.com.example.app.roles`` finds the client ``com.example.app``.
    """
    if not isinstance(path, str):
        value: object = claims
        for name in path:
            value = _member(value, name)
        return value if path else None
    if path in claims or "." not in path:
        return claims.get(path)
    value = claims
    steps = path.split(".")
    while steps:
        for end in range(len(steps), 0, -1):
            found = _member(value, ".".join(steps[:end]))
            if found is not None:
                break
        else:
            return None
        value, steps = found, steps[end:]
    return value


def path_text(path: Path) -> str:
    """Return ``path`` as a person reads it."""
    return path if isinstance(path, str) else " > ".join(path)


def names_in(value: object) -> frozenset[str]:
    """Return the names that a claim of roles holds: a text, the texts of a list, or the keys of an object.

    A key counts if its value is true, or an object that is not empty, as in Zitadel's roles. What is no text is dropped.
    """
    if isinstance(value, str):
        return frozenset((value,))
    if isinstance(value, dict):
        members = cast("Mapping[str, object]", value)
        return frozenset(name for name, said in members.items() if said is True or (isinstance(said, dict) and said))
    if not isinstance(value, list):
        return frozenset()
    return frozenset(item for item in cast("list[object]", value) if isinstance(item, str))


def strict_texts(value: object, *, split: bool, several: bool = True) -> frozenset[str]:
    """Return a text, or its words with ``split``, or the texts of a list if there may be ``several``.

    Nothing, if something else is among them: scopes and audiences of which a part is wrong are none.
    """
    if isinstance(value, str):
        return frozenset(value.split() if split else (value,))
    items = cast("list[object]", value) if several and isinstance(value, list) else []
    texts = frozenset(item for item in items if isinstance(item, str))
    return texts if all(isinstance(item, str) for item in items) else frozenset()


def _member(value: object, name: str) -> object:
    return cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None
