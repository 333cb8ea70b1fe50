"""A service's own document: read from bytes, and its references followed. It is somebody's input, so it is bounded."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

from limen.app.document.json_types import METHODS, Json

# Bytes of one service's document.
MOST_BYTES: Final = 1024 * 1024

# How deep objects and lists of a service's document may stand in one another.
DEEPEST: Final = 100

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,6}")
_VERSIONS: Final = ("3.0", "3.1", "3.2")


class ServiceDocumentError(ValueError):
    """A document cannot be used; the message says why, and how to mend it."""


@dataclass(frozen=True, slots=True)
class ServiceDocument:
    """A document of OpenAPI 3. ``content`` must not change. ``version`` is its major and minor version."""

    content: Json = field(repr=False)
    version: str

    @classmethod
    def parse(cls, text: bytes) -> "ServiceDocument":
        """Read ``text``, which is JSON; raises ServiceDocumentError."""
        if len(text) > MOST_BYTES:
            raise ServiceDocumentError(f"it has more than {MOST_BYTES} bytes; give a document of the public part alone")
        try:
            content: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise ServiceDocumentError(
                "it is not JSON; a document in YAML has to be converted, for which Limen has no reader"
            ) from None
        if not isinstance(content, dict):
            raise ServiceDocumentError("it is not a JSON object, so it is not OpenAPI")
        document = cls.of(cast("Json", content))
        try:
            json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise ServiceDocumentError("it holds what JSON has not: NaN, an infinity, or half of a character") from None
        return document

    @classmethod
    def of(cls, content: Json) -> "ServiceDocument":
        """Check ``content``, a document that is read; raises ServiceDocumentError."""
        version: object = content.get("openapi")
        found = str(version)[:3] if isinstance(version, str) else ""
        if found not in _VERSIONS:
            said = f"it says openapi={version!r}" if version is not None else "it does not say openapi="
            was = "; convert a document of Swagger 2.0" if "swagger" in content else ""
            raise ServiceDocumentError(f"it is not OpenAPI 3.0, 3.1 or 3.2: {said[:60]}{was}")
        if not _within(content, DEEPEST):
            raise ServiceDocumentError(f"it is nested deeper than {DEEPEST} levels")
        paths: object = content.get("paths", {})
        if not isinstance(paths, dict):
            raise ServiceDocumentError("its paths are not an object")
        tags: object = content.get("tags", [])
        if not isinstance(tags, list) or not all(
            isinstance(tag, dict) and isinstance(cast("Json", tag).get("name"), str)
            for tag in cast("list[object]", tags)
        ):
            raise ServiceDocumentError("its tags are not a list of objects with names")
        document = cls(content, found)
        for path, item in cast("Json", paths).items():
            if not path.startswith("/") and not path.startswith("x-"):
                raise ServiceDocumentError(f"its path {path!r} does not begin with '/'")
            if not isinstance(item, dict):
                raise ServiceDocumentError(f"its path {path!r} is not an object")
        return document

    def operations(self) -> list[tuple[str, str, Json, Json]]:
        """Return path, method, operation and path item of all operations. A path item that is a reference is followed."""
        found: list[tuple[str, str, Json, Json]] = []
        for path, given in self.content.get("paths", {}).items():
            if not path.startswith("/"):
                continue
            item = self.resolved(given)
            for method in METHODS:
                operation = item.get(method)
                if operation is None:
                    continue
                if not isinstance(operation, dict):
                    raise ServiceDocumentError(f"{method.upper()} {path} is not an object")
                found.append((path, method, cast("Json", operation), item))
        return found

    def resolved(self, value: Json) -> Json:
        """Return what ``value`` refers to, if it is a reference; raises ServiceDocumentError for one that leads nowhere."""
        seen: set[str] = set()
        if not isinstance(value, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - it is somebody's input
            raise ServiceDocumentError(f"where an object should be, it has {type(value).__name__}")
        while isinstance(pointer := value.get("$ref"), str):
            if pointer in seen:
                raise ServiceDocumentError(f"{pointer!r} refers to itself")
            seen.add(pointer)
            value = self.target(pointer)
        return value

    def steps(self, pointer: str) -> tuple[str, ...]:
        """Return the decoded steps of ``pointer``, such as ``#/components/schemas/Item``.

        Raises ServiceDocumentError for a reference that is no pointer into this document.
        """
        if not pointer.startswith("#/"):
            out = (
                "is an anchor; write it as #/..."
                if pointer.startswith("#")
                else "leads out of it; bundle it into one file"
            )
            raise ServiceDocumentError(f"the reference {pointer[:100]!r} {out}")
        return tuple(unquote(step).replace("~1", "/").replace("~0", "~") for step in pointer[2:].split("/"))

    def target(self, pointer: str) -> Json:
        """Return the object at ``pointer``; raises ServiceDocumentError where there is none."""
        value: Any = self.content
        for step in self.steps(pointer):
            if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(cast("list[Any]", value)):
                value = cast("list[Any]", value)[int(step)]
            elif isinstance(value, dict) and step in value:
                value = cast("Json", value)[step]
            else:
                raise ServiceDocumentError(f"the reference {pointer[:100]!r} leads nowhere")
        if not isinstance(value, dict):
            raise ServiceDocumentError(f"the reference {pointer[:100]!r} does not lead to an object")
        return cast("Json", value)

    def leads(self, pointer: str) -> bool:
        """Tell whether there is an object at ``pointer``."""
        try:
            self.target(pointer)
        except ServiceDocumentError:
            return False
        return True

    @property
    def base(self) -> str:
        """The path of its first server, without a final slash; empty if it has none."""
        servers: Any = self.content.get("servers")
        if not isinstance(servers, list) or not servers or not isinstance(servers[0], dict):
            return ""
        url: object = cast("Json", servers[0]).get("url")
        if not isinstance(url, str) or "{" in url:
            return ""
        return "/" + path.rstrip("/") if (path := url.split("://", 1)[-1].partition("/")[2]).strip("/") else ""


def _within(value: object, depth: int) -> bool:
    level: list[object] = [value]
    while level:
        if depth == 0:
            return False
        depth -= 1
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (cast("Json", one).values() if isinstance(one, dict) else cast("list[object]", one))
            if isinstance(child, dict | list)
        ]
    return True
