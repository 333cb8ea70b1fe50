"""Login, refresh and logout: the users service keeps the sessions, the gateway issues and revokes the access tokens."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Path, Query

from limen import Gateway, Upstream, anyone, signed_in
from shop_gateway.models import Credentials, EndedSessions, RefreshForm, Session, TokenPair
from shop_gateway.responses import NO_STORE, errors, success
from shop_gateway.sessions import SESSION_ENDED_HEADER, SessionTokens

SessionId = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9_\-]{22}$", description="The `id` of the session.", examples=["3eW0yKXpTqWc2h9cVtU4Zg"]),
]

_INVALID_TOKEN = errors({401: "The refresh token is not valid, or not any more; log in again."})


def declare(app: Gateway, upstream: Upstream, session_tokens: SessionTokens) -> None:
    """Declare the routes."""
    # No access token is needed: a login has none yet, and at a refresh or logout it may have expired.
    login_routes = app.group(
        "/api", upstream=upstream, allow=anyone, session_ended_header=SESSION_ENDED_HEADER, tags=["login"]
    )

    @login_routes.post(
        "/login",
        status_code=201,
        after=session_tokens.issue_tokens,
        responses=success(201, "The tokens of the new session.", NO_STORE)
        | errors(
            {
                401: "Username or password is wrong.",
                429: "There were too many wrong passwords, for this account or from this address.",
                503: "Too many passwords are being checked, or the service is unavailable.",
            }
        ),
    )
    def login(credentials: Credentials) -> TokenPair:
        """Begin a session with username and password. The case of the username does not matter."""
        ...

    @login_routes.post(
        "/refresh",
        after=session_tokens.issue_tokens,
        responses=success(200, "The next tokens of the session.", NO_STORE) | _INVALID_TOKEN,
    )
    def refresh(form: RefreshForm) -> TokenPair:
        """Exchange a refresh token for the next pair of tokens.

        A refresh token works once. If one is used again, its session ends: somebody else may have it.
        """
        ...

    @login_routes.post("/logout", responses=success(200, "How many sessions have ended.") | _INVALID_TOKEN)
    def logout(form: RefreshForm) -> EndedSessions:
        """End the session of a refresh token. Its access tokens end at once."""
        ...

    session_routes = app.group(
        "/api", upstream=upstream, allow=signed_in, session_ended_header=SESSION_ENDED_HEADER, tags=["sessions"]
    )

    @session_routes.post("/logout-all", responses=success(200, "How many sessions have ended."))
    def logout_all(
        revoke_keys: Annotated[bool, Query(description="Whether all your API keys end too.", examples=[True])] = False,
    ) -> EndedSessions:
        """End all your sessions, this one included."""
        ...

    @session_routes.get("/sessions", responses=success(200, "The sessions."))
    def list_sessions() -> list[Session]:
        """List your sessions, the last used first."""
        ...

    @session_routes.delete(
        "/sessions/{session_id}",
        responses=success(200, "How many sessions have ended.") | errors({404: "You have no such session."}),
    )
    def end_session(session_id: SessionId) -> EndedSessions:
        """End one of your sessions. Its access tokens end at once."""
        ...
