"""Accounts, answered by the users service. Deleting or locking an account, or changing its password or role, ends its
sessions.
"""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from limen import Gateway, Upstream, owner, role, signed_in
from shop_gateway.fields import row_id
from shop_gateway.headers import IfMatch, IfNoneMatch
from shop_gateway.models import Key, Page, PasswordChange, RevokedKeys, User, UserChanges, UserForm
from shop_gateway.responses import CHANGED_SINCE, ETAG, TOTAL_COUNT, conditional, errors, location, success
from shop_gateway.sessions import SESSION_ENDED_HEADER

UserId = Annotated[int, row_id("user")]
KeyId = Annotated[int, row_id("API key")]

_UNKNOWN = errors({404: "There is no such user."})
_CHANGED = errors({412: CHANGED_SINCE})
_TAKEN = errors({409: "`username_taken` or `email_taken`: another user has it, whatever the case of its letters."})
_BUSY = errors({503: "Too many passwords are being hashed, or the service is unavailable."})


def declare(app: Gateway, upstream: Upstream) -> None:
    """Declare the routes."""
    users = app.group("/api/users", upstream=upstream, allow=role("admin"), tags=["users"])

    @users.get("", responses=success(200, "One page of the users.", TOTAL_COUNT))
    def list_users(page: Page) -> list[User]:
        """List the users in the order of their ids. `q` looks into username, email and full name."""
        ...

    @users.post(
        "",
        status_code=201,
        responses=success(201, "The user.", location("/api/users/4"), ETAG) | _TAKEN | _BUSY,
    )
    def create_user(user: UserForm) -> User:
        """Create a user. Username and email are unique whatever the case of their letters."""
        ...

    @users.get(
        "/me", allow=signed_in, responses=conditional("You.") | errors({404: "Your account is deleted."}) | _CHANGED
    )
    def get_own_user(if_none_match: IfNoneMatch = None) -> User:
        """Get your own user."""
        ...

    @users.get(
        "/{user_id}",
        allow=owner("user_id") | role("admin"),
        responses=conditional("The user.") | _UNKNOWN | _CHANGED,
    )
    def get_user(user_id: UserId, if_none_match: IfNoneMatch = None) -> User:
        """Get one user: yourself, or as an admin anybody."""
        ...

    @users.put(
        "/{user_id}",
        session_ended_header=SESSION_ENDED_HEADER,
        responses=success(200, "The user, as it is now.", ETAG)
        | errors({403: "You are no admin, or it is the first user, who stays one."})
        | _UNKNOWN
        | _CHANGED
        | _TAKEN,
    )
    def update_user(user_id: UserId, changes: UserChanges, if_match: IfMatch = None) -> User:
        """Change the fields in the body; the others stay. Null clears `email` and `full_name`.

        Another `user_type` ends all sessions of the user at once: what the former one gave ends with them.
        """
        ...

    @users.put(
        "/{user_id}/lock",
        status_code=204,
        session_ended_header=SESSION_ENDED_HEADER,
        responses=success(204, "The user is locked.")
        | errors({403: "You are no admin, or it is the first user, who is never locked."})
        | _UNKNOWN,
    )
    def lock_user(user_id: UserId) -> None:
        """Lock a user: no password logs in, all sessions end at once, and API keys do not work.

        The gateway may remember a good key for some seconds, and accepts it for as long.
        """
        ...

    @users.delete("/{user_id}/lock", status_code=204, responses=success(204, "The user is not locked.") | _UNKNOWN)
    def unlock_user(user_id: UserId) -> None:
        """Unlock a user, who may log in again; API keys that have not expired work again."""
        ...

    @users.put(
        "/{user_id}/password",
        allow=owner("user_id") | role("admin"),
        status_code=204,
        session_ended_header=SESSION_ENDED_HEADER,
        responses=success(204, "The password is changed.")
        | errors(
            {
                403: "`password_wrong`: the current password is wrong or missing; or it is somebody else's account.",
                429: "There were too many wrong passwords.",
            }
        )
        | _UNKNOWN
        | _BUSY,
    )
    def change_password(user_id: UserId, change: PasswordChange) -> None:
        """Change a password: your own by giving the current one, as an admin any other without it.

        All sessions of the user end at once. API keys stay if you change your own, and end if an admin sets it, unless
        `revoke_keys` says otherwise.
        """
        ...

    @users.get("/{user_id}/keys", responses=success(200, "The keys.") | _UNKNOWN)
    def list_user_keys(user_id: UserId) -> list[Key]:
        """List the API keys of a user, expired ones included."""
        ...

    @users.delete("/{user_id}/keys", responses=success(200, "How many keys are revoked.") | _UNKNOWN)
    def revoke_user_keys(user_id: UserId) -> RevokedKeys:
        """Revoke all API keys of a user. The gateway may remember a good key for some seconds, and accepts it for as long."""
        ...

    @users.delete(
        "/{user_id}/keys/{key_id}",
        status_code=204,
        responses=success(204, "The key is revoked.") | errors({404: "This user has no such key."}),
    )
    def revoke_user_key(user_id: UserId, key_id: KeyId) -> None:
        """Revoke one of the API keys of a user."""
        ...

    @users.delete(
        "/{user_id}",
        status_code=204,
        session_ended_header=SESSION_ENDED_HEADER,
        responses=success(204, "The user is deleted.")
        | errors({403: "You are no admin, or it is one of the first two users, who stay."})
        | _UNKNOWN
        | _CHANGED,
    )
    def delete_user(user_id: UserId, if_match: IfMatch = None) -> None:
        """Delete a user, with their sessions and API keys.

        Soon after, their orders are cancelled and the addresses in them erased. Their suppliers stay.
        """
        ...
