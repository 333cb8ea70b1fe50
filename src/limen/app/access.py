"""Who may call the application's own endpoints: ``allow=`` on one of them, and the caller as a parameter.

The endpoint itself asks, whichever way FastAPI has found to it: the table of the gateway reads paths otherwise than FastAPI.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from fastapi import Depends, WebSocket
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from limen.app.annotations import alternatives
from limen.app.options import RouteOptions, SocketOptions
from limen.app.socket_refusal import SocketRefused
from limen.auth.rules import Rule
from limen.engines.asgi.downstream import Downstream
from limen.engines.asgi.engine import EXCHANGE, PRINCIPAL
from limen.errors import Fault
from limen.exchange.principal import Principal
from limen.http.replies import problem
from limen.pipeline.steps import admit


class LocalRoute(APIRoute):
    """An endpoint of the application's own. ``problems`` are those of its declaration."""

    options: RouteOptions
    takes_caller: bool = False
    problems: Sequence[str] = ()

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same route: two of one path may have two rules."""
        return self is other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] - Starlette's are not hashable
        """Return what tells it from all others."""
        return id(self)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who is calling, and whether they may, before anything else of the request is looked at."""
        if (
            "allow" in self.options
            and scope["method"] in (self.methods or ())  # else FastAPI answers 405, to whomever
            and (await _refused(self, scope, receive, send))
        ):
            return
        await super().handle(scope, receive, send)


class SocketRule:
    """Who may call a WebSocket of the application's own: its first dependency. ``problems`` are those of its declaration.

    FastAPI makes another route of it for each router that includes it, and of what is declared keeps the dependencies alone.
    """

    def __init__(self, options: SocketOptions, *, takes_caller: bool, problems: Sequence[str]) -> None:
        """``takes_caller`` says that the endpoint has a parameter of the type ``Principal``."""
        self.options = options
        self.takes_caller = takes_caller
        self.problems = problems

    async def __call__(self, socket: WebSocket) -> None:
        """Find out who is calling. Raises SocketRefused for who may not."""
        if "allow" in self.options and (fault := await _fault(self, socket.scope)) is not None:
            raise SocketRefused(problem(fault, socket.scope[EXCHANGE][1].request_id))


def socket_rule(route: WebSocketRoute) -> SocketRule | None:
    """Return the rule that a WebSocket was declared with, if it was with one."""
    given = route.dependencies if isinstance(route, APIWebSocketRoute) else ()
    return next((one.dependency for one in given if isinstance(one.dependency, SocketRule)), None)


async def _refused(route: LocalRoute, scope: Scope, receive: Receive, send: Send) -> bool:
    """Answer a request of somebody who may not call ``route``; False for all others."""
    fault = await _fault(route, scope)
    if fault is not None:
        await Downstream(scope, receive, send).refuse(problem(fault, scope[EXCHANGE][1].request_id), None)
    return fault is not None


async def _fault(ruled: LocalRoute | SocketRule, scope: Scope) -> Fault | None:
    """Return why the caller may not call what is ``ruled``; None if they may: then the scope says who it is."""
    active, request, outcome = scope[EXCHANGE]
    request.params = {name: str(value) for name, value in scope["path_params"].items()}
    access = active.local_access.get(ruled)
    rule = ruled.options.get("allow")
    if access is None and not (isinstance(rule, Rule) and rule.public):
        raise RuntimeError(
            f"{request.method.decode()} {request.path.decode()} was declared after the last compile, and nobody knows yet "
            "who may call; call compile() of the gateway"
        )
    admitted = admit(access, request, outcome, active.runtime.now())
    if not isinstance(admitted, bytes | Fault):
        admitted = await admitted
    if isinstance(admitted, Fault):
        outcome.code, outcome.cause = admitted.kind.code, admitted.cause
        return admitted
    scope[PRINCIPAL] = request.principal
    return None


def caller(request: HTTPConnection) -> Principal:
    """Return who is calling: a dependency for routes and endpoints that have ``allow=``, and for what they depend on.

    An endpoint may as well take a parameter of the type ``Principal``. Raises RuntimeError where nobody was asked who calls.
    """
    principal: Principal | None = request.scope.get(PRINCIPAL)
    if principal is None:
        raise RuntimeError(
            f"{request.scope.get('path')}: nobody knows the caller; give the endpoint allow=signed_in, or another rule that "
            "asks who is calling"
        )
    return principal


def asks_for_caller(dependant: Dependant) -> bool:
    """Tell whether a dependency of ``dependant`` is ``caller``."""
    return dependant.call is caller or any(map(asks_for_caller, dependant.dependencies))


def with_caller(function: Callable[..., Any], *, guarded: bool) -> Callable[..., Any]:
    """Return ``function`` with its parameters of the type ``Principal`` as dependencies, which FastAPI knows.

    Raises TypeError if there are such, and the endpoint is not ``guarded`` by a rule.
    """
    names = [name for name, hint in _hints(function) if _is_principal(hint)]
    if not names:
        return function
    if not guarded:
        raise TypeError(
            f"{names[0]}: Principal is who is calling, and without allow= nobody is asked; add allow=signed_in, role(...), "
            "scope(...) or a function"
        )
    signature = inspect.signature(function)
    marked = Annotated[Principal, Depends(caller)]
    parameters = [
        one.replace(annotation=marked, default=inspect.Parameter.empty) if name in names else one
        for name, one in signature.parameters.items()
    ]
    # A parameter without a default may not stand behind one with a default, unless it is given by name.
    ordered = sorted(parameters, key=lambda one: (one.kind, one.default is not inspect.Parameter.empty))
    wrapper = _wrapper(function)
    cast("Any", wrapper).__signature__ = signature.replace(parameters=ordered)
    return wrapper


def _wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the same kind that calls ``function``: FastAPI runs each kind in its own way."""
    called = _called(function)
    if inspect.isasyncgenfunction(called):

        @functools.wraps(function)
        async def stream(*args: Any, **kwargs: Any) -> Any:
            async for one in function(*args, **kwargs):
                yield one

        return stream
    if inspect.iscoroutinefunction(called):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return run_async
    if inspect.isgeneratorfunction(called):

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            yield from function(*args, **kwargs)

        return generate

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return run


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs in the end: of a partial its function, of an object its ``__call__``."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _hints(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters with their annotations; of a name that is not there, FastAPI says so if it needs it."""
    names: dict[str, Any] = getattr(inspect.unwrap(_called(function)), "__globals__", {})
    for name, parameter in inspect.signature(function).parameters.items():
        try:
            of_one = {"__annotations__": {name: parameter.annotation}}
            yield name, get_type_hints(type("_One", (), of_one), names, include_extras=True)[name]
        except (NameError, TypeError):
            continue


def _is_principal(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        _, *metadata = get_args(hint)
        if any(isinstance(one, type(Depends())) for one in metadata):
            return False
    kinds = set(alternatives(hint)) - {NoneType}
    return kinds == {Principal}
