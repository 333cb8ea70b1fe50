"""The security schemes of a document, and what each operation requires of its callers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from limen.app.document.json_types import Json
from limen.app.document.shared import free_name
from limen.app.document.who_may_call import requirements, schemes
from limen.auth.method import Methods


class Served(NamedTuple):
    """An operation, and the ``methods`` by which its callers prove who they are; none for anyone's.

    ``guarded`` says that it has the security requirements of dependencies, which hold besides.
    """

    operation: Json
    methods: Methods
    guarded: bool = False


def name_schemes(document: Json, methods: Methods, served: Sequence[Served]) -> None:
    """Add the schemes of ``methods``; where the user has another one of a name, ours gets another name.

    Where dependencies ask for credentials too, a request needs both.
    """
    there = document.setdefault("components", {}).setdefault("securitySchemes", {})
    names: dict[str, str] = {}
    for name, scheme in schemes(methods).items():
        taken = name in there and there[name] != scheme
        names[name] = free_name(f"limen_{name}", scheme, there) if taken else name
        there[names[name]] = scheme
    for operation, by, guarded in served:
        own = [{names[name]: scopes for name, scopes in one.items()} for one in requirements(by)]
        if guarded and own:
            operation["security"] = list(_both(operation.get("security") or [{}], own))
        elif operation.get("security") == requirements(by):
            operation["security"] = own


def _both(
    theirs: Sequence[dict[str, list[str]]], own: Sequence[dict[str, list[str]]]
) -> Iterator[dict[str, list[str]]]:
    """Yield requirements of one of ``theirs`` and one of our ``own``; one that has ours already stays."""
    for one in theirs:
        if any(ours.keys() <= one.keys() for ours in own):
            yield one
        else:
            yield from ({**one, **ours} for ours in own)
