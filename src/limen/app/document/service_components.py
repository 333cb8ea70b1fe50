"""Copies objects of a service's document into the gateway's, with the components that they refer to.

A reference keeps its name where that is free, else the name of the upstream comes before it. What is referred to is copied
once, from a list of what is left to do: so a document that refers to itself ends, and none grows by being copied.
"""

import re
from collections import deque
from copy import deepcopy
from typing import Any, Final, cast

from limen.app.document.json_types import Json
from limen.app.document.openapi_objects import MEMBERS, SECTIONS
from limen.app.document.schema_upgrade import upgraded
from limen.app.document.service_document import ServiceDocument, ServiceDocumentError

_SCHEMAS: Final = "#/components/schemas/"
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")

# Objects that are copied from one service's document. References may lead into one another, and copy a part many times.
MOST_OBJECTS: Final = 100_000


class ServiceComponents:
    """Copies from one ``source`` into the components of a gateway's document."""

    def __init__(self, source: ServiceDocument, prefix: str, components: dict[str, Json], version: str) -> None:
        """``prefix`` is for names that are taken; ``version`` is that of the gateway's document, such as ``3.1.0``.

        Raises ServiceDocumentError if the gateway's document is of an older version that cannot say what ``source`` does.
        """
        if version.startswith("3.0") and source.version != "3.0":
            raise ServiceDocumentError(
                f"it is OpenAPI {source.version}, and this gateway publishes {version}: leave out openapi_version="
            )
        self.source = source
        self.operation_ids: dict[str, str] = {}
        """The ids of the operations that are copied, old and new: links to others are dropped."""
        self._prefix = prefix
        self._components = components
        self._new: dict[str, Json] = {}  # what ``commit`` adds to them
        self._upgrades = source.version == "3.0" and not version.startswith("3.0")
        self._references: dict[
            tuple[str, tuple[str, ...]], str
        ] = {}  # by kind, and the steps of the pointer at the source
        self._names: dict[str, set[str]] = {}  # those that were given, by section
        self._left: deque[tuple[str, str, str]] = deque()
        self._count = 0

    def copied(self, kind: str, value: Any) -> Any:
        """Return a copy of an object of ``kind``, with the names that its references have in the gateway's document."""
        if kind == "schema" and isinstance(value, bool):
            return value
        self._count += 1
        if self._count > MOST_OBJECTS:
            raise ServiceDocumentError(f"it has, or its references make of it, more than {MOST_OBJECTS:,} objects")
        if not isinstance(value, dict):
            raise ServiceDocumentError(f"one of its objects, a {kind.replace('_', ' ')}, is {type(value).__name__}")
        given = cast("Json", value)
        if kind == "schema" and isinstance(given.get("$id"), str):
            return deepcopy(given)  # a resource of its own: its references are its own, too
        if isinstance(reference := given.get("$ref"), str):
            # 3.0 ignores what stands beside a reference.
            beside = {} if self.source.version == "3.0" else {key: one for key, one in given.items() if key != "$ref"}
            return {**self._members(kind, beside), "$ref": self._renamed(kind, reference)}
        copy = self._members(kind, given)
        return upgraded(copy) if self._upgrades and kind == "schema" else copy

    def finish(self) -> None:
        """Copy what was referred to, and what that refers to."""
        while self._left:
            kind, pointer, name = self._left.popleft()
            self._new.setdefault(SECTIONS[kind], {})[name] = self.copied(kind, self.source.target(pointer))

    def commit(self) -> None:
        """Add what was copied to the components of the gateway's document."""
        for section, members in self._new.items():
            self._components.setdefault(section, {}).update(members)
        self._new.clear()

    def _members(self, kind: str, given: Json) -> Json:
        copy: Json = {}
        for member, value in given.items():
            holds = MEMBERS.get(kind, {}).get(member)
            if kind == "callback" and not member.startswith("x-"):
                copy[member] = self.copied("path_item", value)
            elif member == "links" and kind == "response":
                copy[member] = self._links(value)
            elif member == "discriminator" and kind == "schema":
                copy[member] = self._discriminator(value, given)
            elif holds is None or (holds.kind == "example" and not isinstance(value, dict)):
                copy[member] = deepcopy(value)
            elif holds.shape == "one":
                # Before 2020-12, the items of a tuple were a list.
                several = isinstance(value, list) and kind == "schema" and member == "items"
                copy[member] = (
                    [self.copied(holds.kind, one) for one in cast("list[Any]", value)]
                    if several
                    else self.copied(holds.kind, value)
                )
            else:
                copy[member] = self._copied_several(member, holds.kind, value, listed=holds.shape == "list")
        if kind == "operation":  # within a callback: it is the service's, and calls somebody else
            for member in ("security", "operationId"):
                copy.pop(member, None)
        return copy

    def _copied_several(self, member: str, kind: str, value: Any, *, listed: bool) -> Any:
        if not isinstance(value, list if listed else dict):
            raise ServiceDocumentError(f"one of its members {member!r} is {type(value).__name__}")
        if listed:
            return [self.copied(kind, one) for one in cast("list[Any]", value)]
        return {
            name: deepcopy(one)
            if name.startswith("x-") and kind != "schema" and kind != "header"
            else self.copied(kind, one)
            for name, one in cast("Json", value).items()
        }

    def _renamed(self, kind: str, pointer: str) -> str:
        steps = self.source.steps(pointer)
        known = self._references.get((kind, steps))
        if known is not None:
            return known
        section = SECTIONS.get(kind)
        if section is None:
            raise ServiceDocumentError(f"the reference {pointer[:100]!r} stands where none may stand")
        self.source.target(pointer)
        name = self._free_name(section, steps)
        self._names.setdefault(section, set()).add(name)
        self._references[kind, steps] = new = f"#/components/{section}/{name}"
        self._left.append((kind, pointer, name))
        return new

    def _free_name(self, section: str, steps: tuple[str, ...]) -> str:
        whole = len(steps) == 3 and steps[:2] == ("components", section)
        wanted = _NOT_OF_A_NAME.sub("_", steps[2] if whole else "_".join(steps[-2:])) or "_"
        taken = self._names.get(section, set()) | self._components.get(section, {}).keys()
        number, name = 1, wanted
        while name in taken:
            name = f"{self._prefix}_{wanted}" if number == 1 else f"{self._prefix}_{wanted}_{number}"
            number += 1
        return name

    def _discriminator(self, value: Any, schema: Json) -> Any:
        """Copy a discriminator. Its values are names of schemas unless it maps them, so it maps those that are renamed."""
        if not isinstance(value, dict):
            raise ServiceDocumentError("one of its discriminators is not an object")
        copy: Json = deepcopy(cast("Json", value))
        given: Any = copy.get("mapping", {})
        if not isinstance(given, dict) or not all(isinstance(one, str) for one in cast("Json", given).values()):
            raise ServiceDocumentError("the mapping of one of its discriminators is not an object of texts")
        mapping = {key: self._mapped(target) for key, target in cast("dict[str, str]", given).items()}
        for member in ("oneOf", "anyOf"):
            several: Any = schema.get(member)
            for one in cast("list[Any]", several) if isinstance(several, list) else ():
                reference: object = cast("Json", one).get("$ref") if isinstance(one, dict) else None
                if isinstance(reference, str) and reference.startswith(_SCHEMAS):
                    renamed = self._renamed("schema", reference)
                    if renamed not in mapping.values() and renamed != reference:
                        mapping[reference.removeprefix(_SCHEMAS)] = renamed
        if mapping:
            copy["mapping"] = mapping
        return copy

    def _mapped(self, target: str) -> str:
        if target.startswith("#"):
            return self._renamed("schema", target)
        pointer = f"{_SCHEMAS}{target}"
        return self._renamed("schema", pointer) if self.source.leads(pointer) else target

    def _links(self, links: Any) -> Json:
        """Copy the links that lead to operations which are there; a path such as ``operationRef`` is another one now."""
        copied: Json = {}
        if not isinstance(links, dict):
            raise ServiceDocumentError("the links of one of its responses are not an object")
        for name, given in cast("Json", links).items():
            link = deepcopy(self.source.resolved(given))
            wanted = link.get("operationId")
            if isinstance(wanted, str) and wanted in self.operation_ids:
                link["operationId"] = self.operation_ids[wanted]
                link.pop("server", None)
                copied[name] = link
        return copied
