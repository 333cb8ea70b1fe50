"""Bodies of requests and responses of the suppliers service."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from limen_kit.fields import Form, LongText, ShortText


class SupplierForm(Form):
    """A new supplier."""

    name: ShortText
    surname: ShortText
    address: LongText


class SupplierChanges(Form):
    """Changes to a supplier; what is left out stays as it is."""

    name: ShortText = Field(default_factory=str)
    surname: ShortText = Field(default_factory=str)
    address: LongText = Field(default_factory=str)


class SupplierResponse(BaseModel):
    """A supplier."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    surname: str
    address: str
    created_by: int
    created_at: datetime
