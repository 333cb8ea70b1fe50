"""The login: checks credentials and begins a session. It needs no identity: it is how a caller gets one.

1. *device*    a device that has logged in before has a counter of its own (``device_tokens``)
2. *throttle*  whoever has failed too often must wait (``login_throttle``); most such logins are already refused by
               ``login_middleware``, before anything is looked up
3. *verify*    one hash, whether or not the account exists or is locked; the answer to all is the same
4. *upgrade*   an old hash is replaced
5. *session*   begins, unless password or user type was changed meanwhile, or the account locked; then again from 3

Only the audit log says what was wrong (``limen_accounts.audit``).
"""

from ipaddress import ip_address
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import HTTPConnection

from limen_accounts import audit
from limen_accounts.accounts import Account, AccountMissing, AccountStore, username_key
from limen_accounts.dependencies import AccountsDep, ClockDep, HasherDep, SessionsDep, ThrottleDep
from limen_accounts.device_tokens import device_of, issue_device_token
from limen_accounts.login_throttle import Attempt, LoginThrottle, address_key
from limen_accounts.passwords import HashingBusy, PasswordHasher
from limen_accounts.schemas import Credentials, LoginResponse
from limen_accounts.sessions import NewSession
from limen_kit.problems import Problem, responses

PATH = "/login"

router = APIRouter(prefix=PATH, tags=["login"])

UNKNOWN_ADDRESS = "unknown"
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}}
}


async def _address(request: Request) -> str:
    return address_of(request)


def address_of(request: HTTPConnection) -> str:
    """Return the client's address, or ``unknown``."""
    forwarded_for = request.headers.get("x-forwarded-for")
    if forwarded_for is None:
        # There is no gateway in front, so the peer is the client.
        forwarded_for = UNKNOWN_ADDRESS if request.client is None else request.client.host
    return client_address(forwarded_for)


def client_address(forwarded_for: str) -> str:
    """Return the client's address in the gateway's ``x-forwarded-for``, or ``unknown``.

    The gateway replaces the client's own field by the addresses that it trusts: the client first, then the proxies.
    """
    try:
        return str(ip_address(forwarded_for.partition(",")[0].partition("%")[0].strip()))
    except ValueError:
        return UNKNOWN_ADDRESS


def _error_responses() -> dict[int | str, dict[str, Any]]:
    documented = responses(400, 401, 413, 429, 503)
    for status in (429, 503):
        documented[status]["headers"] = _RETRY_AFTER
    return documented


@router.post("", response_model=LoginResponse, status_code=201, responses=_error_responses())
async def login(
    credentials: Credentials,
    request: Request,
    response: Response,
    accounts: AccountsDep,
    hasher: HasherDep,
    sessions: SessionsDep,
    throttle: ThrottleDep,
    address: Annotated[str, Depends(_address)],
    now: ClockDep,
) -> LoginResponse:
    """Check credentials, replace an old hash, and begin a session."""
    name = username_key(credentials.username)
    log_fields = _log_fields(name, address)
    device = await _device(credentials, accounts)
    attempt = throttle.attempt(name, address_key(address), now(), device=device)
    if not isinstance(attempt, Attempt):
        raise _logged_refusal(too_many_attempts(attempt), log_fields)
    try:
        hasher.check_capacity()
        account, session, current_hash = await _begin_session(credentials, accounts, hasher, sessions, request, address)
    except BaseException as error:
        # Any error, a client that has left included: no password was checked, so the attempt does not count.
        throttle.cancelled(attempt, now())
        if isinstance(error, HashingBusy):
            _logged_refusal(error, log_fields)
        raise
    if account is None or session is None or current_hash is None:
        throttle.failed(attempt, now())
        if account is not None:
            log_fields["account"] = account.id
        audit.event("login_refused", reason=_reason(account), **log_fields)
        raise Problem(401, "credentials_wrong", "Username or password is wrong.", {"www-authenticate": "Bearer"})
    throttle.succeeded(attempt, now())
    audit.event("login_succeeded", account=account.id, **log_fields, session=session.session_id)
    # It holds a token (RFC 6749, section 5.1).
    response.headers["cache-control"] = "no-store"
    return LoginResponse(
        id=account.id,
        username=account.username,
        user_type=account.user_type,
        session_id=session.session_id,
        refresh_token=session.refresh_token,
        refresh_expires_at=session.expires_at,
        device_token=issue_device_token(account.id, current_hash, device),
    )


