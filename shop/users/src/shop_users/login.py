"""Login: are these credentials right, and whose are they? It needs no identity: it is how one gets it.

1. *guessing*  whoever has failed too often waits, before anything is looked up (``shop_users.guessing``); most are told
               so before they come here (``shop_users.refusals``)
2. *verify*    one hash, whether or not there is such an account; then one answer to both
3. *upgrade*   an old hash is replaced
4. *session*   begun, unless the password was changed meanwhile; then again from 2

What was wrong is told to the log alone (``shop_users.audit``).
"""

from ipaddress import ip_address
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import HTTPConnection

from limen_kit.problems import Problem, responses
from shop_users import audit
from shop_users.accounts import Account, username_key
from shop_users.guessing import Attempt, Guessing, address_key
from shop_users.parts import Accounts, Clock, Guesses, Hashes, Sessions
from shop_users.passwords import Busy, Passwords
from shop_users.schemas import Credentials, LoginResponse
from shop_users.sessions import Begun, Gone

PATH = "/api/login"

router = APIRouter(prefix=PATH, tags=["login"])

_UNKNOWN = "unknown"
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}
}


async def _address(request: Request) -> str:
    return address_of(request)


def address_of(request: HTTPConnection) -> str:
    """Return the client's address, or ``unknown``."""
    said = request.headers.get("x-forwarded-for")
    if said is None:
        # No gateway in front: then it is the peer's.
        said = _UNKNOWN if request.client is None else request.client.host
    return client_address(said)


def client_address(said: str) -> str:
    """Return the client's address of what the gateway says in ``x-forwarded-for``, or ``unknown``.

    The gateway drops what a client wrote, and writes whom it believes: the client first, then the proxies between them.
    """
    try:
        return str(ip_address(said.partition(",")[0].partition("%")[0].strip()))
    except ValueError:
        return _UNKNOWN


def _documented() -> dict[int | str, dict[str, Any]]:
    found = responses(400, 401, 413, 429, 503)
    for status in (429, 503):
        found[status]["headers"] = _RETRY_AFTER
    return found


@router.post("", response_model=LoginResponse, status_code=201, responses=_documented())
async def login(
    credentials: Credentials,
    request: Request,
    response: Response,
    accounts: Accounts,
    hashes: Hashes,
    sessions: Sessions,
    guessing: Guesses,
    address: Annotated[str, Depends(_address)],
    now: Clock,
) -> LoginResponse:
    """Check credentials and begin a session; an old hash is replaced on the way."""
    name = username_key(credentials.username)
    seen = _seen(name, address)
    attempt = guessing.attempt(name, address_key(address), now())
    if not isinstance(attempt, Attempt):
        raise _refused(too_many(attempt), seen)
    try:
        hashes.check()
        account, begun = await _begun(credentials, accounts, hashes, sessions, request, address)
    except BaseException as error:
        # Whatever it was, also that the client has left: it was no guess, and its place is free again.
        guessing.dropped(attempt, now())
        if isinstance(error, Busy):
            _refused(error, seen)
        raise
    if account is None or begun is None:
        guessing.failed(attempt, now())
        if account is not None:
            seen["account"] = account.id
        audit.event("login_refused", reason="unknown_user" if account is None else "wrong_password", **seen)
        raise Problem(401, "credentials_wrong", "Username or password is wrong.", {"www-authenticate": "Bearer"})
    guessing.succeeded(attempt, now())
    audit.event("login_succeeded", account=account.id, **seen, session=begun.session_id)
    # It holds a token (RFC 6749, section 5.1).
    response.headers["cache-control"] = "no-store"
    return LoginResponse(
        id=account.id,
        username=account.username,
        user_type=account.user_type,
        session_id=begun.session_id,
        refresh_token=begun.refresh_token,
        refresh_expires_at=begun.expires_at,
    )


def refusal(
    credentials: Credentials, address: str, guessing: Guessing, hashes: Passwords, now: float
) -> Problem | None:
    """Return what ``login`` would raise before it looks at a password, having logged it; None if it would look at one.

    It waits for nothing and begins nothing: what is free now may be taken when the login comes.
    """
    name = username_key(credentials.username)
    wait = guessing.wait(name, address_key(address), now)
    if wait > 0:
        return _refused(too_many(wait), _seen(name, address))
    return _refused(Busy(), _seen(name, address)) if hashes.full else None


def _seen(name: str, address: str) -> dict[str, str | int]:
    """Return what every line about a login says."""
    return {"name": audit.disguised(name), "address": address}


def _refused(why: Problem, seen: dict[str, str | int]) -> Problem:
    """Log, and return, why no password was looked at."""
    audit.event("login_refused", reason="busy" if isinstance(why, Busy) else "too_many", **seen)
    return why


async def _begun(
    credentials: Credentials,
    accounts: Accounts,
    hashes: Hashes,
    sessions: Sessions,
    request: Request,
    address: str,
) -> tuple[Account | None, Begun | None]:
    """Return whose the name is, and a session if the password is right."""
    agent = request.headers.get("user-agent", "")
    while True:
        account, hashed = await _verified(credentials, accounts, hashes)
        if account is None or hashed is None:
            return account, None
        try:
            return account, await sessions.begin(account.id, user_agent=agent, address=address, hashed_password=hashed)
        except Gone:
            # The password is another by now, or the account gone: these credentials may not be right any more.
            continue


async def _verified(credentials: Credentials, accounts: Accounts, hashes: Hashes) -> tuple[Account | None, str | None]:
    """Return the account of this name, and the hash that it has now if the password is right."""
    account = await accounts.named(credentials.username)
    right, better = await hashes.verified(credentials.password, None if account is None else account.hashed_password)
    if account is None or not right:
        return account, None
    if better is None or not await accounts.rehash(account.id, account.hashed_password, better):
        return account, account.hashed_password
    return account, better


def too_many(seconds: float) -> Problem:
    """Return what somebody is told who has guessed too often."""
    after = ceil(seconds)
    return Problem(
        429,
        "too_many_attempts",
        f"There were too many wrong passwords; try again in {after} s.",
        {"retry-after": str(after)},
    )
