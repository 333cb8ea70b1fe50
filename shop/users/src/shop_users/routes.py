"""Accounts: an admin's to manage; a password also its owner's."""

from collections.abc import Callable
from typing import Any, cast

from fastapi import APIRouter, Response

from limen_kit.fields import RowId
from limen_kit.identity import AdminCaller, CurrentCaller
from limen_kit.paging import TOTAL_COUNT_HEADER, Page, total_count_responses
from limen_kit.problems import Problem, responses
from shop_users import audit
from shop_users.accounts import Account, Changes, NewAccount, Taken, username_key
from shop_users.ended import DOCUMENTED, told
from shop_users.guessing import Attempt, Guessing
from shop_users.login import too_many
from shop_users.parts import Accounts, Clock, Guesses, Hashes
from shop_users.passwords import Passwords
from shop_users.schemas import PasswordChange, UserChanges, UserForm, UserResponse

router = APIRouter(prefix="/api/users", tags=["users"])

PROTECTED = frozenset((1, 2))
"""Accounts that nobody may delete."""

FIRST_ADMIN = 1
"""The account that stays an admin, so that there is always one."""

_ENDING: dict[int | str, dict[str, Any]] = {204: {"headers": DOCUMENTED}}

_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "Where the new user is.", "schema": {"type": "string"}}}}
}


@router.get("", response_model=list[UserResponse], responses=total_count_responses() | responses(401, 403))
async def list_users(page: Page, caller: AdminCaller, accounts: Accounts, response: Response) -> list[Account]:
    """List the users; ``q`` looks into username, email and full name."""
    found, total = await accounts.page(q=page.q, limit=page.limit, offset=page.offset)
    response.headers[TOTAL_COUNT_HEADER] = str(total)
    return found


@router.post(
    "", response_model=UserResponse, status_code=201, responses=_CREATED | responses(400, 401, 403, 409, 413, 503)
)
async def create_user(
    form: UserForm, caller: AdminCaller, accounts: Accounts, hashes: Hashes, response: Response
) -> Account:
    """Create a user."""
    new = NewAccount(
        username=form.username,
        hashed_password=await hashes.hashed(form.password),
        user_type=form.user_type,
        email=form.email,
        full_name=form.full_name,
        created_by=caller.id,
    )
    try:
        account = await accounts.create(new)
    except Taken as taken:
        raise _conflict(taken) from taken
    response.headers["Location"] = f"/api/users/{account.id}"
    return account


@router.get("/{user_id}", response_model=UserResponse, responses=responses(401, 403, 404))
async def get_user(user_id: RowId, caller: AdminCaller, accounts: Accounts) -> Account:
    """Get one user."""
    return _found(await accounts.get(user_id))


@router.put("/{user_id}", response_model=UserResponse, responses=responses(400, 401, 403, 404, 409, 413))
async def update_user(user_id: RowId, changes: UserChanges, caller: AdminCaller, accounts: Accounts) -> Account:
    """Change what the body names; the rest stays."""
    named = cast("Changes", changes.model_dump(exclude_unset=True))
    if user_id == FIRST_ADMIN and named.get("user_type", "admin") != "admin":
        raise Problem(403, "protected", "You are not allowed to take the admin role from the first user.")
    try:
        return _found(await accounts.update(user_id, named))
    except Taken as taken:
        raise _conflict(taken) from taken


@router.put("/{user_id}/password", status_code=204, responses=_ENDING | responses(400, 401, 403, 404, 413, 429, 503))
async def change_password(
    user_id: RowId,
    change: PasswordChange,
    caller: CurrentCaller,
    accounts: Accounts,
    hashes: Hashes,
    guessing: Guesses,
    now: Clock,
    response: Response,
) -> None:
    """Change a password: an admin any, a user their own by giving the current one. All sessions of the user end."""
    if caller.id != user_id and not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to access this scope.")
    ended = None
    while ended is None:
        account = _found(await accounts.get(user_id))
        if caller.id == user_id:
            await _prove(account, change.current_password or "", hashes, guessing, now)
        # Whoever changed it in between may have made the current password another: look again.
        better = await hashes.hashed(change.new_password)
        ended = await accounts.change_password(user_id, account.hashed_password, better)
    audit.event("password_changed", account=user_id, by=caller.id, sessions=len(ended))
    response.headers.update(told(ended))


@router.delete("/{user_id}", status_code=204, responses=_ENDING | responses(401, 403, 404))
async def delete_user(user_id: RowId, caller: AdminCaller, accounts: Accounts, response: Response) -> None:
    """Delete a user, with their sessions and API keys."""
    if user_id in PROTECTED:
        raise Problem(403, "protected", "You are not allowed to delete protected users.")
    ended = await accounts.delete(user_id)
    if ended is None:
        raise _missing()
    audit.event("user_deleted", account=user_id, by=caller.id, sessions=len(ended))
    response.headers.update(told(ended))


async def _prove(
    account: Account, password: str, hashes: Passwords, guessing: Guessing, now: Callable[[], float]
) -> None:
    """Raise Problem unless it is the account's password. Who has stolen a session is not to find it out by trying."""
    attempt = guessing.attempt(username_key(account.username), None, now())
    if not isinstance(attempt, Attempt):
        raise too_many(attempt)
    try:
        right, _ = await hashes.verified(password, account.hashed_password)
    except BaseException:
        guessing.dropped(attempt, now())  # no password was looked at
        raise
    if right:
        guessing.succeeded(attempt, now())
        return
    guessing.failed(attempt, now())
    audit.event("password_refused", account=account.id)
    raise Problem(403, "password_wrong", "Password is wrong.")


def _found(account: Account | None) -> Account:
    if account is None:
        raise _missing()
    return account


def _missing() -> Problem:
    return Problem(404, "not_found", "User not found with this id.")


def _conflict(taken: Taken) -> Problem:
    return Problem(409, f"{taken.field}_taken", f"There is already another user with this {taken.field}.")
