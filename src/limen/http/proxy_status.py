"""``Proxy-Status`` (RFC 9209): what each kind of fault is called there, and how a member of the field is written. No I/O.

Clients see it on local replies that are faults, beside the problem document: proxies in between and generic tools read the
field and not the document. A kind stands in exactly one of the two tables below.
"""

import re
from typing import Final, get_args

from limen.errors import Fault, Kind, ProxyError

FIELD: Final = b"proxy-status"

PROXY_ERRORS: Final[dict[Kind, ProxyError]] = {
    # 4xx in the service's place. Of 501 and 505 the registry only knows that no service was asked.
    Kind.BAD_PATH: "http_request_error",
    Kind.BAD_REQUEST: "http_request_error",
    Kind.HEAD_TIMEOUT: "http_request_error",
    Kind.URI_TOO_LONG: "http_request_error",
    Kind.HEAD_TOO_LARGE: "http_request_error",
    Kind.NOT_IMPLEMENTED: "proxy_internal_response",
    Kind.VERSION_NOT_SUPPORTED: "proxy_internal_response",
    Kind.NOT_FOUND: "http_request_error",
    Kind.METHOD_NOT_ALLOWED: "http_request_error",
    Kind.TOKEN_MISSING: "http_request_error",
    Kind.TOKEN_EXPIRED: "http_request_error",
    Kind.TOKEN_CORRUPTED: "http_request_error",
    Kind.TOKEN_REVOKED: "http_request_error",
    Kind.API_KEY_INVALID: "http_request_error",
    Kind.FORBIDDEN: "http_request_denied",
    Kind.BAD_BODY: "http_request_error",
    Kind.REQUEST_TIMEOUT: "http_request_error",
    Kind.BODY_TOO_LARGE: "http_request_error",
    Kind.MEDIA_TYPE: "http_request_error",
    Kind.EXPECTATION_FAILED: "http_request_error",
    Kind.INVALID_REQUEST: "http_request_error",
    # The gateway's own bounds. ``connection_limit_reached`` is about connections to the service, not the clients'.
    Kind.TOO_MANY_FROM_ADDRESS: "http_request_error",
    Kind.TOO_MANY_CONNECTIONS: "proxy_internal_response",
    Kind.OVERLOADED: "proxy_internal_response",
    Kind.NOT_READY: "proxy_internal_response",
    Kind.BODIES_FULL: "proxy_internal_error",  # a connection may be under way: it is no ``proxy_internal_response``
    Kind.POOL_EXHAUSTED: "connection_limit_reached",
    # The gateway's own mistakes, and those of what it asks besides the service.
    Kind.LOOP: "proxy_loop_detected",
    Kind.IDENTITY_UNAVAILABLE: "proxy_internal_error",
    Kind.INTERNAL_ERROR: "proxy_internal_error",
    Kind.HOOK_FAILED: "proxy_internal_error",
    # The service's. A fault says more than its kind where more is known, such as ``connection_refused``.
    Kind.UPSTREAM_PROTOCOL: "http_protocol_error",
    Kind.UPSTREAM_CLOSED: "connection_terminated",
    Kind.UPSTREAM_TOO_LARGE: "http_response_body_size",
    Kind.UPSTREAM_TLS: "tls_protocol_error",
    Kind.UPSTREAM_REFUSED: "destination_unavailable",
    Kind.CONNECT_TIMEOUT: "connection_timeout",
    Kind.ANSWER_TIMEOUT: "http_response_timeout",
}
"""The registered error type of each kind that has a fitting one."""

WITHOUT_ERROR: Final[dict[Kind, str]] = {
    Kind.CLIENT_CLOSED: "the client has left: there is no answer",
    Kind.ANSWER_NOT_TAKEN: "the answer is cut behind its head: there is no other",
    Kind.SHUT_DOWN: "the answer is cut, or was never begun: there is no other",
    Kind.STARTUP_FAILED: "no application says what the gateway is called, and whether the field is wanted",
    Kind.UPSTREAM_CONTRACT: "the exchange was in order, and the registry knows nothing of contracts",
}
"""Why a kind has none."""

# RFC 9651 sections 3.3.3 and 3.3.4.
_STRING: Final = re.compile(r"[\x20-\x7e]*")
_TOKEN: Final = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")


def is_string(text: str) -> bool:
    """Tell whether ``text`` may be a string of a structured field: printable ASCII."""
    return _STRING.fullmatch(text) is not None


def token_or_string(text: str) -> bytes:
    """Return ``text``, of which ``is_string`` is true, as a token if it may be one, else as a string."""
    return text.encode("ascii") if _TOKEN.fullmatch(text) else string(text)


def string(text: str) -> bytes:
    """Return ``text``, of which ``is_string`` is true, as a string of a structured field."""
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'


class Members:
    """The members of one gateway, one for each error type, written once."""

    __slots__ = ("_by_error", "name")

    def __init__(self, name: str) -> None:
        """``name`` says which intermediary speaks."""
        self.name: bytes = token_or_string(name)
        self._by_error: dict[str, bytes] = {
            error: self.name + b"; error=" + error.encode() for error in get_args(ProxyError)
        }

    def of(self, fault: Fault) -> bytes:
        """Return the member for ``fault``; empty where the registry has nothing to say of it."""
        error = fault.proxy_error or PROXY_ERRORS.get(fault.kind)
        return b"" if error is None else self._by_error[error]

    def __repr__(self) -> str:
        """Show who speaks."""
        return f"<Members of {self.name.decode()}>"
