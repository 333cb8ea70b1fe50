"""What a login becomes: the users service begins and ends sessions, the gateway issues the tokens and ends them."""

from time import time

from limen.auth import Jwt, RevocationStore, issue
from shop_gateway.models import Ended, EndedCount, Login, TokenPair


class Sessions:
    """Hooks that run on the users service's answers."""

    def __init__(self, tokens: Jwt, revocations: RevocationStore) -> None:
        """Issue by ``tokens``; tell ``revocations`` what has ended."""
        self._tokens = tokens
        self._revocations = revocations

    def begun(self, login: Login) -> TokenPair:
        """Issue an access token for a session that has begun, or goes on."""
        return TokenPair(
            access_token=issue(self._tokens, login.id, login.user_type, session=login.session_id),
            expires_in=int(self._tokens.lifetime.total_seconds()),
            refresh_token=login.refresh_token,
            refresh_expires_at=login.refresh_expires_at,
        )

    def ended(self, answer: Ended) -> EndedCount:
        """End the access tokens of sessions that are over, and say how many there were."""
        until = self._tokens.outlived(time())
        for session in answer.ended:
            self._revocations.end_session(session, until)
        return EndedCount(ended=len(answer.ended))

    def ended_silently(self, answer: Ended) -> None:
        """End the access tokens of sessions that are over."""
        self.ended(answer)
