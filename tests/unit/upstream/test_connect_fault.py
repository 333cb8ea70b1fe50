"""Connections that cannot be made: one kind of fault for the client, and what ``Proxy-Status`` says of each."""

import errno
import ssl

import pytest

from limen.errors import Kind
from limen.upstream.connect_fault import connect_fault
from limen.upstream.target import Target
from limen.upstream.tls import handshake_fault

TARGET = Target.parse("http://10.0.0.7:80")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ECONNREFUSED, "refused"), "connection_refused"),
        (OSError(errno.EHOSTUNREACH, "no route"), "destination_ip_unroutable"),
        (OSError(errno.ENETUNREACH, "no network"), "destination_ip_unroutable"),
        (OSError(errno.ECONNRESET, "reset"), None),
        (OSError("the name 'orders' cannot be looked up"), None),
    ],
)
def test_why_no_connection_could_be_made(error: OSError, said: str | None) -> None:
    fault = connect_fault(TARGET, error)
    assert (fault.kind, fault.proxy_error) == (Kind.UPSTREAM_REFUSED, said)
    assert fault.cause == f"connecting to http://10.0.0.7:80: {error}"


def _error(kind: type[ssl.SSLError], reason: str) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "tls_alert_received"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "tls_alert_received"),
        ("WRONG_VERSION_NUMBER", None),
    ],
)
def test_why_no_handshake_was_made(reason: str, said: str | None) -> None:
    fault = handshake_fault(TARGET, _error(ssl.SSLError, reason))
    assert (fault.kind, fault.proxy_error) == (Kind.UPSTREAM_TLS, said)


def test_a_certificate_that_is_not_believed() -> None:
    error = _error(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED")
    assert isinstance(error, ssl.SSLCertVerificationError)
    error.verify_message = "certificate has expired"
    fault = handshake_fault(TARGET, error)
    assert (fault.kind, fault.proxy_error) == (Kind.UPSTREAM_TLS, "tls_certificate_error")
    assert fault.cause.endswith("certificate has expired")
