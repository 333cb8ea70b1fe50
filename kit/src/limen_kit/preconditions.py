"""Conditional requests (RFC 9110 section 13): an ETag for each version of a row, ``If-None-Match`` and ``If-Match``.

A row has a column ``version``, which each change counts up; its ETag is that number in quotes. The condition of a change
becomes part of its UPDATE or DELETE, so of two clients that change the same version only one succeeds. A change without a
condition is done as ever: who sends a few fields, or wants a thing gone, need not have seen the rest.

The tag says nothing of the form of a representation: after an upgrade that adds a member, a client that has the version
learns of the member at the next change of the row.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from tortoise.models import Model
from tortoise.queryset import QuerySet

from limen_kit.fields import MAX_ROW_ID
from limen_kit.problems import Problem, responses

MAX_LENGTH = 1000
"""Characters that ``If-Match`` or ``If-None-Match`` may have, all its lines together."""

Row = TypeVar("Row", bound=Model)

# One element of a list, which may be empty (RFC 9110 sections 5.6.1.2 and 8.8.3), with the comma or the end behind it.
_ELEMENT = re.compile(r'[ \t]*(?:(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|\Z)')

# The texts that ``etag`` makes.
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of ``If-Match`` or ``If-None-Match``. ``any`` is ``*``: whatever there is.

    What cannot be read has no tags, so it matches nothing: ``If-Match`` then refuses, which is the safe side.
    """

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "EntityTags":
        """Read a list of tags, or ``*``."""
        if text.strip(" \t") == "*":
            return cls(any=True)
        tags: dict[bool, set[str]] = {False: set(), True: set()}
        position = 0
        while position < len(text):
            element = _ELEMENT.match(text, position)
            if element is None:
                return cls()
            if (opaque := element["opaque"]) is not None:
                tags[element["weak"] is not None].add(opaque)
            position = element.end()
        return cls(strong=frozenset(tags[False]), weak=frozenset(tags[True]))

    def versions(self, *, weak: bool) -> frozenset[int]:
        """Return the versions that are named; with ``weak``, by weak tags too (RFC 9110 section 8.8.3.2)."""
        named = self.strong | self.weak if weak else self.strong
        numbers = (int(text) for text in named if _VERSION.fullmatch(text))
        return frozenset(number for number in numbers if number <= MAX_ROW_ID)  # what the column can hold


class NotModified(Exception):
    """Ends a read: the client has this version already."""

    def __init__(self, version: int) -> None:
        """Keep the version for the ETag of the response."""
        super().__init__(version)
        self.version = version


class Preconditions:
    """The conditions of one request. ``if_match`` and ``if_none_match`` are None where the request has no such header."""

    def __init__(self, if_match: EntityTags | None, if_none_match: EntityTags | None, response: Response) -> None:
        """Keep them; ``tag`` writes to ``response``."""
        self._if_match = if_match
        self._if_none_match = if_none_match
        self._response = response

    def tag(self, version: int) -> None:
        """Set the ETag of the response to that of ``version``."""
        self._response.headers["ETag"] = etag(version)

    def check_read(self, version: int) -> None:
        """Set the ETag. Raises NotModified when the client has this version, Problem when it wants another one."""
        if not self._matched(version):
            raise precondition_failed()
        if self._is_unwanted(version):
            raise NotModified(version)
        self.tag(version)

    def check_change(self, version: int) -> None:
        """Raise Problem unless ``version`` may be changed. The change itself must then be of that version, or of none."""
        if not self._matched(version) or self._is_unwanted(version):
            raise precondition_failed()

    def applied(self, rows: QuerySet[Row]) -> QuerySet[Row]:
        """Return those of ``rows`` that fulfil the conditions, for an update or a deletion that does nothing otherwise."""
        matches, none_match = self._if_match, self._if_none_match
        if matches is not None and not matches.any:
            rows = rows.filter(version__in=sorted(matches.versions(weak=False)))
        if none_match is not None:
            # With ``*``, nothing may be there, and each of the rows is.
            unwanted = sorted(none_match.versions(weak=True))
            rows = rows.filter(version__in=[]) if none_match.any else rows.exclude(version__in=unwanted)
        return rows

    def _matched(self, version: int) -> bool:
        matches = self._if_match
        return matches is None or matches.any or version in matches.versions(weak=False)

    def _is_unwanted(self, version: int) -> bool:
        none_match = self._if_none_match
        return none_match is not None and (none_match.any or version in none_match.versions(weak=True))


def etag(version: int) -> str:
    """Return the strong ETag of ``version``, which is 1 or more."""
    return f'"{version}"'


def precondition_failed() -> Problem:
    """Return the refusal of a request whose condition is not fulfilled."""
    return Problem(
        412, "precondition_failed", "This was changed since, or your If-Match names no ETag of it; read it again."
    )


def not_modified_response(error: NotModified) -> Response:
    """Return the response to a read of what the client has."""
    return Response(status_code=304, headers={"ETag": etag(error.version)})


def tagged_responses(status: int = 200, *conditional: int) -> dict[int | str, dict[str, Any]]:
    """Document the ETag of the response with ``status``, and the refusals 304 and 412 where they are ``conditional``."""
    header = {"ETag": {"description": "The version, for If-Match and If-None-Match.", "schema": {"type": "string"}}}
    documented: dict[int | str, dict[str, Any]] = {status: {"headers": header}}
    if 304 in conditional:
        documented[304] = {"description": "You have this version already.", "headers": header}
    return documented | responses(*(other for other in conditional if other != 304))


def _preconditions(
    request: Request,
    response: Response,
    if_match: Annotated[
        str | None,
        Header(max_length=MAX_LENGTH, description="Do this only if the ETag is one of these; 412 otherwise."),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(
            max_length=MAX_LENGTH, description="Do this only if the ETag is none of these; a read gets 304 otherwise."
        ),
    ] = None,
) -> Preconditions:
    # The parameters are for the OpenAPI document and the length: a parameter has one line of a header that may have several.
    return Preconditions(_tags(request, "if-match"), _tags(request, "if-none-match"), response)


def _tags(request: Request, name: str) -> EntityTags | None:
    lines = request.headers.getlist(name)
    if not lines:
        return None
    text = ", ".join(lines)
    if len(text) > MAX_LENGTH:
        raise Problem(422, "invalid_request", f"{name} may have {MAX_LENGTH} characters.")
    return EntityTags.parse(text)


RequestPreconditions = Annotated[Preconditions, Depends(_preconditions)]
"""The conditions of the request, as a parameter of a path operation."""
