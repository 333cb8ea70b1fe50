"""The dependencies of a stub or a ``forward``: FastAPI runs them, and what it is asked for then is the exchange.

``dependencies=`` of the application, of its routers and of the route, and ``Depends`` in the signature of a stub. The asgi
engine calls what is made here, inside of FastAPI: exception handlers, overrides and ``yield`` are as in an endpoint.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import get_request_handler, request_response
from fastapi.security.base import SecurityBase
from starlette.convertors import Convertor
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from limen.engines.asgi.guarded import GUARDED

_RESPONSE = "limen.response"  # among the values of dependencies, whose names are identifiers


def guard(route: Any) -> "DependencyGuard | None":
    """Return what runs the dependencies of FastAPI's ``route`` before the exchange; None if it has none.

    Raises TypeError for a dependency that reads the body: that goes to the service.
    """
    dependencies: list[Dependant] = route.dependant.dependencies
    if not dependencies:
        return None
    for one in dependencies:
        if _reads_body(one):
            raise TypeError(
                f"the dependency {_name(one)} reads the body, which goes to the service; declare the body in the stub's "
                "signature, or read what it needs from the head"
            )
    dependant = Dependant(
        call=_proceed,
        path=route.path_format,
        dependencies=dependencies,
        response_param_name=_RESPONSE,
    )
    handler = get_request_handler(
        dependant=dependant, dependency_overrides_provider=route.dependency_overrides_provider
    )
    return DependencyGuard(
        request_response(handler),
        dict(route.param_convertors),
        dependant,
        ", ".join(map(_name, dependencies)),
        documented=documents_schemes(route),
    )


def documents_schemes(route: Any) -> bool:
    """Tell whether FastAPI documents what credentials dependencies of ``route`` ask for; ``openapi_extra`` may say others."""
    return "security" not in (route.openapi_extra or {}) and any(
        map(_asks_for_credentials, route.dependant.dependencies)
    )


def _asks_for_credentials(dependant: Dependant) -> bool:
    return isinstance(dependant.call, SecurityBase) or any(map(_asks_for_credentials, dependant.dependencies))


class DependencyGuard:
    """Runs the dependencies of one route, those of ``dependant``, and then the exchange. ``names`` names them.

    ``schemes_documented`` says that the document has what credentials they ask for, beside those that the rule needs.
    """

    def __init__(
        self,
        app: ASGIApp,
        converters: Mapping[str, Convertor[Any]],
        dependant: Dependant,
        names: str,
        *,
        documented: bool,
    ) -> None:
        """``app`` is what FastAPI makes of them; ``converters`` are those of the path."""
        self._app = app
        self._converters = converters
        self.dependant = dependant
        self.calls = frozenset(one.call for one in dependant.dependencies)
        self.names = names
        self.schemes_documented = documented

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run, with a scope as FastAPI's router makes it."""
        guarded = scope[GUARDED]
        scope["endpoint"] = getattr(guarded.route, "endpoint", None)
        scope["route"] = guarded.route
        scope["path_params"] = {name: self._converted(name, value) for name, value in guarded.params.items()}
        await self._app(scope, receive, send)

    def _converted(self, name: str, value: str) -> object:
        converter = self._converters.get(name)
        return value if converter is None else converter.convert(value)


def guard_first(router: APIRouter) -> None:
    """Let ``router`` run the guard of a gateway route, where the engine asks for it, before it looks for an endpoint."""
    inner = router.middleware_stack

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope.get(GUARDED)
        if guarded is None:
            await inner(scope, receive, send)
        else:
            scope.setdefault("router", router)
            await guarded.guard(scope, receive, send)

    router.middleware_stack = app


def _reads_body(dependant: Dependant) -> bool:
    return bool(dependant.body_params) or any(map(_reads_body, dependant.dependencies))


def _name(dependant: Dependant) -> str:
    call: Any = dependant.call
    return getattr(call, "__name__", type(call).__name__)


def _proceed(**values: Any) -> Response:
    """Take what the dependencies have returned, which nobody needs, and the ``Response`` that they have set fields on."""
    return _Proceed(values[_RESPONSE])


class _Proceed(Response):
    """The exchange, as a response. ``injected`` is the ``Response`` on which dependencies have set header fields."""

    def __init__(self, injected: Response) -> None:
        super().__init__()
        self._injected = injected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(name.lower(), value) for name, value in self._injected.headers.raw if name != b"content-length"]
        await scope[GUARDED].proceed(lines)
        if self.background is not None:
            await self.background()
