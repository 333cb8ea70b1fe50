"""``Forwarded`` and ``X-Forwarded-*`` as grammar: what is read, what is refused, and that what is written is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.http import forwarded
from limen.http.forwarded import NOTHING, Element


@pytest.mark.parametrize(
    ("text", "node"),
    [
        (b"192.0.2.43", b"192.0.2.43"),
        (b"192.0.2.43:47011", b"192.0.2.43"),
        (b"192.0.2.43:_port", b"192.0.2.43"),
        (b"[2001:DB8:cafe::17]", b"2001:db8:cafe::17"),
        (b"[2001:db8:cafe::17]:4711", b"2001:db8:cafe::17"),
        (b"2001:db8::1", b"2001:db8::1"),
        (b"::ffff:192.0.2.1", b"192.0.2.1"),
        (b"[::ffff:192.0.2.1]", b"192.0.2.1"),
        (b"unknown", b"unknown"),
        (b"Unknown:80", b"unknown"),
        (b"unix:", b"unknown"),
        (b"_hidden", b"_hidden"),
        (b"_SEVKISEK:_x", b"_SEVKISEK"),
        (b"", None),
        (b"hidden", None),
        (b"192.0.2.256", None),
        (b"192.0.2.010", None),
        (b"192.0.2.1:", None),
        (b"192.0.2.1:123456", None),
        (b"192.0.2.1 ", None),
        (b"[192.0.2.1]", None),
        (b"[2001:db8::1", None),
        (b"fe80::1%eth0", None),
        (b"_", None),
        (b"192.0.2.1\n", None),
        (b"\xff", None),
    ],
)
def test_nodes(text: bytes, node: bytes | None) -> None:
    assert forwarded.node(text) == node


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # The examples of RFC 7239, section 4.
        ([b'for="_gazonk"'], [Element(b"_gazonk")]),
        ([b'For="[2001:db8:cafe::17]:4711"'], [Element(b"2001:db8:cafe::17")]),
        ([b"for=192.0.2.60;proto=http;by=203.0.113.43"], [Element(b"192.0.2.60", b"", b"http")]),
        ([b"for=192.0.2.43, for=198.51.100.17"], [Element(b"192.0.2.43"), Element(b"198.51.100.17")]),
        ([b"for=192.0.2.43", b"for=198.51.100.17"], [Element(b"192.0.2.43"), Element(b"198.51.100.17")]),
        # The order, the case of names, a host with its port, blanks.
        ([b'PROTO=HTTPS;host="a.example:8443"; FOR=192.0.2.1'], [Element(b"192.0.2.1", b"a.example:8443", b"https")]),
        ([b"proto=https"], [Element(b"unknown", b"", b"https")]),
        ([b"for=192.0.2.1;"], [Element(b"192.0.2.1")]),
        # Commas and semicolons in quotes are data; quoted pairs are undone.
        ([rb'for=192.0.2.1;note="a,b;c\"d"'], [Element(b"192.0.2.1")]),
        ([rb'for="192\.0.2.1"'], [Element(b"192.0.2.1")]),
        # Malformed as a whole.
        ([b"for=192.0.2.1;for=192.0.2.2"], [NOTHING]),
        ([b"for=192.0.2.1 proto=http"], [NOTHING]),
        ([b"for = 192.0.2.1"], [NOTHING]),
        ([b"for=[2001:db8::1]"], [NOTHING]),
        ([b'for="192.0.2.1'], [NOTHING]),
        ([b'for="a, for=192.0.2.1'], [NOTHING]),
        ([b"192.0.2.1"], [NOTHING]),
        ([b"for=192.0.2.1,"], [Element(b"192.0.2.1"), NOTHING]),
        ([b""], [NOTHING]),
        # Malformed in part.
        ([b'for=192.0.2.1;host="a b";proto=ftp'], [Element(b"192.0.2.1")]),
        ([b"for=nobody;proto=https"], [Element(None, b"", b"https")]),
    ],
)
def test_elements(values: list[bytes], expected: list[Element]) -> None:
    assert forwarded.elements(values) == expected


def test_what_x_forwarded_says() -> None:
    lines = [
        (b"x-forwarded-for", b"192.0.2.1, 2001:db8::1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-proto", b"ftp, HTTPS"),
        (b"x-forwarded-host", b"evil.example, a.example"),
        (b"x-forwarded-for", b"nobody"),
    ]
    assert [one.node for one in forwarded.x_elements(lines)] == [b"192.0.2.1", b"2001:db8::1", None]
    assert forwarded.x_said(lines) == (b"a.example", b"https")
    assert forwarded.x_said([(b"x-forwarded-host", b'a"b')]) == (b"", b"")


_NODES = st.one_of(
    st.ip_addresses(v=4).map(lambda one: str(one).encode()),
    st.ip_addresses(v=6, network="2001:db8::/32").map(lambda one: str(one).encode()),
    st.sampled_from([b"unknown", b"_hidden", b"_a.b-c"]),
)
_ELEMENTS = st.builds(
    Element,
    _NODES,
    st.sampled_from([b"", b"a.example", b"a.example:8080", b"[2001:db8::1]:80"]),
    st.sampled_from([b"", b"http", b"https"]),
)


@given(st.lists(_ELEMENTS, min_size=1, max_size=5))
def test_what_is_written_is_read_back(chain: list[Element]) -> None:
    assert forwarded.elements([b", ".join(map(forwarded.write, chain))]) == chain


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_host_never_breaks_out_of_its_quotes(host: bytes, soup: bytes) -> None:
    # A host that the client chose goes through ``write``; the lines' grammar keeps CR, LF and NUL out before.
    text = bytes(byte for byte in host if byte >= 0x20 and byte != 0x7F)
    (one,) = forwarded.elements([forwarded.write(Element(b"192.0.2.1", text, b"http"))])
    assert (one.node, one.proto) == (b"192.0.2.1", b"http")
    assert forwarded.elements([soup])
