"""Pagination of lists: ``limit`` and ``offset`` in the query, the total count in ``X-Total-Count``."""

from typing import Annotated, Any, TypeVar

from fastapi import Query, Response
from pydantic import Field, StringConstraints
from tortoise.models import Model
from tortoise.queryset import QuerySet

from limen_kit.fields import MAX_ROW_ID, Form

TOTAL_COUNT_HEADER = "X-Total-Count"

Row = TypeVar("Row", bound=Model)

_SearchText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class PageQuery(Form):
    """The query of a list. ``q`` keeps only the rows that contain it, ignoring case.

    SQLite ignores the case of ASCII letters only: there, ``é`` does not find ``É``.
    """

    limit: int = Field(default=50, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=MAX_ROW_ID)
    q: _SearchText | None = None


Page = Annotated[PageQuery, Query()]
"""The requested page, as a parameter of a path operation."""


async def paginate(rows: QuerySet[Row], page: PageQuery, response: Response) -> list[Row]:
    """Return the page of ``rows``, ordered by id, and set the total count on ``response``."""
    response.headers[TOTAL_COUNT_HEADER] = str(await rows.count())
    return await rows.order_by("id").offset(page.offset).limit(page.limit)


def total_count_responses() -> dict[int | str, dict[str, Any]]:
    """Document the total count, for ``responses=`` of a list."""
    return {
        200: {
            "headers": {
                TOTAL_COUNT_HEADER: {"description": "How many there are in all.", "schema": {"type": "integer"}}
            }
        }
    }
