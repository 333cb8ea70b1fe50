"""Accounts as a part of a service: what a user of this library declares, in one object."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from limen_accounts import api_key_routes, lock_routes, login, password_routes, session_routes, user_key_routes
from limen_accounts.account_routes import account_router
from limen_accounts.accounts import ADMIN, FIRST_ADMIN_ID, MAX_USER_TYPE
from limen_accounts.failure_counters import ThrottleLimits
from limen_accounts.first_accounts import FirstAccount, create_first_accounts
from limen_accounts.login_middleware import LoginRefusalMiddleware
from limen_accounts.login_throttle import LoginThrottle
from limen_accounts.passwords import PasswordHasher
from limen_accounts.settings import AccountsSettings
from limen_accounts.stores import Stores, open_stores
from limen_accounts.tortoise_stores.config import database_config
from limen_kit.database import TortoiseConfig
from limen_kit.outbox import Outbox


class Accounts:
    """Accounts, logins, sessions and API keys, for ``create_service(parts=[...])``.

    The routes stand below ``prefix``: always ``/login``, ``/refresh``, ``/logout``, ``/logout-all`` and ``/sessions``; with
    ``manage`` ``/users``, where admins manage accounts and owners change their passwords; with ``api_keys`` ``/keys``, and
    with both ``/users/{id}/keys``.

    The routes give an account one of ``user_types``, which the gateway makes the caller's role; ``admin`` must be one.
    Nobody may delete the accounts ``protected_ids``. An empty store begins with ``first_accounts``, or with the admin of
    ``settings``. With ``events``, the deletion of an account is stored as an event, for ``outbox``; ``on_event`` is what is
    told of it at once, such as ``Delivery.wake``.

    ``stores`` replaces those at ``settings.database_url``, and ``throttle_limits`` what guessing costs. Raises ValueError for
    what can never work.
    """

    def __init__(
        self,
        settings: AccountsSettings,
        *,
        prefix: str = "/api",
        manage: bool = True,
        api_keys: bool = True,
        user_types: Sequence[str] = ("default", ADMIN),
        protected_ids: Collection[int] = (FIRST_ADMIN_ID,),
        first_accounts: Sequence[FirstAccount] = (),
        events: bool = False,
        stores: Stores | None = None,
        throttle_limits: ThrottleLimits | None = None,
    ) -> None:
        """Open nothing yet."""
        _check_prefix(prefix)
        _check_user_types(user_types)
        if events and stores is not None and stores.events is None:
            raise ValueError(
                "Accounts(events=True): these stores keep no events; give Stores(events=...), or leave it out"
            )
        self.tortoise_orm: TortoiseConfig | None = (
            None if stores is not None else database_config(settings.database_url)
        )
        self.stores = stores or open_stores(
            settings.database_url,
            settings.session_limits,
            max_key_lifetime=settings.max_key_lifetime,
            events=events,
        )
        self.max_key_lifetime = settings.max_key_lifetime
        self.password_hasher = PasswordHasher(settings.hash_threads)
        self.login_throttle = LoginThrottle(throttle_limits)
        self.now: Callable[[], float] = monotonic
        self.protected_ids = frozenset(protected_ids)
        self.on_event: Callable[[], None] = _nothing
        self._first_accounts = first_accounts or _admin(settings)
        self._prefix = prefix
        self._routers = [
            *(login.router, session_routes.router),
            *((account_router(user_types), password_routes.router, lock_routes.router) if manage else ()),
            *((api_key_routes.router,) if api_keys else ()),
            *((user_key_routes.router,) if manage and api_keys else ()),
        ]

    @property
    def outbox(self) -> Outbox:
        """The events that are not delivered yet; raises ValueError if none are stored."""
        if self.stores.events is None:
            raise ValueError("no events are stored: write Accounts(..., events=True)")
        return self.stores.events

    @property
    def routers(self) -> Sequence[APIRouter]:
        """The routes, below the prefix."""
        below = APIRouter(prefix=self._prefix)
        for router in self._routers:
            below.include_router(router)
        return (below,)

    @property
    def middleware(self) -> Sequence[Middleware]:
        """What refuses logins in a flood of them."""
        return (Middleware(LoginRefusalMiddleware, path=f"{self._prefix}{login.PATH}"),)

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncGenerator[None]:
        """Serve the routes of ``app``, after making the first accounts."""
        app.state.accounts = self
        await create_first_accounts(self.stores.accounts, self.password_hasher, self._first_accounts)
        yield

    async def ready(self) -> None:
        """Raise while the store of accounts is not usable."""
        await self.stores.accounts.ready()


def _nothing() -> None:
    """Tell nobody: what delivers looks for events by itself, now and then."""


def _admin(settings: AccountsSettings) -> Sequence[FirstAccount]:
    if settings.admin_username is None or settings.admin_password is None:
        return ()
    password = settings.admin_password.get_secret_value()
    return (FirstAccount(settings.admin_username, password, ADMIN),)


def _check_prefix(prefix: str) -> None:
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"Accounts(prefix={prefix!r}): write it as '/api', or '' for no prefix")


def _check_user_types(user_types: Sequence[str]) -> None:
    for name in user_types:
        # The gateway joins roles with commas, and writes them into a header.
        if (
            not 1 <= len(name) <= MAX_USER_TYPE
            or not name.isascii()
            or not name.isprintable()
            or set(name) & {",", " "}
        ):
            raise ValueError(
                f"Accounts(user_types=...): {name!r} is no type; 1 to {MAX_USER_TYPE} visible ASCII characters, no comma"
            )
    if ADMIN not in user_types:
        raise ValueError(
            f"Accounts(user_types={list(user_types)}): {ADMIN!r} is missing, whose accounts manage the others"
        )
