"""What a login becomes: the users service begins and ends sessions, the gateway issues the tokens, and ends them with it."""

from limen.auth import Jwt, issue
from shop_gateway.models import Login, TokenPair

SESSION_ENDED = "session-ended"
"""The header in which the users service names sessions that are over; it stays behind the gateway."""


class Sessions:
    """Hooks that run on the users service's answers."""

    def __init__(self, tokens: Jwt) -> None:
        """Issue by ``tokens``."""
        self._tokens = tokens

    def begun(self, login: Login) -> TokenPair:
        """Issue an access token for a session that has begun, or goes on."""
        return TokenPair(
            access_token=issue(self._tokens, login.id, login.user_type, session=login.session_id),
            expires_in=int(self._tokens.lifetime.total_seconds()),
            refresh_token=login.refresh_token,
            refresh_expires_at=login.refresh_expires_at,
        )
