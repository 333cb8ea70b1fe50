"""The sessions that a service ends: it names them in a header of its answers, which the gateway takes away.

It is a header, so that an answer of any status can name them: also a refusal, such as that of a refresh token that was used
before.
"""

import re
from collections.abc import Callable, Sequence

from limen.auth.jwt import Jwt
from limen.auth.method import Methods
from limen.auth.revocation import RevocationStore
from limen.http.headers import TOKEN, Headers, values
from limen.observe.redaction import logger

_log = logger("limen.revocation")

_SESSION_ID = re.compile(rb"[\x21-\x2b\x2d-\x7e]{1,128}")  # no comma, which separates them

MOST_ENDED = 1000
"""Sessions that one answer may end. Each costs a little, and all are ended in one turn of the event loop."""

SessionEnder = Callable[[Headers], Headers]
"""Takes the header lines of an answer, ends the sessions that they name, and returns the lines without the header."""


def session_ender(
    name: str, revocations: RevocationStore | None, auth: Methods, now: Callable[[], float]
) -> SessionEnder:
    """Return a function that ends the sessions in the header ``name``; ``now`` gives seconds since the epoch.

    Raises ValueError if there are no tokens that could end.
    """
    header = name.lower().encode()
    jwts: Sequence[Jwt] = [method for method in auth if isinstance(method, Jwt)]
    if not TOKEN.fullmatch(header):
        raise ValueError(f"session_ended_header={name!r} is no name of a header, such as 'session-ended'")
    if revocations is None or not jwts:
        raise ValueError(
            f"session_ended_header={name!r} ends tokens; give the gateway auth=Jwt(...) and revocations=Revocations()"
        )

    def end_sessions(lines: Headers) -> Headers:
        listed = values(lines, header)
        if not listed:
            return lines
        until = max(method.outlived(now()) for method in jwts)
        sessions = list(dict.fromkeys(part.strip() for value in listed for part in value.split(b",")))
        if len(sessions) > MOST_ENDED:
            _log.error(
                "%s: an answer ends %d sessions; those after the first %d are not ended, and their tokens good until they"
                " expire: name fewer in each answer",
                *(name, len(sessions), MOST_ENDED),
            )
        invalid = 0
        for session in sessions[:MOST_ENDED]:
            if not _SESSION_ID.fullmatch(session):
                invalid += bool(session)
                continue
            try:
                revocations.end_session(session.decode(), until)
            except Exception:
                # The store is the user's code. The service has ended the session already, and its answer still tells the
                # client so.
                _log.exception("%s: a session could not be ended; its tokens are good until they expire", name)
        if invalid:
            _log.warning("%s: what a service says has ended is no session's name, %d times", name, invalid)
        return [line for line in lines if line[0] != header]

    return end_sessions
