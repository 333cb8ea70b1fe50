"""Who is calling, as the gateway says. A request without it did not come through the gateway and is refused."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from limen_kit.problems import Problem

LARGEST_ID = 2_147_483_647


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller: ``id`` at the users service, and the role in the token."""

    id: int
    role: str

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return self.role == "admin"


def _caller(
    request: Request,
    request_user_id: Annotated[str | None, Header(description="Set by the gateway: the caller's id.")] = None,
    request_user_role: Annotated[str | None, Header(description="Set by the gateway: the caller's role.")] = None,
) -> Caller:
    ids, roles = (request.headers.getlist(name) for name in ("request-user-id", "request-user-role"))
    text = request_user_id or ""
    # isdecimal alone would take digits of every script.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID)) else 0
    # The gateway writes each once: whatever comes twice did not come from it alone.
    if len(ids) != 1 or len(roles) > 1 or not 1 <= number <= LARGEST_ID:
        raise Problem(
            401,
            "identity_missing",
            "This request does not say who is calling; send it through the gateway.",
            {"www-authenticate": "Bearer"},
        )
    return Caller(number, request_user_role or "default")


CurrentCaller = Annotated[Caller, Depends(_caller)]
"""The caller, as a parameter of a path operation; 401 without one."""


def _admin(caller: CurrentCaller) -> Caller:
    if not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to access this scope.")
    return caller


AdminCaller = Annotated[Caller, Depends(_admin)]
"""The caller, who must be an admin; 403 otherwise."""
