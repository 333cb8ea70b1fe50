"""Which challenges and credentials are of the connection, and not of the request."""

import pytest

from limen.http.connection_auth import names_connection_scheme

FIELD = b"www-authenticate"

OF_THE_CONNECTION = (
    b"NTLM",
    b"ntlm",
    b"Negotiate",
    b"nEgOtIaTe",
    b"NTLM TlRMTVNTUAACAAAA",
    b"Negotiate oYG2MIGzoAMKAQGigZU=",
    b"Negotiate, NTLM",
    b'Basic realm="x", NTLM',
    b'Basic realm="x",NTLM TlRMTVNTUAACAAAA',
    b'Digest realm="x", nonce="y",\tNegotiate , Basic realm="z"',
    b" NTLM",
    b'Basic realm="NTLM or Kerberos, NTLM, as you like"',  # one connection more, and nobody is taken for another
    b'Basic realm="not ended, NTLM',
)
OF_THE_REQUEST = (
    b"",
    b'Basic realm="NTLM"',
    b"Bearer ntlm-token",
    b"Bearer x",
    b"NTLMv9 x",
    b"XNTLM",
    b"Negotiate2",
    b'Digest ntlm="x"',
    b'Digest realm="x", negotiate=y',
)


@pytest.mark.parametrize("value", OF_THE_CONNECTION)
def test_of_the_connection(value: bytes) -> None:
    assert names_connection_scheme([(b"x", b"y"), (FIELD, b"Basic"), (FIELD, value)], FIELD)
    assert not names_connection_scheme([(b"proxy-authenticate", value)], FIELD)


@pytest.mark.parametrize("value", OF_THE_REQUEST)
def test_of_the_request(value: bytes) -> None:
    assert not names_connection_scheme([(FIELD, value)], FIELD)
