"""What services tell each other, such as that a user is deleted; answered by the orders service. No client may send any."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Body

from limen import Gateway, Upstream, role
from limen.auth import Jwt
from shop_gateway.models import CloudEvent
from shop_gateway.responses import errors, success


def declare(app: Gateway, upstream: Upstream, service_auth: Jwt) -> None:
    """Declare the route; ``service_auth`` accepts the tokens of services, and nothing else does."""
    events = app.group("/events", upstream=upstream, allow=role("service"), auth=service_auth, tags=["events"])

    @events.post(
        "",
        status_code=204,
        responses=success(204, "The event is taken: do not send it again.")
        | errors({403: "You are no service, or it is another service's event."}),
    )
    def receive_event(event: Annotated[CloudEvent, Body(media_type="application/cloudevents+json")]) -> None:
        """Tell what has happened in a service. Send an event until it is taken; one that comes twice counts once."""
        ...
