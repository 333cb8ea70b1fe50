"""Who may call the application's own endpoints: ``allow=`` on one of them, and the caller as a parameter.

The endpoint itself asks, whichever way FastAPI has found to it: the table of the gateway reads paths otherwise than FastAPI.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from limen.app.annotations import alternatives
from limen.app.options import RouteOptions
from limen.engines.asgi.downstream import Downstream
from limen.engines.asgi.engine import EXCHANGE
from limen.errors import Fault
from limen.exchange.principal import Principal
from limen.http.replies import problem
from limen.pipeline.steps import admit

_PRINCIPAL = "limen.principal"  # in a scope: who is calling an endpoint with allow=


class LocalRoute(APIRoute):
    """An endpoint of the application's own. ``problems`` are those of its declaration."""

    options: RouteOptions
    takes_caller: bool = False
    problems: Sequence[str] = ()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who is calling, and whether they may, before anything else of the request is looked at."""
        if "allow" in self.options and (await _refused(self, scope, receive, send)):
            return
        await super().handle(scope, receive, send)


async def _refused(route: LocalRoute, scope: Scope, receive: Receive, send: Send) -> bool:
    """Answer a request of somebody who may not call ``route``; False for all others."""
    active, request, outcome = scope[EXCHANGE]
    request.params = {name: str(value) for name, value in scope["path_params"].items()}
    access = active.local_access[id(route)]
    admitted = admit(access, request, outcome, active.runtime.now())
    if not isinstance(admitted, bytes | Fault):
        admitted = await admitted
    if isinstance(admitted, Fault):
        outcome.code, outcome.cause = admitted.kind.code, admitted.cause
        await Downstream(scope, receive, send).refuse(problem(admitted, request.request_id), None)
        return True
    scope[_PRINCIPAL] = request.principal
    return False


def caller(request: Request) -> Principal:
    """Return who is calling: a dependency for endpoints that have ``allow=``, and for what they depend on.

    An endpoint may as well take a parameter of the type ``Principal``. Raises RuntimeError where nobody was asked who calls.
    """
    principal: Principal | None = request.scope.get(_PRINCIPAL)
    if principal is None:
        raise RuntimeError(
            f"{request.method} {request.scope.get('path')}: nobody knows the caller; give the endpoint allow=signed_in, or "
            "another rule that asks who is calling"
        )
    return principal


def with_caller(function: Callable[..., Any], *, guarded: bool) -> Callable[..., Any]:
    """Return ``function`` with its parameters of the type ``Principal`` as dependencies, which FastAPI knows.

    Raises TypeError if there are such, and the endpoint is not ``guarded`` by a rule.
    """
    names = [name for name, hint in _hints(function).items() if name != "return" and _is_principal(hint)]
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
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def stream(*args: Any, **kwargs: Any) -> Any:
            async for one in function(*args, **kwargs):
                yield one

        return stream
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return run_async
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            yield from function(*args, **kwargs)

        return generate

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return run


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # FastAPI says what is wrong, if it needs the name
        return {}


def _is_principal(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        _, *metadata = get_args(hint)
        if any(isinstance(one, type(Depends())) for one in metadata):
            return False
    kinds = set(alternatives(hint)) - {NoneType}
    return kinds == {Principal}
