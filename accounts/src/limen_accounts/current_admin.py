"""The dependency of routes that only admins may call.

What these routes do is for good: an admin makes other admins. So the role in the caller's access token, which may be some
minutes old, is not enough: the store has to agree.
"""

from typing import Annotated

from fastapi import Depends

from limen_accounts.account_problems import forbidden
from limen_accounts.accounts import ADMIN, AccountStore
from limen_accounts.dependencies import AccountsDep
from limen_kit.identity import CurrentCaller
from limen_kit.principal import Caller


async def require_admin(caller: Caller, accounts: AccountStore) -> None:
    """Raise Problem unless the caller is an admin, by the gateway's word and in the store.

    The gateway refuses the tokens of ended sessions, unless it has not heard of their end. A caller without a session here is
    an outside issuer's, whose word for the role counts.
    """
    if not caller.is_admin:
        raise forbidden()
    if caller.session_id is not None:
        account = await accounts.get_account(caller.id)
        if account is None or account.user_type != ADMIN or account.locked_at is not None:
            raise forbidden()


async def _current_admin(caller: CurrentCaller, accounts: AccountsDep) -> Caller:
    await require_admin(caller, accounts)
    return caller


CurrentAdmin = Annotated[Caller, Depends(_current_admin)]
"""The caller, who must be an admin, and still one in the store; 403 otherwise."""
