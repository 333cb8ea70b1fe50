"""The table of faults: the only place where a fault becomes a status.

A row says whose fault it is, at which stage it happens, whether a retry is safe, and which detail the client gets.
Nothing else in the package chooses a status for a failure. This module imports nothing of the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Literal

Source = Literal["client", "gateway", "upstream"]
Stage = Literal["head", "route", "identity", "admit", "body", "connect", "send", "answer", "after"]
Retry = Literal["never", "unsent", "reused"]

ProxyError = Literal[
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
]
"""The error types that RFC 9209 section 2.3 registers; ``limen.http.proxy_status`` says which kind of fault is which."""


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    source: Source
    stage: Stage
    retry: Retry
    detail: str


@unique
class Kind(Enum):
    """A kind of fault; the member's name in lower case is the stable ``code`` of the problem document."""

    BAD_PATH = _Row(400, "client", "head", "never", "The path is ambiguous.")
    BAD_REQUEST = _Row(400, "client", "head", "never", "The request is malformed.")
    HEAD_TIMEOUT = _Row(408, "client", "head", "never", "The request head did not come in time.")
    URI_TOO_LONG = _Row(414, "client", "head", "never", "The request line is longer than this gateway takes.")
    HEAD_TOO_LARGE = _Row(431, "client", "head", "never", "The request head is larger than this gateway takes.")
    NOT_IMPLEMENTED = _Row(501, "client", "head", "never", "This gateway does not serve this method.")
    VERSION_NOT_SUPPORTED = _Row(505, "client", "head", "never", "This gateway speaks HTTP/1.1.")
    TOO_MANY_FROM_ADDRESS = _Row(429, "client", "head", "never", "There are too many connections from this address.")
    TOO_MANY_CONNECTIONS = _Row(503, "gateway", "head", "never", "There are too many connections.")
    OVERLOADED = _Row(503, "gateway", "head", "never", "There are too many requests at once.")
    STARTUP_FAILED = _Row(503, "gateway", "head", "never", "The application does not start; the terminal says why.")
    NOT_READY = _Row(503, "gateway", "route", "never", "The gateway is not ready.")
    BODIES_FULL = _Row(503, "gateway", "body", "never", "Too many request bodies are held at once.")
    LOOP = _Row(508, "gateway", "head", "never", "The request goes round in a circle.")
    NOT_FOUND = _Row(404, "client", "route", "never", "There is nothing at this path.")
    METHOD_NOT_ALLOWED = _Row(405, "client", "route", "never", "This path does not answer this method.")
    TOKEN_MISSING = _Row(401, "client", "identity", "never", "Auth token is missing in headers.")
    TOKEN_EXPIRED = _Row(401, "client", "identity", "never", "Auth token is expired.")
    TOKEN_CORRUPTED = _Row(401, "client", "identity", "never", "Auth token is corrupted.")
    IDENTITY_UNAVAILABLE = _Row(503, "upstream", "identity", "never", "The caller's identity cannot be checked now.")
    API_KEY_INVALID = _Row(401, "client", "identity", "never", "API key is not valid.")
    TOKEN_REVOKED = _Row(401, "client", "identity", "never", "Auth token is revoked.")
    FORBIDDEN = _Row(403, "client", "admit", "never", "You are not allowed to access this scope.")
    BAD_BODY = _Row(400, "client", "body", "never", "The request body is malformed.")
    REQUEST_TIMEOUT = _Row(408, "client", "body", "never", "The request body did not come in time.")
    BODY_TOO_LARGE = _Row(413, "client", "body", "never", "The request body is larger than this route takes.")
    MEDIA_TYPE = _Row(415, "client", "body", "never", "This route takes application/json.")
    EXPECTATION_FAILED = _Row(417, "client", "head", "never", "Only the expectation 100-continue is supported.")
    INVALID_REQUEST = _Row(422, "client", "body", "never", "The request does not fit the contract of this route.")
    CLIENT_CLOSED = _Row(499, "client", "body", "never", "The client closed the connection before the answer.")
    INTERNAL_ERROR = _Row(500, "gateway", "admit", "never", "The gateway failed to answer; its log says more.")
    HOOK_FAILED = _Row(500, "gateway", "after", "never", "The gateway failed to finish the answer.")
    ANSWER_NOT_TAKEN = _Row(408, "client", "answer", "never", "The client did not take the answer in time.")
    SHUT_DOWN = _Row(503, "gateway", "answer", "never", "The gateway stopped before the answer was whole.")
    UPSTREAM_PROTOCOL = _Row(502, "upstream", "answer", "never", "The service gave an invalid answer.")
    UPSTREAM_CLOSED = _Row(502, "upstream", "answer", "reused", "The service closed the connection.")
    UPSTREAM_TOO_LARGE = _Row(502, "upstream", "answer", "never", "The service's answer is larger than allowed.")
    UPSTREAM_CONTRACT = _Row(502, "upstream", "answer", "never", "The service's answer does not fit its contract.")
    UPSTREAM_TLS = _Row(502, "upstream", "connect", "never", "No secure connection to the service could be made.")
    UPSTREAM_REFUSED = _Row(503, "upstream", "connect", "unsent", "Service is unavailable.")
    POOL_EXHAUSTED = _Row(503, "gateway", "connect", "never", "Service is unavailable: too many requests wait for it.")
    CONNECT_TIMEOUT = _Row(504, "upstream", "connect", "unsent", "The service did not accept a connection in time.")
    ANSWER_TIMEOUT = _Row(504, "upstream", "answer", "never", "The service did not answer in time.")

    @property
    def code(self) -> str:
        """The stable name of this kind in problem documents, logs and metrics."""
        return self.name.lower()

    @property
    def status(self) -> int:
        """The HTTP status that the client sees."""
        return self.value.status

    @property
    def source(self) -> Source:
        """Whose fault it is."""
        return self.value.source

    @property
    def stage(self) -> Stage:
        """The stage of the request at which it happened."""
        return self.value.stage

    @property
    def retry(self) -> Retry:
        """When a retry is safe: never, if nothing was sent, or once if a reused connection was closed."""
        return self.value.retry


@dataclass(frozen=True, slots=True)
class Invalid:
    """One value of a request that does not fit the contract. The input itself is never repeated.

    ``loc`` is the path to the value, ``msg`` says what is expected there, ``type`` is pydantic's stable name.
    """

    loc: tuple[str | int, ...]
    msg: str
    type: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of one request.

    ``detail`` is for the client and replaces the text of the kind; ``cause`` is for the log and never leaves the process.
    ``headers`` are added to the answer (``WWW-Authenticate``, ``Allow``); ``errors`` belongs to ``INVALID_REQUEST``, and
    ``more`` counts further errors that it leaves out. ``proxy_error`` is what ``Proxy-Status`` says where more is known than
    the kind.
    """

    kind: Kind
    detail: str = ""
    cause: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    errors: tuple[Invalid, ...] = ()
    more: int = 0
    proxy_error: ProxyError | None = None

    @property
    def text(self) -> str:
        """The detail for the client."""
        return self.detail or self.kind.value.detail


RETRY_AFTER = ((b"retry-after", b"1"),)
"""``Retry-After`` for a fault that is over in a moment, so that clients do not retry at once."""


class DeclarationError(Exception):
    """All problems in the declaration of a gateway.

    ``problems`` has one line each; every line names the route (method and path) or the upstream, and how to mend it.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep ``problems`` and join them into the message."""
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'' if count == 1 else 's'} in the declaration of this gateway:"
        super().__init__("\n".join([head, *(f"  - {line}" for line in self.problems)]))
