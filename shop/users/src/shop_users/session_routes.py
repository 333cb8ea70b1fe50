"""Sessions: going on with one, ending one or all, and looking at one's own.

Refreshing, and logging out by a refresh token, need no identity: the access token may have ended long ago. Whatever is wrong
with a refresh token, the answer is the same; the log knows more.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from limen_kit.fields import MAX_ROW_ID
from limen_kit.identity import CurrentCaller, IdentitySource
from limen_kit.problems import Problem, responses
from shop_users import audit
from shop_users.ended import DOCUMENTED, told
from shop_users.parts import Sessions
from shop_users.schemas import EndedResponse, LoginResponse, LogoutForm, RefreshForm, SessionResponse
from shop_users.sessions import SESSION_ID, Ended, Token

router = APIRouter(prefix="/api", tags=["sessions"])

_ENDING: dict[int | str, dict[str, Any]] = {200: {"headers": DOCUMENTED}}

_SESSION_ID = re.compile(SESSION_ID)


@router.post("/refresh", responses=responses(400, 401, 413))
async def refresh(form: RefreshForm, sessions: Sessions, response: Response) -> LoginResponse:
    """Use a refresh token up for the next one; one that was used before ends its session."""
    token = Token.read(form.refresh_token)
    found = None if token is None else await sessions.refresh(token)
    if isinstance(found, Ended):
        audit.event("reuse", account=found.account_id, session=found.session_id)
        raise _invalid(found.session_id)
    if found is None:
        raise _invalid()
    audit.event("refresh", account=found.account.id, session=found.session_id)
    # It holds a token (RFC 6749, section 5.1).
    response.headers["cache-control"] = "no-store"
    return LoginResponse(
        id=found.account.id,
        username=found.account.username,
        user_type=found.account.user_type,
        session_id=found.session_id,
        refresh_token=found.refresh_token,
        refresh_expires_at=found.expires_at,
    )


@router.post("/logout", responses=_ENDING | responses(400, 401, 413, 503))
async def logout(form: LogoutForm, request: Request, sessions: Sessions, response: Response) -> EndedResponse:
    """End the session of a refresh token, be it a used one; without one, the session that the caller uses."""
    if form.refresh_token is not None:
        token = Token.read(form.refresh_token)
        ended = None if token is None else await sessions.end_by(token)
        if ended is None:
            raise _invalid()
    else:
        # Not a parameter: who has a refresh token is not asked for more.
        identify: IdentitySource = request.app.state.identify
        identity = await identify(request.headers)
        ended = _current(_number(identity.subject), identity.session_id)
        if ended is None:
            return EndedResponse(ended=0)
        await sessions.end(ended.account_id, ended.session_id)
    audit.event("logout", account=ended.account_id, session=ended.session_id)
    return _over(response, ended.session_id)


@router.post("/logout-all", responses=_ENDING | responses(401))
async def logout_all(caller: CurrentCaller, sessions: Sessions, response: Response) -> EndedResponse:
    """End all sessions of the caller."""
    ended = set(await sessions.end_all(caller.id))
    if (current := _current(caller.id, caller.session_id)) is not None:
        ended.add(current.session_id)
    audit.event("logout_all", account=caller.id, sessions=len(ended))
    return _over(response, *sorted(ended))


@router.get("/sessions", responses=responses(401))
async def list_sessions(caller: CurrentCaller, sessions: Sessions) -> list[SessionResponse]:
    """List the caller's sessions, the last used first."""
    return [
        SessionResponse(
            id=session.id,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            user_agent=session.user_agent,
            address=session.address,
            current=session.id == caller.session_id,
        )
        for session in await sessions.of(caller.id)
    ]


@router.delete("/sessions/{session_id}", responses=_ENDING | responses(401, 404))
async def end_session(
    session_id: Annotated[str, Path(pattern=SESSION_ID)], caller: CurrentCaller, sessions: Sessions, response: Response
) -> EndedResponse:
    """End one of the caller's sessions."""
    if not await sessions.end(caller.id, session_id):
        raise Problem(404, "not_found", "Session not found with this id.")
    audit.event("session_ended", account=caller.id, session=session_id)
    return _over(response, session_id)


def _over(response: Response, *sessions: str) -> EndedResponse:
    """Tell the caller how many are over, and the gateway which."""
    response.headers.update(told(sessions))
    return EndedResponse(ended=len(sessions))


def _current(account_id: int, session_id: str | None) -> Ended | None:
    """Return the session that the gateway vouches for.

    It is over once it was asked to end, also when the store has forgotten it before: its access token may still be good,
    and the gateway then knows better.
    """
    if session_id is None or not _SESSION_ID.fullmatch(session_id):
        return None
    return Ended(session_id, account_id)


def _number(subject: str) -> int:
    """Return the id of an account; of a subject that is none of ours, 0, which nobody has."""
    number = int(subject) if subject.isascii() and subject.isdecimal() and len(subject) <= len(str(MAX_ROW_ID)) else 0
    return number if number <= MAX_ROW_ID else 0


def _invalid(*ended: str) -> Problem:
    """Return the one answer to whatever is wrong; which sessions have ended is for the gateway."""
    return Problem(
        401,
        "refresh_token_invalid",
        "This refresh token is not valid, or not any more; log in again.",
        {"www-authenticate": 'Bearer error="invalid_token"', **told(ended)},
    )
