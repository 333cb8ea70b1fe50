"""Routes of sessions: refresh one, end one or all, list one's own.

A refresh, and a logout with a refresh token, need no identity: the access token may have expired long ago. Every invalid
refresh token gets the same answer; the log says more.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from limen_accounts import audit
from limen_accounts.dependencies import ApiKeysDep, SessionsDep
from limen_accounts.schemas import EndedResponse, LogoutForm, RefreshForm, RefreshResponse, SessionResponse
from limen_accounts.session_ended import RESPONSE_HEADERS, session_ended_header
from limen_accounts.sessions import SESSION_ID, EndedSession, RefreshToken
from limen_kit.identity import CurrentCaller, IdentitySource, user_id
from limen_kit.problems import Problem, responses

router = APIRouter(tags=["sessions"])

_SESSIONS_ENDED: dict[int | str, dict[str, Any]] = {200: {"headers": RESPONSE_HEADERS}}

_SESSION_ID = re.compile(SESSION_ID)


@router.post("/refresh", responses=responses(400, 401, 413))
async def refresh(form: RefreshForm, sessions: SessionsDep, response: Response) -> RefreshResponse:
    """Exchange a refresh token for the next one; a token that was used before ends its session."""
    token = RefreshToken.parse(form.refresh_token)
    refreshed = None if token is None else await sessions.refresh_session(token)
    if isinstance(refreshed, EndedSession):
        audit.event("reuse", account=refreshed.account_id, session=refreshed.session_id)
        raise _token_invalid(refreshed.session_id)
    if refreshed is None:
        raise _token_invalid()
    audit.event("refresh", account=refreshed.account.id, session=refreshed.session_id)
    # It holds a token (RFC 6749, section 5.1).
    response.headers["cache-control"] = "no-store"
    return RefreshResponse(
        id=refreshed.account.id,
        username=refreshed.account.username,
        user_type=refreshed.account.user_type,
        session_id=refreshed.session_id,
        refresh_token=refreshed.refresh_token,
        refresh_expires_at=refreshed.expires_at,
    )


@router.post("/logout", responses=_SESSIONS_ENDED | responses(400, 401, 413, 503))
async def logout(form: LogoutForm, request: Request, sessions: SessionsDep, response: Response) -> EndedResponse:
    """End the session of a refresh token, used or not; without one, end the caller's session."""
    if form.refresh_token is not None:
        token = RefreshToken.parse(form.refresh_token)
        ended = None if token is None else await sessions.end_session_of(token)
        if ended is None:
            raise _token_invalid()
    else:
        # Not a parameter: with a refresh token, no identity is required.
        identify: IdentitySource = request.app.state.identify
        identity = await identify(request.headers)
        # 0, which no account has, for somebody of an external issuer.
        ended = _callers_session(user_id(identity.subject) or 0, identity.session_id)
        if ended is None:
            return EndedResponse(ended=0)
        await sessions.end_session(ended.account_id, ended.session_id)
    audit.event("logout", account=ended.account_id, session=ended.session_id)
    return _ended_response(response, ended.session_id)


@router.post("/logout-all", responses=_SESSIONS_ENDED | responses(401))
async def logout_all(
    caller: CurrentCaller,
    sessions: SessionsDep,
    keys: ApiKeysDep,
    response: Response,
    revoke_keys: Annotated[bool, Query(description="Whether API keys end too.")] = False,
) -> EndedResponse:
    """End all sessions of the caller, and with ``revoke_keys`` all API keys."""
    ended = set(await sessions.end_sessions(caller.id))
    if (current := _callers_session(caller.id, caller.session_id)) is not None:
        ended.add(current.session_id)
    # After the sessions: no key is made in one that has ended, so none is left.
    revoked = await keys.revoke_keys(caller.id) if revoke_keys else 0
    audit.event("logout_all", account=caller.id, sessions=len(ended), keys=revoked)
    return _ended_response(response, *sorted(ended))


@router.get("/sessions", responses=responses(401))
async def list_sessions(caller: CurrentCaller, sessions: SessionsDep) -> list[SessionResponse]:
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
        for session in await sessions.list_sessions(caller.id)
    ]


@router.delete("/sessions/{session_id}", responses=_SESSIONS_ENDED | responses(401, 404))
async def end_session(
    session_id: Annotated[str, Path(pattern=SESSION_ID)],
    caller: CurrentCaller,
    sessions: SessionsDep,
    response: Response,
) -> EndedResponse:
    """End one of the caller's sessions."""
    if not await sessions.end_session(caller.id, session_id):
        raise Problem(404, "not_found", "Session not found with this id.")
    audit.event("session_ended", account=caller.id, session=session_id)
    return _ended_response(response, session_id)


def _ended_response(response: Response, *sessions: str) -> EndedResponse:
    """Return the number of ended sessions, and name them to the gateway in a header."""
    response.headers.update(session_ended_header(sessions))
    return EndedResponse(ended=len(sessions))


def _callers_session(account_id: int, session_id: str | None) -> EndedSession | None:
    """Return the session that the gateway names for the caller.

    It counts as ended even if the store no longer has it: its access token may still be valid, and this is how the gateway
    learns to refuse it.
    """
    if session_id is None or not _SESSION_ID.fullmatch(session_id):
        return None
    return EndedSession(session_id, account_id)


def _token_invalid(*ended: str) -> Problem:
    """Return the answer to every invalid token; the header with ended sessions is for the gateway."""
    return Problem(
        401,
        "refresh_token_invalid",
        "This refresh token is not valid, or not any more; log in again.",
        {"www-authenticate": 'Bearer error="invalid_token"', **session_ended_header(ended)},
    )
