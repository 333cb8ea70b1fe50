"""Suppliers."""

from pydantic import BaseModel


class SupplierForm(BaseModel):
    """A new supplier."""

    name: str
    surname: str
    address: str


class SupplierResponse(BaseModel):
    """A supplier."""

    id: int
    name: str
    surname: str
    address: str
    created_by: int
    created_at: str
