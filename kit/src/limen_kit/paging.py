"""Lists come in pages: ``limit`` and ``offset`` in the query, the whole count in ``X-Total-Count``."""

from typing import Annotated, Any, TypeVar

from fastapi import Query, Response
from pydantic import Field, StringConstraints
from tortoise.models import Model
from tortoise.queryset import QuerySet

from limen_kit.fields import Form
from limen_kit.identity import LARGEST_ID

TOTAL = "X-Total-Count"

Row = TypeVar("Row", bound=Model)

_Searched = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class PageQuery(Form):
    """The query of a list. ``q`` keeps only the rows that contain it, whatever the case.

    SQLite knows the case of ASCII letters only: there ``é`` does not find ``É``.
    """

    limit: int = Field(default=50, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=LARGEST_ID)
    q: _Searched | None = None


Page = Annotated[PageQuery, Query()]
"""The page asked for, as a parameter of a path operation."""


async def paged(rows: QuerySet[Row], page: PageQuery, response: Response) -> list[Row]:
    """Return the page of ``rows``, ordered by id, and put the whole count into ``response``."""
    response.headers[TOTAL] = str(await rows.count())
    return await rows.order_by("id").offset(page.offset).limit(page.limit)


def total_header() -> dict[int | str, dict[str, Any]]:
    """Document the count, for ``responses=`` of a list."""
    return {200: {"headers": {TOTAL: {"description": "How many there are in all.", "schema": {"type": "integer"}}}}}
