"""Header fields that people declare, for requests to a service or answers to a client: what may be written, and why not.

A line that is declared is sent many times and looked at by nobody. So whatever could break a head, frame a message, or say
something that the gateway has to answer for is refused when it is declared. What may be named here holds for every gateway;
what one gateway keeps to itself besides (its identity headers) only its ``compile`` knows.
"""

import re
from typing import Final

from limen.http.headers import HOP_BY_HOP, TOKEN, withheld

# RFC 9110 section 5.5 without obs-text: what is not ASCII is read differently by different servers.
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")

# Of a connection, or of its upgrade (RFC 9113 section 3.2.1, RFC 6455 section 4).
_OF_THE_CONNECTION: Final = HOP_BY_HOP | {
    *(b"http2-settings", b"sec-websocket-accept", b"sec-websocket-extensions"),
    *(b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version"),
}

_CONNECTION: Final = "belongs to one connection, and the gateway says it itself"
_LENGTH: Final = "frames the message, and the gateway says it itself"
_CODING: Final = "describes the bytes of the content, which stay as they are"
_ID: Final = "is the id of the request, by which the log knows it"

_ON_REQUESTS: Final[dict[bytes, str]] = {
    b"content-length": _LENGTH,
    b"content-encoding": _CODING,
    b"expect": "is about the client's connection, and the gateway answers it",
    b"host": "is that of the service; Upstream(targets=) says which",
    b"max-forwards": "is counted by the gateway",
    b"via": "names the gateways on the way, and ends circles",
    b"x-request-id": _ID,
}
_ON_ANSWERS: Final[dict[bytes, str]] = {
    b"content-length": _LENGTH,
    b"content-encoding": _CODING,
    b"content-range": _CODING,
    b"date": "is written by the server in front",
    b"server": "names software, which is not told to clients",
    b"via": "names the gateways on the way",
    b"x-request-id": _ID,
}

# RFC 9110 and others give these one value, not a list: a second line makes a message that two readers read in two ways.
SINGLE: Final = frozenset(
    (
        *(b"age", b"authorization", b"content-disposition", b"content-location", b"content-type", b"cookie", b"etag"),
        *(
            b"expires",
            b"from",
            b"if-modified-since",
            b"if-range",
            b"if-unmodified-since",
            b"last-modified",
            b"location",
        ),
        *(b"origin", b"range", b"referer", b"retry-after", b"strict-transport-security", b"user-agent"),
        *(b"x-content-type-options", b"x-frame-options", b"access-control-allow-origin", b"traceparent"),
    )
)


def field_name(name: object) -> bytes:
    """Return a header's name in lower case; raises ValueError for what is none."""
    if not isinstance(name, str) or not TOKEN.fullmatch(made := name.lower().encode("utf-8", "replace")):
        raise ValueError(f"{name!r} is no name of a header, such as 'x-frame-options'")
    return made


def field_value(name: bytes, value: object) -> bytes:
    """Return a header's value; raises an error that names the header, and not the value: it may be a secret."""
    if not isinstance(value, str):
        raise TypeError(f"the value of {name.decode()!r} is {type(value).__name__}, and has to be text")
    if not value:
        raise ValueError(f"the value of {name.decode()!r} is empty; to take a header away, name it in remove=")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of {name.decode()!r} has line breaks, control characters, letters outside ASCII, or blanks at its "
            "ends; write one line of visible ASCII"
        )
    return value.encode()


def kept_of_requests(name: bytes) -> str | None:
    """Return why nobody but the gateway may write, or take away, the header ``name`` of a request to a service."""
    if name in _OF_THE_CONNECTION:
        return _CONNECTION
    if (why := _ON_REQUESTS.get(name)) is not None:
        return why
    if b"_" in name:
        return "has '_', which some services read as '-'; write it with '-'"
    if name.startswith((b"forwarded", b"x-forwarded-")) or name == b"x-real-ip":
        return "says where a request comes from, which the gateway knows; Gateway(trust=Trust([...])) names proxies in front"
    if withheld(name, ()):
        return "is obeyed by some services in place of what the gateway has checked, so it never passes"
    return None


def kept_of_answers(name: bytes) -> str | None:
    """Return why nobody but the gateway may write, or take away, the header ``name`` of an answer to a client."""
    return _CONNECTION if name in _OF_THE_CONNECTION else _ON_ANSWERS.get(name)
