"""Login, refresh and logout: the users service keeps the sessions, the gateway issues and revokes the access tokens."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Path

from limen import Gateway, Upstream, anyone, problems, signed_in
from shop_gateway.models import Credentials, EndedSessions, RefreshForm, Session, TokenPair
from shop_gateway.sessions import SESSION_ENDED_HEADER, SessionTokens

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_\-]{22}$")]


def declare(app: Gateway, upstream: Upstream, session_tokens: SessionTokens) -> None:
    """Declare the routes."""
    # No access token is needed: a login has none yet, and at a refresh or logout it may have expired.
    login_routes = app.group(
        "/api", upstream=upstream, allow=anyone, session_ended_header=SESSION_ENDED_HEADER, tags=["login"]
    )

    @login_routes.post("/login", status_code=201, after=session_tokens.issue_tokens, responses=problems(401, 429))
    def login(credentials: Credentials) -> TokenPair: ...

    @login_routes.post("/refresh", after=session_tokens.issue_tokens, responses=problems(401))
    def refresh(form: RefreshForm) -> TokenPair: ...

    @login_routes.post("/logout", responses=problems(401))
    def logout(form: RefreshForm) -> EndedSessions: ...

    session_routes = app.group(
        "/api", upstream=upstream, allow=signed_in, session_ended_header=SESSION_ENDED_HEADER, tags=["sessions"]
    )

    @session_routes.post("/logout-all")
    def logout_all() -> EndedSessions: ...

    @session_routes.get("/sessions")
    def list_sessions() -> list[Session]: ...

    @session_routes.delete("/sessions/{session_id}", responses=problems(404))
    def end_session(session_id: SessionId) -> EndedSessions: ...
