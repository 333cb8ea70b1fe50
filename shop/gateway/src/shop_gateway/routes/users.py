"""Accounts, answered by the users service. Deleting an account, or changing its password, ends its sessions."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from limen import Gateway, Upstream, owner, problems, role
from shop_gateway.models import Page, PasswordChange, RowId, User, UserChanges, UserForm
from shop_gateway.sessions import SESSION_ENDED_HEADER


def declare(app: Gateway, upstream: Upstream) -> None:
    """Declare the routes."""
    users = app.group("/api/users", upstream=upstream, allow=role("admin"), tags=["users"])

    @users.get("")
    def list_users(page: Page) -> list[User]: ...

    @users.post("", status_code=201, responses=problems(409))
    def create_user(user: UserForm) -> User: ...

    @users.get("/{user_id}", responses=problems(404))
    def get_user(user_id: RowId) -> User: ...

    @users.put("/{user_id}", responses=problems(404, 409))
    def update_user(user_id: RowId, changes: UserChanges) -> User: ...

    @users.put(
        "/{user_id}/password",
        allow=owner("user_id") | role("admin"),
        status_code=204,
        session_ended_header=SESSION_ENDED_HEADER,
        responses=problems(404, 429),
    )
    def change_password(user_id: RowId, change: PasswordChange) -> None: ...

    @users.delete("/{user_id}", status_code=204, session_ended_header=SESSION_ENDED_HEADER, responses=problems(404))
    def delete_user(user_id: RowId) -> None: ...