async def _device(credentials: Credentials, accounts: AccountStore) -> str | None:
    """Return the device that the client proves to be, if any. Without a token nothing is looked up."""
    if credentials.device_token is None:
        return None
    account = await accounts.get_account_by_username(credentials.username)
    if account is None:
        return device_of(credentials.device_token, 0, None)
    return device_of(credentials.device_token, account.id, account.hashed_password)


def refusal(
    credentials: Credentials, address: str, throttle: LoginThrottle, hasher: PasswordHasher, now: float
) -> Problem | None:
    """Return the problem that ``login`` would raise before it checks a password, and log it; None if it would check one.

    Does not wait and reserves nothing: ``login`` may still be refused. Whether a device token is good is not known here.
    """
    name = username_key(credentials.username)
    wait = throttle.wait(name, address_key(address), now) if credentials.device_token is None else 0
    if wait > 0:
        return _logged_refusal(too_many_attempts(wait), _log_fields(name, address))
    return _logged_refusal(HashingBusy(), _log_fields(name, address)) if hasher.full else None


def _reason(account: Account | None) -> str:
    """Return why a password did not count, for the log. Of a locked account it is not told whether it was the right one."""
    if account is None:
        return "unknown_user"
    return "wrong_password" if account.locked_at is None else "locked"


def _log_fields(name: str, address: str) -> dict[str, str | int]:
    """Return the fields of every log line about a login."""
    return {"name": audit.pseudonym(name), "address": address}


def _logged_refusal(problem: Problem, log_fields: dict[str, str | int]) -> Problem:
    """Log why no password was checked, and return ``problem``."""
    audit.event("login_refused", reason="busy" if isinstance(problem, HashingBusy) else "too_many", **log_fields)
    return problem


async def _begin_session(
    credentials: Credentials,
    accounts: AccountsDep,
    hasher: HasherDep,
    sessions: SessionsDep,
    request: Request,
    address: str,
) -> tuple[Account | None, NewSession | None, str | None]:
    """Return the account of this name, and a session and the current hash if the password is right."""
    user_agent = request.headers.get("user-agent", "")
    while True:
        account, current_hash = await _verify(credentials, accounts, hasher)
        if account is None or current_hash is None:
            return account, None, None
        try:
            session = await sessions.begin_session(
                account.id,
                user_agent=user_agent,
                address=address,
                hashed_password=current_hash,
                user_type=account.user_type,
            )
        except AccountMissing:
            # The account was deleted, locked or changed: these credentials, or its user type, may no longer be right.
            continue
        return account, session, current_hash


async def _verify(
    credentials: Credentials, accounts: AccountsDep, hasher: HasherDep
) -> tuple[Account | None, str | None]:
    """Return the account of this name, and its current hash if the password is right and the account not locked."""
    account = await accounts.get_account_by_username(credentials.username)
    # A locked account is like an unknown one: no password is right, and the check takes as long.
    stored = None if account is None or account.locked_at is not None else account.hashed_password
    matches, upgraded = await hasher.verify(credentials.password, stored)
    if account is None or not matches:
        return account, None
    if upgraded is None or not await accounts.replace_hash(account.id, account.hashed_password, upgraded):
        return account, account.hashed_password
    return account, upgraded


def too_many_attempts(seconds: float) -> Problem:
    """Return the answer to a client that must wait ``seconds``."""
    seconds_left = ceil(seconds)
    return Problem(
        429,
        "too_many_attempts",
        f"There were too many wrong passwords; try again in {seconds_left} s.",
        {"retry-after": str(seconds_left)},
    )
