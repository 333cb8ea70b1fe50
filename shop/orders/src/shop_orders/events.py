"""What other services tell: a user is deleted. An event may come twice, late or out of order; the result is the same."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from tortoise.expressions import F

from limen_kit.fields import MAX_ROW_ID
from limen_kit.identity import CurrentIdentity
from limen_kit.problems import Problem, responses
from shop_orders.models import DeletedUser, Order

router = APIRouter(prefix="/events", tags=["events"])


class ReceivedEvent(BaseModel):
    """An event in the JSON format of CloudEvents 1.0; the members that are not read here may be anything."""

    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=200)
    data: dict[str, Any] = {}


class UserDeleted(BaseModel):
    """The data of ``user.deleted``."""

    id: int = Field(ge=1, le=MAX_ROW_ID)


@router.post("", status_code=204, responses=responses(400, 401, 403, 413))
async def receive_event(
    event: Annotated[ReceivedEvent, Body(media_type="application/cloudevents+json")], identity: CurrentIdentity
) -> None:
    """Take an event of another service. One of a type that means nothing here is taken too: its sender cannot mend that."""
    if "service" not in identity.roles or identity.subject != event.source:
        raise Problem(403, "forbidden", "Only a service may send events, and only its own.")
    if (event.source, event.type) == ("users", "user.deleted"):
        await _forget_user(_parsed(event.data).id)


def _parsed(data: dict[str, Any]) -> UserDeleted:
    try:
        return UserDeleted.model_validate(data)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def _forget_user(user_id: int) -> None:
    """Cancel the user's orders and erase where they go, the digest of it included; the rest stays for the books."""
    # First the fact, then the orders: one that is placed meanwhile finds the fact (see ``routes.create_order``).
    await DeletedUser.bulk_create([DeletedUser(id=user_id)], ignore_conflicts=True)
    await (
        Order.filter(created_by=user_id)
        .exclude(address="")
        .update(status="cancelled", address="", key=None, digest=None, version=F("version") + 1)
    )
