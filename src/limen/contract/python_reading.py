"""Types that pydantic reads in one way from JSON, and in another from what JSON has been decoded to.

FastAPI decodes a body first. For most types that makes no difference. A strict type takes a text for a date from JSON alone,
for it knows that JSON has no dates; and a duration may be ``true``, which is a number of Python's.
"""

from typing import Any, cast

from pydantic import TypeAdapter

from limen.contract.core_schema import Schema, copy_schema


def reads_decoded(adapter: TypeAdapter[object]) -> bool:
    """Tell whether a body of this type must be decoded before it is checked, to be read as FastAPI reads it."""
    search = _Search()
    copy_schema(cast("Schema", adapter.core_schema), search)
    return search.found


class _Search:
    """Changes nothing, and looks for what is read in two ways."""

    def __init__(self) -> None:
        self.found = False

    def __call__(self, schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
        if schema.get("strict") or config.get("strict") or schema.get("type") == "timedelta":
            self.found = True
