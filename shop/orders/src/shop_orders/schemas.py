"""Bodies of requests and responses of the orders service."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from limen_kit.fields import MAX_ROW_ID, Form, LongText, ShortText


class OrderForm(Form):
    """A new order; a supplier that it names must exist."""

    address: LongText
    item: ShortText
    supplier_id: int | None = Field(default=None, ge=1, le=MAX_ROW_ID)


class OrderResponse(BaseModel):
    """An order. ``address`` is empty once its user is deleted."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    address: str
    item: str
    supplier_id: int | None
    status: Literal["placed", "cancelled"]
    created_by: int
    created_at: datetime
