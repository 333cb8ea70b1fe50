"""Login, refresh and logout: the users service keeps the sessions, the gateway makes and ends the tokens."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Path

from limen import Gateway, Upstream, anyone, problems, signed_in
from shop_gateway.models import Credentials, Ended, RefreshForm, Session, TokenPair
from shop_gateway.sessions import SESSION_ENDED, Sessions

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_\-]{22}$")]


def declare(app: Gateway, upstream: Upstream, sessions: Sessions) -> None:
    """Declare the routes."""
    # Whoever has no token gets one here, and a refresh token is enough to log out: the access token may have ended.
    door = app.group("/api", upstream=upstream, allow=anyone, session_ended_header=SESSION_ENDED, tags=["login"])

    @door.post("/login", status_code=201, after=sessions.begun, responses=problems(401, 429))
    def login(credentials: Credentials) -> TokenPair: ...

    @door.post("/refresh", after=sessions.begun, responses=problems(401))
    def refresh(form: RefreshForm) -> TokenPair: ...

    @door.post("/logout", responses=problems(401))
    def logout(form: RefreshForm) -> Ended: ...

    own = app.group("/api", upstream=upstream, allow=signed_in, session_ended_header=SESSION_ENDED, tags=["sessions"])

    @own.post("/logout-all")
    def logout_all() -> Ended: ...

    @own.get("/sessions")
    def list_sessions() -> list[Session]: ...

    @own.delete("/sessions/{session_id}", responses=problems(404))
    def end_session(session_id: SessionId) -> Ended: ...
