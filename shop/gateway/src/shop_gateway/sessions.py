"""Access tokens of sessions. The users service begins and ends sessions; the gateway issues their tokens and revokes them."""

from limen.auth import Jwt, issue
from shop_gateway.models import LoginResponse, TokenPair

SESSION_ENDED_HEADER = "session-ended"
"""The header in which the users service names ended sessions. The gateway removes it."""


class SessionTokens:
    """The hook that turns the users service's response into tokens."""

    def __init__(self, jwt: Jwt) -> None:
        """Issue tokens with ``jwt``."""
        self._jwt = jwt

    def issue_tokens(self, session: LoginResponse) -> TokenPair:
        """Issue an access token for a session that has begun or was refreshed."""
        return TokenPair(
            access_token=issue(self._jwt, session.id, session.user_type, session=session.session_id),
            expires_in=int(self._jwt.lifetime.total_seconds()),
            refresh_token=session.refresh_token,
            refresh_expires_at=session.refresh_expires_at,
            device_token=session.device_token,
        )
