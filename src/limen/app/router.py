"""``Router``: FastAPI's router, on which stubs may be declared, for ``Gateway.include_router``."""

from collections.abc import Callable, Sequence
from typing import Unpack

from fastapi import APIRouter
from fastapi.params import Depends

from limen.app.declaration import declare, declare_websocket
from limen.app.forward import declare_forward
from limen.app.group import Group
from limen.app.group_policies import GroupPolicies
from limen.app.options import ForwardOptions, RouteOptions, SocketOptions, Stub, Verbs
from limen.errors import DeclarationError


class Router(Verbs, APIRouter):  # pyright: ignore[reportIncompatibleMethodOverride] - stubs take more options than FastAPI's operations
    """Routes of a module of their own: FastAPI's ``APIRouter``, whose path operations may be stubs.

    ``Gateway.include_router(router)`` makes them routes of the gateway, with the prefix, tags, dependencies and responses of
    both. What is declared on it while the gateway runs needs ``Gateway.compile()``: the gateway's table, and its rules, know
    it from then on. A plain FastAPI application serves none of its stubs.
    """

    def declare(
        self, methods: Sequence[str], path: str, options: RouteOptions, groups: Sequence[GroupPolicies] = ()
    ) -> Callable[[Stub], Stub]:
        """Declare ``path``: a stub where there is an upstream, else FastAPI's own path operation."""
        return declare(self, methods, path, options, groups)

    def declare_forward(self, path: str, options: ForwardOptions, groups: Sequence[GroupPolicies] = ()) -> None:
        """Forward everything under ``path``."""
        declare_forward(self, path, options, groups)

    def websocket(
        self,
        path: str,
        name: str | None = None,
        *,
        dependencies: Sequence[Depends] | None = None,
        **options: Unpack[SocketOptions],
    ) -> Callable[[Stub], Stub]:
        """Declare a WebSocket, of which ``allow`` may say who may call."""
        return declare_websocket(self, path, name, dependencies, options)

    def full_path(self, path: str) -> str:
        """Return ``path`` behind the router's own prefix: those of its inclusions come before it."""
        return self.prefix + path

    def report(self, problem: str) -> None:
        """Raise DeclarationError with ``problem``: no gateway is there yet to collect it."""
        raise DeclarationError([problem])

    def declare_group(self, group: GroupPolicies) -> None:
        """Do nothing: the gateway finds the group at its routes."""

    def group(self, prefix: str, **defaults: Unpack[RouteOptions]) -> Group:
        """Return a group of routes that share ``prefix`` and options; a route's own options win."""
        return Group(self, prefix, defaults)
