"""Login: are these credentials right, and whose are they? It needs no identity: it is how one gets it."""

from fastapi import APIRouter

from limen_kit.problems import Problem, responses
from shop_users.accounts import Account
from shop_users.parts import Accounts, Hashes
from shop_users.schemas import Credentials, LoginResponse

router = APIRouter(prefix="/api/login", tags=["login"])


@router.post("", response_model=LoginResponse, status_code=201, responses=responses(400, 401, 404, 413))
async def login(credentials: Credentials, accounts: Accounts, hashes: Hashes) -> Account:
    """Check credentials; an old hash is replaced on the way."""
    account = await accounts.named(credentials.username)
    if account is None:
        raise Problem(404, "not_found", "User not found with this username.")
    right, better = await hashes.verified(credentials.password, account.hashed_password)
    if not right:
        raise Problem(401, "password_wrong", "Password is wrong.", {"www-authenticate": "Bearer"})
    if better is not None:
        await accounts.rehash(account.id, account.hashed_password, better)
    return account
