"""Routes of accounts: admins manage them; owners can change their own password."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, WithJsonSchema

from limen_accounts import audit, schemas
from limen_accounts.accounts import (
    ADMIN,
    Account,
    AccountStore,
    Changes,
    NewAccount,
    UsernameOrEmailTaken,
    VersionChanged,
    username_key,
)
from limen_accounts.dependencies import AccountsDep, ClockDep, HasherDep, StateDep, ThrottleDep
from limen_accounts.login import too_many_attempts
from limen_accounts.login_throttle import Attempt, LoginThrottle
from limen_accounts.passwords import PasswordHasher
from limen_accounts.schemas import PasswordChange, UserResponse
from limen_accounts.session_ended import RESPONSE_HEADERS, session_ended_header
from limen_kit.fields import RowId
from limen_kit.identity import AdminCaller, CurrentCaller
from limen_kit.paging import TOTAL_COUNT_HEADER, Page, total_count_responses
from limen_kit.preconditions import Preconditions, RequestPreconditions, etag, tagged_responses
from limen_kit.problems import Problem, responses

FIRST_ADMIN_ID = 1
"""This account stays an admin, so that there always is one."""

_SESSIONS_ENDED: dict[int | str, dict[str, Any]] = {204: {"headers": RESPONSE_HEADERS}}

_CREATED_RESPONSE: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {"description": "Where the new user is.", "schema": {"type": "string"}},
            "ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}},
        }
    }
}

# The routes whose forms are the same in every service.
_router = APIRouter()


def account_router(user_types: Sequence[str]) -> APIRouter:
    """Return the routes. They give an account one of ``user_types``; another one that is stored already is kept and read."""
    router = APIRouter(tags=["users"])

    class UserForm(schemas.UserForm):
        """A new user."""

        user_type: Annotated[str, *_one_of(user_types)]

    class UserChanges(schemas.UserChanges):
        """Changes to a user: what is left out stays as it is; null clears ``email`` and ``full_name``."""

        user_type: Annotated[str, *_one_of(user_types)] = schemas.ABSENT

    @router.post(
        "/users",
        response_model=UserResponse,
        status_code=201,
        responses=_CREATED_RESPONSE | responses(400, 401, 403, 409, 413, 503),
    )
    async def create_user(  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        form: UserForm,
        caller: AdminCaller,
        accounts: AccountsDep,
        hasher: HasherDep,
        request: Request,
        response: Response,
    ) -> Account:
        """Create a user."""
        account = await _create(form, caller.id, accounts, hasher)
        response.headers["Location"] = str(request.app.url_path_for("get_user", user_id=account.id))
        response.headers["ETag"] = etag(account.version)
        return account

    @router.put(
        "/users/{user_id}",
        response_model=UserResponse,
        responses=tagged_responses(200, 412) | responses(400, 401, 403, 404, 409, 413),
    )
    async def update_user(  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        user_id: RowId,
        changes: UserChanges,
        caller: AdminCaller,
        accounts: AccountsDep,
        preconditions: RequestPreconditions,
    ) -> Account:
        """Change the fields in the body; the others stay. With ``If-Match``, only as the caller knows it."""
        account = await _update(user_id, changes, accounts, preconditions)
        preconditions.tag(account.version)
        return account

    router.include_router(_router)
    return router


def _one_of(user_types: Sequence[str]) -> tuple[AfterValidator, WithJsonSchema]:
    def check(text: str) -> str:
        if text not in user_types:
            raise ValueError(f"it must be one of {', '.join(user_types)}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(user_types)})


async def _create(form: schemas.UserForm, created_by: int, accounts: AccountStore, hasher: PasswordHasher) -> Account:
    new = NewAccount(
        username=form.username,
        hashed_password=await hasher.hash(form.password),
        user_type=form.user_type,
        email=form.email,
        full_name=form.full_name,
        created_by=created_by,
    )
    try:
        return await accounts.create_account(new)
    except UsernameOrEmailTaken as error:
        raise _conflict(error) from error


async def _update(
    user_id: int, changes: schemas.UserChanges, accounts: AccountStore, preconditions: Preconditions
) -> Account:
    changed = cast("Changes", changes.model_dump(exclude_unset=True))
    if user_id == FIRST_ADMIN_ID and changed.get("user_type", ADMIN) != ADMIN:
        raise Problem(403, "protected", "You are not allowed to take the admin role from the first user.")
    while True:
        before = _or_404(await accounts.get_account(user_id))
        preconditions.check_change(before.version)
        try:
            return _or_404(await accounts.update_account(user_id, changed, before.version))
        except VersionChanged:
            continue  # somebody was first: the condition has to hold for what there is now
        except UsernameOrEmailTaken as error:
            raise _conflict(error) from error


@_router.get("/users", response_model=list[UserResponse], responses=total_count_responses() | responses(401, 403))
async def list_users(page: Page, caller: AdminCaller, accounts: AccountsDep, response: Response) -> list[Account]:
    """List the users; ``q`` looks into username, email and full name."""
    page_of_accounts, total = await accounts.list_accounts(q=page.q, limit=page.limit, offset=page.offset)
    response.headers[TOTAL_COUNT_HEADER] = str(total)
    return page_of_accounts


@_router.get(
    "/users/{user_id}",
    response_model=UserResponse,
    responses=tagged_responses(200, 304, 412) | responses(401, 403, 404),
)
async def get_user(
    user_id: RowId, caller: AdminCaller, accounts: AccountsDep, preconditions: RequestPreconditions
) -> Account:
    """Get one user."""
    account = _or_404(await accounts.get_account(user_id))
    preconditions.check_read(account.version)
    return account


@_router.put(
    "/users/{user_id}/password",
    status_code=204,
    responses=_SESSIONS_ENDED | responses(400, 401, 403, 404, 413, 429, 503),
)
async def change_password(
    user_id: RowId,
    change: PasswordChange,
    caller: CurrentCaller,
    accounts: AccountsDep,
    hasher: HasherDep,
    throttle: ThrottleDep,
    now: ClockDep,
    response: Response,
) -> None:
    """Change a password: an admin any, a user their own by giving the current one. All sessions of the user end."""
    if caller.id != user_id and not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to access this scope.")
    ended = None
    while ended is None:
        account = _or_404(await accounts.get_account(user_id))
        if caller.id == user_id:
            await _check_own_password(account, change.current_password or "", hasher, throttle, now)
        # If the password was changed meanwhile, nothing is stored, and the current password is checked again.
        new_hash = await hasher.hash(change.new_password)
        ended = await accounts.change_password(user_id, account.hashed_password, new_hash)
    audit.event("password_changed", account=user_id, by=caller.id, sessions=len(ended))
    response.headers.update(session_ended_header(ended))


@_router.delete("/users/{user_id}", status_code=204, responses=_SESSIONS_ENDED | responses(401, 403, 404, 412))
async def delete_user(
    user_id: RowId,
    caller: AdminCaller,
    state: StateDep,
    preconditions: RequestPreconditions,
    response: Response,
) -> None:
    """Delete a user, with their sessions and API keys; with ``If-Match``, only as the caller knows it."""
    if user_id in state.protected_ids:
        raise Problem(403, "protected", "You are not allowed to delete protected users.")
    ended = await _delete(user_id, state.stores.accounts, preconditions)
    audit.event("user_deleted", account=user_id, by=caller.id, sessions=len(ended))
    state.on_event()
    response.headers.update(session_ended_header(ended))


async def _delete(user_id: int, accounts: AccountStore, preconditions: Preconditions) -> list[str]:
    """Delete the account, and return the ids of its sessions."""
    while True:
        version = _or_404(await accounts.get_account(user_id)).version
        preconditions.check_change(version)
        try:
            ended = await accounts.delete_account(user_id, version)
        except VersionChanged:
            continue
        if ended is None:
            raise _not_found()
        return ended


async def _check_own_password(
    account: Account, password: str, hasher: PasswordHasher, throttle: LoginThrottle, now: Callable[[], float]
) -> None:
    """Raise Problem unless it is the account's password.

    Guessing is rate-limited here too: a stolen session must not become a way to find the password.
    """
    attempt = throttle.attempt(username_key(account.username), None, now())
    if not isinstance(attempt, Attempt):
        raise too_many_attempts(attempt)
    try:
        matches, _ = await hasher.verify(password, account.hashed_password)
    except BaseException:
        throttle.cancelled(attempt, now())  # no password was checked
        raise
    if matches:
        throttle.succeeded(attempt, now())
        return
    throttle.failed(attempt, now())
    audit.event("password_refused", account=account.id)
    raise Problem(403, "password_wrong", "Password is wrong.")


def _or_404(account: Account | None) -> Account:
    if account is None:
        raise _not_found()
    return account


def _not_found() -> Problem:
    return Problem(404, "not_found", "User not found with this id.")


def _conflict(error: UsernameOrEmailTaken) -> Problem:
    return Problem(409, f"{error.field}_taken", f"There is already another user with this {error.field}.")
