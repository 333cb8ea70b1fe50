"""The options of route decorators, the gateway's own and FastAPI's, and the decorators that take them."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from os import PathLike
from typing import Any, Final, Literal, Required, TypedDict, TypeVar, Unpack

from fastapi import Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from limen.app.group_policies import GroupPolicies
from limen.auth.method import Method, Methods
from limen.auth.rules import Rule
from limen.contract.answer_model import IncEx
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.runtime.fallback import Fallback
from limen.runtime.split import Split
from limen.upstream.declared import Timeouts, Upstream

Stub = TypeVar("Stub", bound=Callable[..., Any])
Allow = Rule | Callable[[Principal], bool]
Auth = Method | Methods | Sequence[Method]


class RouteOptions(TypedDict, total=False):
    """Keyword options of ``get``, ``post`` and the other verbs.

    With ``upstream`` the function is a stub: its signature is the contract and its body is never run. Without, it is an
    ordinary path operation of FastAPI, to which FastAPI's options, ``allow`` and ``auth`` apply.

    - ``upstream``: the service that answers, or a ``Split`` of two.
    - ``fallback``: what answers where the service does not, retries included: another ``Upstream``, or a fixed answer
      (``Respond``). It answers for faults of the service, and for the statuses that its ``Retry`` names. Another service
      gets only what was never sent or may be repeated. None, in place of a group's, is none.
    - ``idempotency_key``: True says that the service honours ``Idempotency-Key``: a POST or PATCH with one may be repeated.
      In a group it is for the routes that have such a method.
    - ``allow``: who may call. Required for a stub: there is no default. An endpoint without it is open to everybody; one with
      it may take the caller, as a parameter of the type ``Principal``.
    - ``auth``: how callers prove who they are on this route, such as ``tokens | keys``; the gateway's own unless given.
    - ``identity``: header names and what they tell this service about the caller, in place of the gateway's own; a function
      that returns None sends no header, and ``{}`` tells the service nothing. Clients can never send these headers, on any
      route.
    - ``rewrite``: the path at the service, ``{name}`` for path parameters; without it the path passes byte for byte.
    - ``after``: a function, sync or async, from the service's answer of the documented status, decoded, to what the client
      gets instead. Further arguments may be a ``Response`` of FastAPI's, to set status, headers and cookies, and a
      ``Principal``, the caller (``Principal | None`` where anyone may call). It may return a ``Response``, and raise
      ``HTTPException``. Where the status is 204 and it returns None, the answer has no content.
    - ``session_ended_header``: the header in which the service names sessions that have ended, in an answer of any status:
      their tokens end at once, and the client does not see it. It needs ``Gateway(revocations=)``.
    - ``timeouts``: replaces those of the upstream.
    - ``policies``: a list of policies (``limen.policies``), such as ``[Headers(...)]``. Those of the gateway and of the
      groups apply too, and come first. Of one kind, the nearest wins: a policy of a kind that adds up (its page says so)
      replaces only one with the same name, any other replaces all of its kind.
    - ``body``: ``"as sent"`` passes a declared body, once it is checked, with whatever its type ignores. Unless given,
      members that the type ignores are removed, and where they cannot be known the route does not compile. A form with files
      streams unread: for it, ``"as sent"`` says that the service does the checks; unless given, only texts and files of it
      may be declared.
    - ``max_body``, or FastAPI's ``max_body_size``: bytes a request body may have; 256 KiB for what is declared and read
      (JSON, a form without files, a text) unless given, and 1 MiB at most; unbounded for streams unless given, or what the
      application has as ``max_body_size``.
    - ``form_limits``, of FastAPI: ``max_fields`` of a form, 1,000 at most, and ``max_part_size``, the bytes of one as sent
      with its name; those of the application unless given. A form with files can have them only with ``body="as sent"``.
    - ``max_answer``: bytes an answer may have that must be held to be checked; 256 KiB unless given, 1 MiB at most.

    The others are FastAPI's.
    """

    upstream: Upstream | Split
    fallback: Fallback | None
    idempotency_key: bool
    allow: Allow
    auth: Auth
    identity: Mapping[str, Callable[[Principal], str | None]]
    rewrite: str
    after: Callable[..., object] | Callable[..., Awaitable[object]]
    session_ended_header: str
    timeouts: Timeouts
    policies: Sequence[Policy]
    body: Literal["as sent"]
    max_body: int
    max_answer: int
    max_body_size: int | None
    response_model: Any
    response_model_include: IncEx | None
    response_model_exclude: IncEx | None
    response_model_by_alias: bool
    response_model_exclude_unset: bool
    response_model_exclude_defaults: bool
    response_model_exclude_none: bool
    status_code: int | None
    tags: list[str | Enum] | None
    dependencies: Sequence[Depends] | None
    summary: str | None
    description: str | None
    response_description: str
    responses: dict[int | str, dict[str, Any]] | None
    deprecated: bool | None
    operation_id: str | None
    include_in_schema: bool
    response_class: type[Response]
    name: str | None
    callbacks: list[BaseRoute] | None
    openapi_extra: dict[str, Any] | None
    generate_unique_id_function: Callable[[APIRoute], str]
    form_limits: Mapping[str, int] | None


class SocketOptions(TypedDict, total=False):
    """Keyword options of ``websocket``, besides FastAPI's: ``allow`` and ``auth``, as of an endpoint of the gateway's own."""

    allow: Allow
    auth: Auth


OWN_OPTIONS = frozenset(
    (
        "upstream",
        "fallback",
        "idempotency_key",
        "allow",
        "auth",
        "identity",
        "rewrite",
        "after",
        "session_ended_header",
        "timeouts",
        "policies",
        "body",
        "max_body",
        "max_answer",
    )
)


class ForwardOptions(TypedDict, total=False):
    """Keyword options of ``forward``.

    - ``upstream``: the service that answers, or a ``Split`` of two. What stands in the document is of the stable one.
    - ``allow``: who may call.
    - ``fallback``, ``idempotency_key``, ``auth``, ``identity``, ``timeouts``, ``policies``: as of a stub.
    - ``rewrite``: the path at the service; without it the path passes byte for byte.
    - ``methods``: those that are forwarded; GET, POST, PUT, PATCH, DELETE and OPTIONS unless given. HEAD comes with GET.
    - ``max_body``: bytes a request body may have; the ``max_body_size`` of the application unless given, and without one
      unbounded, since bodies stream and are never held.
    - ``dependencies``: FastAPI's, which run before the request is forwarded.

    It stands in the public document, by default with one operation for each method:

    - ``document``: the service's own document (OpenAPI 3 in JSON), a file such as ``"reports.openapi.json"`` or an address
      such as ``"http://reports:8000/openapi.json"``. Its operations stand there instead, as far as this forward reaches them.
      A file is read by ``compile`` or at start, and a wrong one is a declaration error. An address is asked when the
      gateway's document is; until it answers, the forward is documented without.
    - ``tags``: those of its operations; else those of the service's document, or the name of the upstream.
    - ``name``, ``summary``, ``description``: of the operations that stand for a service without a document.
    - ``include_in_schema``: False leaves it out.
    """

    upstream: Required[Upstream | Split]
    fallback: Fallback | None
    idempotency_key: bool
    allow: Required[Allow]
    auth: Auth | None
    identity: Mapping[str, Callable[[Principal], str | None]]
    rewrite: str | None
    methods: Sequence[str]
    timeouts: Timeouts | None
    max_body: int | None
    policies: Sequence[Policy]
    dependencies: Sequence[Depends] | None
    document: str | PathLike[str] | None
    tags: Sequence[str | Enum] | None
    name: str | None
    summary: str | None
    description: str | None
    include_in_schema: bool


EVERY_METHOD: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods of a ``forward`` that names none."""


