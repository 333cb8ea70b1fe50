"""Request headers that several routes declare: the same creation twice, and changes only of what the client has seen."""

from typing import Annotated

from fastapi import Header

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this creation, in a text of your own: the same key and body again create no second one.",
        examples=["2b1f6c0e-order-1"],
    ),
]

IfMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="Do it only if the `ETag` is still one of these (RFC 9110); without it, whatever others have changed.",
        examples=['"1"'],
    ),
]

IfNoneMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="The `ETag` that you have: if it is still the same, the answer is 304 without content.",
        examples=['"1"'],
    ),
]
