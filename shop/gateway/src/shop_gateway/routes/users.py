"""Login and accounts, answered by the users service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from limen import Gateway, Upstream, anyone, owner, problems, role
from limen.auth import Jwt, issue
from shop_gateway.models import (
    Account,
    Credentials,
    Page,
    PasswordChange,
    RowId,
    TokenPair,
    User,
    UserChanges,
    UserForm,
)


def declare(app: Gateway, upstream: Upstream, auth: Jwt) -> None:
    """Declare the routes."""

    def issue_token(account: Account) -> TokenPair:
        return TokenPair(access_token=issue(auth, account.id, account.user_type))

    @app.post(
        "/api/login",
        upstream=upstream,
        allow=anyone,
        status_code=201,
        after=issue_token,
        responses=problems(401, 404),
        tags=["login"],
    )
    def login(credentials: Credentials) -> TokenPair: ...

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
        responses=problems(404),
    )
    def change_password(user_id: RowId, change: PasswordChange) -> None: ...

    @accounts.delete("/{user_id}", status_code=204, responses=problems(404))
    def delete_user(user_id: RowId) -> None: ...