def listed_methods(methods: Sequence[str]) -> list[str]:
    """Return ``methods`` in upper case. Raises TypeError for one text, whose letters would be taken for methods."""
    if isinstance(methods, str):
        raise TypeError(f"methods={methods!r} is no list; write methods=[{methods!r}]")
    return [method.upper() for method in methods]


class Verbs:
    """The decorators, one per method; a gateway, its groups and routers have the same ones.

    ``prefix`` stands before every path.
    """

    prefix: str = ""

    @abstractmethod
    def declare(
        self, methods: Sequence[str], path: str, options: RouteOptions, groups: Sequence[GroupPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Return the decorator that declares ``methods`` of ``path``; ``groups`` are the policies of its groups."""

    @abstractmethod
    def declare_forward(self, path: str, options: ForwardOptions, groups: Sequence[GroupPolicies] = ()) -> None:
        """Forward ``path``; ``groups`` are the policies of its groups."""

    @abstractmethod
    def full_path(self, path: str) -> str:
        """Return ``path`` behind the prefixes of all groups."""

    @abstractmethod
    def report(self, problem: str) -> None:
        """Keep ``problem``, one line that names the route, until the next compile, which fails with it."""

    @abstractmethod
    def declare_group(self, group: GroupPolicies) -> None:
        """Take note of the policies of a group."""

    def forward(self, path: str, **options: Unpack[ForwardOptions]) -> None:
        """Forward everything under ``path`` (which may end in ``{name:path}``) to a service; bodies stream both ways."""
        self.declare_forward(path, options)

    def api_route(
        self, path: str, *, methods: Sequence[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[Stub], Stub]:
        """Declare a route of several methods."""
        return self.declare(listed_methods(methods), path, options)

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a GET route; HEAD comes with it."""
        return self.declare(["GET"], path, options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a POST route."""
        return self.declare(["POST"], path, options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a PUT route."""
        return self.declare(["PUT"], path, options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a PATCH route."""
        return self.declare(["PATCH"], path, options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a DELETE route."""
        return self.declare(["DELETE"], path, options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a HEAD route, where it is another than that of GET."""
        return self.declare(["HEAD"], path, options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare an OPTIONS route; without one the gateway answers with the methods that there are."""
        return self.declare(["OPTIONS"], path, options)

    def trace(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Stub], Stub]:
        """Declare a TRACE route."""
        return self.declare(["TRACE"], path, options)
