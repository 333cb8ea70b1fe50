"""Accounts, answered by the users service. Whoever loses an account, or its password, loses the sessions with it."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from limen import Gateway, Upstream, owner, problems, role
from shop_gateway.models import Page, PasswordChange, RowId, User, UserChanges, UserForm
from shop_gateway.sessions import SESSION_ENDED


def declare(app: Gateway, upstream: Upstream) -> None:
    """Declare the routes."""
    accounts = app.group("/api/users", upstream=upstream, allow=role("admin"), tags=["users"])

    @accounts.get("")
    def list_users(page: Page) -> list[User]: ...

    @accounts.post("", status_code=201, responses=problems(409))
    def create_user(user: UserForm) -> User: ...

    @accounts.get("/{user_id}", responses=problems(404))
    def get_user(user_id: RowId) -> User: ...

    @accounts.put("/{user_id}", responses=problems(404, 409))
    def update_user(user_id: RowId, changes: UserChanges) -> User: ...

    @accounts.put(
        "/{user_id}/password",
        allow=owner("user_id") | role("admin"),
        status_code=204,
        session_ended_header=SESSION_ENDED,
        responses=problems(404, 429),
    )
    def change_password(user_id: RowId, change: PasswordChange) -> None: ...

    @accounts.delete("/{user_id}", status_code=204, session_ended_header=SESSION_ENDED, responses=problems(404))
    def delete_user(user_id: RowId) -> None: ...
