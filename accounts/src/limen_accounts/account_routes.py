"""Routes of accounts: admins manage them, owners read their own. What changes passwords and locks stands beside it."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, WithJsonSchema

from limen_accounts import audit, schemas
from limen_accounts.account_problems import found
from limen_accounts.accounts import (
    ADMIN,
    FIRST_ADMIN_ID,
    Account,
    AccountStore,
    Changes,
    NewAccount,
    UsernameOrEmailTaken,
    VersionChanged,
)
from limen_accounts.current_admin import CurrentAdmin, require_admin
from limen_accounts.dependencies import AccountsDep, HasherDep, StateDep
from limen_accounts.passwords import PasswordHasher
from limen_accounts.schemas import UserResponse
from limen_accounts.session_ended import RESPONSE_HEADERS, SESSIONS_ENDED, session_ended_header
from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.paging import TOTAL_COUNT_HEADER, Page, total_count_responses
from limen_kit.preconditions import Preconditions, RequestPreconditions, etag, tagged_responses
from limen_kit.problems import Problem, responses

_UPDATED_RESPONSES = tagged_responses(200, 412)
_UPDATED_RESPONSES[200]["headers"] |= RESPONSE_HEADERS

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
        caller: CurrentAdmin,
        accounts: AccountsDep,
        hasher: HasherDep,
        request: Request,
        response: Response,
    ) -> Account:
        """Create a user."""
        account = await _create(form, caller.id, accounts, hasher)
        audit.event("user_created", account=account.id, user_type=account.user_type, by=caller.id)
        response.headers["Location"] = str(request.app.url_path_for("get_user", user_id=account.id))
        response.headers["ETag"] = etag(account.version)
        return account

    @router.put(
        "/users/{user_id}",
        response_model=UserResponse,
        responses=_UPDATED_RESPONSES | responses(400, 401, 403, 404, 409, 413),
    )
    async def update_user(  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        user_id: RowId,
        changes: UserChanges,
        caller: CurrentAdmin,
        accounts: AccountsDep,
        preconditions: RequestPreconditions,
        response: Response,
    ) -> Account:
        """Change the fields in the body; the others stay. With ``If-Match``, only as the caller knows it.

        Another user type ends all sessions of the user.
        """
        before, account, ended = await _update(user_id, changes, accounts, preconditions)
        fields = {"account": user_id, "by": caller.id, "fields": ",".join(sorted(changes.model_fields_set))}
        audit.event("user_changed", **fields)
        if account.user_type != before.user_type:
            role = {"before": before.user_type, "after": account.user_type}
            audit.event("role_changed", account=user_id, by=caller.id, **role, sessions=len(ended))
        preconditions.tag(account.version)
        response.headers.update(session_ended_header(ended))
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
) -> tuple[Account, Account, list[str]]:
    """Return the account before and after, and the ids of the sessions that have ended."""
    changed = cast("Changes", changes.model_dump(exclude_unset=True))
    if user_id == FIRST_ADMIN_ID and changed.get("user_type", ADMIN) != ADMIN:
        raise Problem(403, "protected", "You are not allowed to take the admin role from the first user.")
    while True:
        before = found(await accounts.get_account(user_id))
        preconditions.check_change(before.version)
        try:
            return before, *found(await accounts.update_account(user_id, changed, before.version))
        except VersionChanged:
            continue  # somebody was first: the condition has to hold for what there is now
        except UsernameOrEmailTaken as error:
            raise _conflict(error) from error


@_router.get("/users", response_model=list[UserResponse], responses=total_count_responses() | responses(401, 403))
async def list_users(page: Page, caller: CurrentAdmin, accounts: AccountsDep, response: Response) -> list[Account]:
    """List the users; ``q`` looks into username, email and full name."""
    page_of_accounts, total = await accounts.list_accounts(q=page.q, limit=page.limit, offset=page.offset)
    response.headers[TOTAL_COUNT_HEADER] = str(total)
    return page_of_accounts


# Before the route of a user, which would take "me" for an id.
@_router.get("/users/me", response_model=UserResponse, responses=tagged_responses(200, 304, 412) | responses(401, 404))
async def get_own_user(caller: CurrentCaller, accounts: AccountsDep, preconditions: RequestPreconditions) -> Account:
    """Get the caller's own user."""
    return await _read(caller.id, accounts, preconditions)


@_router.get(
    "/users/{user_id}",
    response_model=UserResponse,
    responses=tagged_responses(200, 304, 412) | responses(401, 403, 404),
)
async def get_user(
    user_id: RowId, caller: CurrentCaller, accounts: AccountsDep, preconditions: RequestPreconditions
) -> Account:
    """Get one user: an admin any, a user their own."""
    if caller.id != user_id:
        await require_admin(caller, accounts)
    return await _read(user_id, accounts, preconditions)


async def _read(user_id: int, accounts: AccountStore, preconditions: Preconditions) -> Account:
    account = found(await accounts.get_account(user_id))
    preconditions.check_read(account.version)
    return account


@_router.delete("/users/{user_id}", status_code=204, responses=SESSIONS_ENDED | responses(401, 403, 404, 412))
async def delete_user(
    user_id: RowId,
    caller: CurrentAdmin,
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
        version = found(await accounts.get_account(user_id)).version
        preconditions.check_change(version)
        try:
            return found(await accounts.delete_account(user_id, version))
        except VersionChanged:
            continue


def _conflict(error: UsernameOrEmailTaken) -> Problem:
    return Problem(409, f"{error.field}_taken", f"There is already another user with this {error.field}.")
