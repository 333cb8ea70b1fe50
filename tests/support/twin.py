"""One signature twice: as a path operation of plain FastAPI, and as a stub of a gateway in front of the same path operation.

``Twin.compare`` gives one request to both. What FastAPI accepts the gateway must pass on, so that the service behind it reads
the values that FastAPI reads of the request itself; what FastAPI refuses the gateway must refuse.
"""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote

from fastapi import FastAPI
from pydantic import BaseModel, SecretBytes, SecretStr

from limen import Gateway, Upstream, anyone
from limen.contract.request_check import check_body, check_parameters
from limen.errors import Fault, Kind
from limen.fairness.validations import Validations
from limen.http.headers import Head
from limen.pipeline.steps import build_upstream_head
from limen.routing.find import find
from limen.routing.table import Match

SVC: Final = Upstream("svc", ["http://127.0.0.1:1"])
LOOP: Final = asyncio.new_event_loop()

Lines = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Sent:
    """A request, POST, as a client sends it or as the service gets it. Names of headers are in lower case."""

    target: bytes
    headers: Lines = ()
    content: bytes = b""


def pass_through(app: Gateway, sent: Sent) -> Sent | Fault:
    """Return what the service gets of a request, as the contract says."""
    head = Head(list(sent.headers))
    path, mark, query = sent.target.partition(b"?")
    found = find(app.active_config().table, b"POST", path, query)
    if not isinstance(found, Match):
        return found if isinstance(found, Fault) else Fault(Kind.NOT_FOUND)
    plan = found.plan
    if (fault := check_parameters(plan.route.contract, found.params, query, head, plan.withheld_headers)) is not None:
        return fault
    passed: object = sent.content
    if (body := plan.route.contract.body) is not None:
        passed = check_body(body, sent.content, head, plan.route.max_body, Validations())
        if isinstance(passed, Fault):
            return passed
        assert passed is None or isinstance(passed, bytes)
    target, lines = build_upstream_head(plan, found, b"POST", query if mark else None, head)
    return Sent(target, lines, passed if isinstance(passed, bytes) else b"")


class Twin:
    """Both sides of one signature. ``parameters`` are those of the function, at ``path`` of both."""

    def __init__(self, parameters: Sequence[inspect.Parameter], path: str = "/x", **options: Any) -> None:
        """Declare both. Raises DeclarationError for what a stub cannot have; ``options`` are those of the application."""
        self.plain = FastAPI(openapi_url=None, **options)
        self.gateway = Gateway(**options)
        self._values: list[dict[str, Any]] = []

        async def operation(**values: Any) -> None:
            self._values.append(values)

        operation_of_both: Any = operation
        operation_of_both.__signature__ = inspect.Signature(parameters)
        self.plain.post(path)(operation)
        self.gateway.post(path, upstream=SVC, allow=anyone)(operation)
        self.gateway.compile()

    @property
    def apps(self) -> tuple[FastAPI, Gateway]:
        """Both applications."""
        return self.plain, self.gateway

    def read(self, sent: Sent) -> dict[str, Any] | None:
        """Return the values that plain FastAPI reads of a request; None if it refuses it."""
        self._values.clear()
        try:
            status = LOOP.run_until_complete(ask(self.plain, sent))
        except (
            ValueError,
            RecursionError,
        ):  # FastAPI's own 500, such as for a number in the path that int() cannot read
            return None
        assert status in (200, 307, 400, 404, 422), status
        return self._values[0] if status == 200 else None

    def compare(self, sent: Sent) -> Fault | None:
        """Return the fault with which the gateway alone refuses a request; None if both agree. All else fails the test."""
        direct = self.read(sent)
        passed = pass_through(self.gateway, sent)
        if isinstance(passed, Fault):
            return passed if direct is not None else None
        assert direct is not None, f"the gateway passes on what FastAPI refuses: {sent}"
        behind = self.read(passed)
        assert behind is not None, f"the service refuses what the gateway has passed on: {sent} as {passed}"
        assert comparable(behind) == comparable(direct), f"the service reads something else: {sent} as {passed}"
        return None


async def ask(app: FastAPI, sent: Sent) -> int:
    """Return the status of the answer of ``app``, without a server."""
    path, _, query = sent.target.partition(b"?")
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent.content}

    async def send(message: Any) -> None:
        status.append(message.get("status", 0))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(sent.headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)
    return status[0]


def comparable(value: Any) -> Any:
    """Return a value as something that is equal if, and only if, it is of the same type and reads the same."""
    if isinstance(value, BaseModel):
        return type(value), comparable(vars(value)), comparable(value.model_extra), sorted(value.model_fields_set)
    if isinstance(value, Mapping):
        return {key: comparable(one) for key, one in cast("Mapping[Any, Any]", value).items()}
    kind = cast("type[object]", type(value))
    if isinstance(value, list | tuple):
        return kind, [comparable(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, set | frozenset):
        return kind, sorted(repr(comparable(one)) for one in cast("set[Any]", value))
    if isinstance(value, SecretStr | SecretBytes):
        return type(value), value.get_secret_value()
    return type(value), repr(value)
