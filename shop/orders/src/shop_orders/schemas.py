"""Bodies of requests and responses of the orders service."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Header
from pydantic import BaseModel, ConfigDict

from limen_kit.fields import Form, LongText, ShortText

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this creation: the same key and body again get the first order, not a second one.",
    ),
]


class OrderForm(Form):
    """A new order."""

    address: LongText
    item: ShortText


class OrderResponse(BaseModel):
    """An order."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    address: str
    item: str
    status: Literal["placed", "cancelled"]
    created_by: int
    created_at: datetime
