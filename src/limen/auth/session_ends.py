"""What a service says of sessions that have ended, in a header of its answers: their tokens end, and nobody else reads it.

A header and not the content, so that an answer of any status can say it: also a refusal, such as that of a refresh token
which was used before.
"""

import re
from collections.abc import Callable, Sequence

from limen.auth.jwt import Jwt
from limen.auth.method import Methods
from limen.auth.revocation import RevocationStore
from limen.http.headers import TOKEN, Headers, values
from limen.observe.traces import logger

_log = logger("limen.revocation")

_SESSION = re.compile(rb"[\x21-\x2b\x2d-\x7e]{1,128}")  # no comma: it separates them

MOST_ENDED = 1000
"""Sessions that one answer may end: each costs a little, and all of them are ended before anybody else has their turn."""

Ends = Callable[[Headers], Headers]
"""Takes an answer's header lines, ends what they name, and returns those that go on."""


def ender(name: str, revocations: RevocationStore | None, auth: Methods, now: Callable[[], float]) -> Ends:
    """Return what heeds the header ``name`` of answers; ``now`` gives seconds since the epoch.

    Raises ValueError where nothing could end.
    """
    header = name.lower().encode()
    issuing: Sequence[Jwt] = [method for method in auth if isinstance(method, Jwt)]
    if not TOKEN.fullmatch(header):
        raise ValueError(f"session_ended_header={name!r} is no name of a header, such as 'session-ended'")
    if revocations is None or not issuing:
        raise ValueError(
            f"session_ended_header={name!r} ends tokens; give the gateway auth=Jwt(...) and revocations=Revocations()"
        )

    def ends(lines: Headers) -> Headers:
        found = values(lines, header)
        if not found:
            return lines
        until = max(method.outlived(now()) for method in issuing)
        named = list(dict.fromkeys(part.strip() for value in found for part in value.split(b",")))
        if len(named) > MOST_ENDED:
            _log.error(
                "%s: an answer ends %d sessions; those after the first %d are not ended, and their tokens good until they"
                " expire: name fewer in each answer",
                *(name, len(named), MOST_ENDED),
            )
        unfit = 0
        for session in named[:MOST_ENDED]:
            if not _SESSION.fullmatch(session):
                unfit += bool(session)
                continue
            try:
                revocations.end_session(session.decode(), until)
            except Exception:
                # The store is the user's code. The session has ended where it is kept; the answer still tells the client so.
                _log.exception("%s: a session could not be ended; its tokens are good until they expire", name)
        if unfit:
            _log.warning("%s: what a service says has ended is no session's name, %d times", name, unfit)
        return [line for line in lines if line[0] != header]

    return ends
