"""Authentication of a connection instead of a request: NTLM and Negotiate. No I/O.

With these schemes a service lets in whoever uses the connection on which the handshake took place (RFC 4559, which RFC 9110
section 11.7.1 warns about): what follows on it needs no credentials.
"""

import re
from typing import Final

from limen.http.headers import Headers

# A scheme stands at the beginning of the field, behind a comma, or behind blanks. In the text of a parameter it may be found
# too: that costs a connection, and missing one would give a client's identity to somebody else.
_SCHEME: Final = re.compile(rb"(?:^|[\s,])(?:ntlm|negotiate)(?:[\s,]|$)", re.IGNORECASE)


def names_connection_scheme(lines: Headers, field: bytes) -> bool:
    """Tell whether a line of ``field``, one of challenges or of credentials, names such a scheme."""
    for name, value in lines:  # noqa: SIM110 - compiled, a generator costs several times as much
        if name == field and _SCHEME.search(value) is not None:
            return True
    return False
