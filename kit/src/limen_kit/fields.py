"""Field types for bodies and paths: bounded, and without characters that databases and terminals cannot handle."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, StringConstraints

MAX_ROW_ID = 2_147_483_647
"""The largest id that an INTEGER column of 32 bits holds."""

ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]
"""One line of 1 to 200 characters, none of them a control character."""

LongText = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$"
    ),
]
"""1 to 2000 characters; line feeds and tabs are the only control characters."""

RowId = Annotated[int, Path(ge=1, le=MAX_ROW_ID)]
"""The id of a row in a path."""


class Form(BaseModel):
    """The body or query that a client sends. Unknown fields are refused, so that a misspelt one is not lost."""

    model_config = ConfigDict(extra="forbid")
