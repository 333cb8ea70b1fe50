"""The words of a new service or project: its name, what one row is called, and what may be a name. No I/O."""

import builtins
import keyword
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

# So that every line of the templates stays within 120 characters, and a database and a network can be called so.
NAME_LENGTH = 16

_NAME = re.compile(r"[a-z][a-z0-9]*")
_VOWELS = frozenset("aeio")


class NameRefused(ValueError):
    """A name that cannot be that of a package, a host and a table at once. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Words:
    """What templates call a service: ``name`` is its own and that of its table, ``item`` that of one row."""

    name: str
    item: str

    @classmethod
    def of(cls, name: str, item: str | None, reserved: Collection[str] = ()) -> Self:
        """Return the words for ``name``; ``item`` None means its singular.

        ``reserved`` are names that the templates use themselves. Raises NameRefused.
        """
        check_name(name)
        words = cls(name, singular(name) if item is None else item)
        check_name(words.item, "--item")
        for word, option in ((name, "name"), (words.item, "--item"), (words.item.capitalize(), "--item")):
            if word in reserved:
                raise NameRefused(f"{option} {word!r}: the code of every service uses this word itself; choose another")
        return words

    def substitutes(self) -> dict[str, str]:
        """Return what stands for them in a template."""
        return {
            "name": self.name,
            "Name": self.name.capitalize(),
            "NAME": self.name.upper(),
            "item": self.item,
            "Item": self.item.capitalize(),
            "an": "an" if self.item[0] in _VOWELS else "a",
        }


def check_name(name: str, option: str = "name") -> None:
    """Refuse what cannot be a package of Python, a host and a table at once. Raises NameRefused."""
    if not _NAME.fullmatch(name):
        raise NameRefused(
            f"{option} {name!r}: write lower-case letters and digits, a letter first, such as reviews; it becomes a package, "
            "a host and a table, which do not all take anything else"
        )
    if len(name) > NAME_LENGTH:
        raise NameRefused(f"{option} {name!r} has {len(name)} characters; write at most {NAME_LENGTH}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise NameRefused(f"{option} {name!r} is a keyword of Python; choose another")
    if name in sys.stdlib_module_names:
        raise NameRefused(f"{option} {name!r} is a module of Python's standard library; choose another")
    if name in vars(builtins):
        raise NameRefused(f"{option} {name!r} is a built-in name of Python; choose another")


def singular(name: str) -> str:
    """Return what one of ``name`` is called, by the plain rules of English; ``--item`` says it where they do not fit."""
    for ending, other in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name.removesuffix(ending) + other
    return name.removesuffix("s") if not name.endswith(("ss", "us", "is")) and len(name) > 2 else name
