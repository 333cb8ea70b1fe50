"""``Idempotency-Key``: the same creation sent twice, such as after a lost answer, makes one row.

The key is a column of the row that it made, with a digest of the body, unique for each caller:

    key = fields.CharField(max_length=255, null=True)
    digest = fields.CharField(max_length=64, null=True)

    class Meta(Model.Meta):
        unique_together = (("created_by", "key"),)

So row and key come into being in one INSERT, of two requests at once the database lets one through, there are no more keys
than rows, and nothing has to be cleared away. The first response is not stored: a repetition has the same body, from which
it is made again. A key goes with its row: after a deletion, the same request creates anew.
"""

from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Response
from pydantic import BaseModel
from tortoise.exceptions import IntegrityError
from tortoise.models import Model

from limen_kit.identity import CurrentCaller
from limen_kit.principal import Caller
from limen_kit.problems import Problem

REPLAYED_HEADER = "Idempotency-Replayed"

Row = TypeVar("Row", bound=Model)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this creation: the same key and body again get what was created first, not a second one.",
    ),
]


class Creation:
    """One request of ``caller`` to create a row, which ``key`` names; without a key, each request creates one.

    The model has ``id``, ``created_by`` (the caller's id), ``created_at``, ``key`` and ``digest``.
    """

    def __init__(self, key: str | None, caller: Caller, response: Response) -> None:
        """Keep them; a repetition is said in a header of ``response``."""
        self._key = key
        self._caller = caller
        self._response = response

    async def create(self, model: type[Row], form: BaseModel) -> Row:
        """Create a row from ``form``, or return the row as this request has created it before.

        Raises Problem when the key has created something else, IntegrityError when the database refuses for another reason.
        """
        digest = _digest(form) if self._key is not None else None
        try:
            return await model.create(**form.model_dump(), created_by=self._caller.id, key=self._key, digest=digest)
        except IntegrityError:
            # With a key, this caller has used it before. Without one, another constraint failed, such as an id that a
            # restored database has assigned twice.
            row = await self.repeated(model, form)
            if row is None:
                raise
            return row

    async def repeated(self, model: type[Row], form: BaseModel) -> Row | None:
        """Return the row as this request has created it before, if it has; raises Problem as ``create`` does.

        For a route that checks something before it creates: a repetition must not fail because the answer is another now.
        """
        if self._key is None:
            return None
        row: Any = await model.get_or_none(created_by=self._caller.id, key=self._key)
        if row is None:
            return None
        if row.digest != _digest(form):
            # 409, not 422: nothing is wrong with the request, but what its key stands for is settled.
            raise Problem(
                409, "idempotency_key_reused", "This Idempotency-Key was used for another creation; take a new one."
            )
        self._response.headers[REPLAYED_HEADER] = "true"
        # As it was at first, whatever happened to it since: the form, and the defaults of the model.
        return model(**form.model_dump(), id=row.id, created_by=row.created_by, created_at=row.created_at)


def _digest(form: BaseModel) -> str:
    # Without null: a field that a later version adds, and that is left out, does not make an earlier request another one.
    return sha256(form.model_dump_json(exclude_none=True).encode()).hexdigest()


def _creation(caller: CurrentCaller, response: Response, idempotency_key: IdempotencyKey = None) -> Creation:
    return Creation(idempotency_key, caller, response)


RequestedCreation = Annotated[Creation, Depends(_creation)]
"""The creation that the request asks for, as a parameter of a path operation; 401 without a caller."""
