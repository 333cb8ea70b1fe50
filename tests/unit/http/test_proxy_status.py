"""The error types of ``Proxy-Status``: each is registered, and each kind of fault has one, or a reason for none."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.errors import Fault, Kind, ProxyError
from limen.http.proxy_status import PROXY_ERRORS, WITHOUT_ERROR, Members, is_string, string, token_or_string
from structured_fields import Member, Token, read_list

# RFC 9209 section 2.3, in its order, with the recommended status. 0 is that of the answer.
REGISTERED = {
    "dns_timeout": 504,
    "dns_error": 502,
    "destination_not_found": 500,
    "destination_unavailable": 503,
    "destination_ip_prohibited": 502,
    "destination_ip_unroutable": 502,
    "connection_refused": 502,
    "connection_terminated": 502,
    "connection_timeout": 504,
    "connection_read_timeout": 504,
    "connection_write_timeout": 504,
    "connection_limit_reached": 503,
    "tls_protocol_error": 502,
    "tls_certificate_error": 502,
    "tls_alert_received": 502,
    "http_request_error": 0,
    "http_request_denied": 403,
    "http_response_incomplete": 502,
    "http_response_header_section_size": 502,
    "http_response_header_size": 502,
    "http_response_body_size": 502,
    "http_response_trailer_section_size": 502,
    "http_response_trailer_size": 502,
    "http_response_transfer_coding": 502,
    "http_response_content_coding": 502,
    "http_response_timeout": 504,
    "http_upgrade_failed": 502,
    "http_protocol_error": 502,
    "proxy_internal_response": 0,
    "proxy_internal_error": 500,
    "proxy_configuration_error": 500,
    "proxy_loop_detected": 502,
}

# Our status says more than the recommended one: a full worker and an unknown caller are 503, a loop is 508 (RFC 5842).
OTHER_STATUS = {Kind.BODIES_FULL, Kind.IDENTITY_UNAVAILABLE, Kind.LOOP}

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)


def test_the_error_types_are_those_of_the_registry() -> None:
    assert get_args(ProxyError) == tuple(REGISTERED)
    assert set(PROXY_ERRORS.values()) <= set(REGISTERED)


def test_every_kind_has_an_error_type_or_a_reason_for_none() -> None:
    assert PROXY_ERRORS.keys() | WITHOUT_ERROR.keys() == set(Kind)
    assert not PROXY_ERRORS.keys() & WITHOUT_ERROR.keys()
    assert all(WITHOUT_ERROR.values())


@pytest.mark.parametrize("kind", PROXY_ERRORS, ids=lambda kind: kind.code)
def test_the_status_is_the_recommended_one(kind: Kind) -> None:
    recommended = REGISTERED[PROXY_ERRORS[kind]]
    if PROXY_ERRORS[kind] == "http_request_error":
        assert 400 <= kind.status < 500
    else:
        assert (recommended in (0, kind.status)) is (kind not in OTHER_STATUS)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.code)
def test_whose_fault_it_is_agrees(kind: Kind) -> None:
    error = PROXY_ERRORS.get(kind, "")
    if kind.source == "client":
        assert error in ("http_request_error", "http_request_denied", "proxy_internal_response", "")
    elif error.startswith(("http_", "connection_", "destination_", "tls_")):
        assert kind.source == "upstream" or kind is Kind.POOL_EXHAUSTED


def test_a_fault_that_knows_more_says_so() -> None:
    members = Members("limen")
    assert members.of(Fault(Kind.UPSTREAM_REFUSED)) == b"limen; error=destination_unavailable"
    assert members.of(Fault(Kind.UPSTREAM_REFUSED, proxy_error="dns_error")) == b"limen; error=dns_error"
    assert members.of(Fault(Kind.UPSTREAM_CONTRACT)) == b""
    assert repr(members) == "<Members of limen>"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("limen", b"limen"),
        ("edge-1.example.net:8443", b"edge-1.example.net:8443"),
        ("*", b"*"),
        ("Our Edge", b'"Our Edge"'),
        ("1st", b'"1st"'),
        ("[::1]:80", b'"[::1]:80"'),
        ('a"b\\c', b'"a\\"b\\\\c"'),
    ],
)
def test_a_name_is_a_token_where_it_can_be(text: str, written: bytes) -> None:
    assert token_or_string(text) == written


@given(PRINTABLE, PRINTABLE)
def test_a_strict_reader_reads_what_was_written(name: str, hop: str) -> None:
    members = Members(name)
    line = members.of(Fault(Kind.CONNECT_TIMEOUT)) + b"; next-hop=" + string(hop)
    assert read_list(line) == [Member(name, {"error": "connection_timeout", "next-hop": hop})]
    assert isinstance(read_list(line)[0].parameters["error"], Token)
    assert not isinstance(read_list(line)[0].parameters["next-hop"], Token)


@given(st.text(min_size=1))
def test_what_is_no_string_is_known(text: str) -> None:
    assert is_string(text) == (text.isascii() and text.isprintable())
