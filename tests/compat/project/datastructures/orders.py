"""Orders."""

from pydantic import BaseModel


class OrderForm(BaseModel):
    """A new order."""

    address: str
    item: str


class OrderResponse(BaseModel):
    """An order."""

    id: int
    address: str
    item: str
    created_by: int
    created_at: str
