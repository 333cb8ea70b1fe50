"""``Forwarded`` and ``X-Forwarded-*`` as grammar: what is read, what is refused, and that what is written is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import calls
from limen.client.trust import Trust
from limen.http import forwarded
from limen.http.forwarded import MALFORMED, MOST_ELEMENTS, Element


def elements(values: list[bytes]) -> list[Element]:
    """Return all elements, in the order in which they stand."""
    return list(forwarded.forwarded_elements([(b"forwarded", value) for value in values]))[::-1]


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
    assert forwarded.parse_node(text) == node


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
        ([b"for=192.0.2.1;for=192.0.2.2"], [MALFORMED]),
        ([b"for=192.0.2.1 proto=http"], [MALFORMED]),
        ([b"for = 192.0.2.1"], [MALFORMED]),
        ([b"for=[2001:db8::1]"], [MALFORMED]),
        ([b'for="192.0.2.1'], [MALFORMED]),
        ([b'for="a, for=192.0.2.1'], [MALFORMED]),
        ([b"192.0.2.1"], [MALFORMED]),
        ([b"for=192.0.2.1,"], [Element(b"192.0.2.1"), MALFORMED]),
        ([b""], [MALFORMED]),
        # Malformed in part.
        ([b'for=192.0.2.1;host="a b";proto=ftp'], [Element(b"192.0.2.1")]),
        ([b"for=nobody;proto=https"], [Element(None, b"", b"https")]),
    ],
)
def test_elements(values: list[bytes], expected: list[Element]) -> None:
    assert elements(values) == expected


def test_what_x_forwarded_says() -> None:
    lines = [
        (b"x-forwarded-for", b"192.0.2.1, 2001:db8::1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-proto", b"ftp, HTTPS"),
        (b"x-forwarded-host", b"evil.example, a.example"),
        (b"x-forwarded-for", b"nobody"),
    ]
    assert [one.node for one in forwarded.x_forwarded_elements(lines)] == [None, b"2001:db8::1", b"192.0.2.1"]
    assert forwarded.x_forwarded_host_proto(lines) == (b"a.example", b"https")
    assert forwarded.x_forwarded_host_proto([(b"x-forwarded-host", b'a"b')]) == (b"", b"")


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
    assert elements([b", ".join(map(forwarded.serialize, chain))]) == chain


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_host_never_breaks_out_of_its_quotes(host: bytes, soup: bytes) -> None:
    # A host that the client chose goes through ``write``; the lines' grammar keeps CR, LF and NUL out before.
    text = bytes(byte for byte in host if byte >= 0x20 and byte != 0x7F)
    (one,) = elements([forwarded.serialize(Element(b"192.0.2.1", text, b"http"))])
    assert (one.node, one.proto) == (b"192.0.2.1", b"http")
    assert elements([soup])


def _parts(value: bytes) -> list[bytes]:
    """Split byte by byte: what ``forwarded`` has to do, but quickly."""
    parts = [bytearray()]
    quoted = escaped = False
    for byte in value:
        if byte == 0x2C and not quoted:
            parts.append(bytearray())
            continue
        parts[-1].append(byte)
        if escaped:
            escaped = False
        elif quoted and byte == 0x5C:
            escaped = True
        elif byte == 0x22:
            quoted = not quoted
    return [bytes(part) for part in parts]


@given(
    st.lists(st.sampled_from([b'"', b"\\", b",", b"a", b"\n", b";", b"for=192.0.2.1", b'for="192.0.2.2"']), max_size=20)
)
def test_commas_in_quotes_part_nothing(pieces: list[bytes]) -> None:
    value = b"".join(pieces)
    found = forwarded._split(value)  # pyright: ignore[reportPrivateUsage] - the one place where quotes are counted
    assert [part.rstrip(b",") for part in found] == [part.rstrip(b",") for part in _parts(value)]


KiB = 1024
SIZE = 30 * KiB

# What a client may send through a proxy that is believed, and fills a head.
LONG = {
    "addresses": b",".join(b"10.0.%d.%d" % (number // 256, number % 256) for number in range(SIZE // 11)),
    "one address": b"127.0.0.1," * (SIZE // 10),
    "commas": b"," * SIZE,
    "quotes": b'for="' * (SIZE // 5),
    "quoted": b'for="127.0.0.1",' * (SIZE // 16),
    "quoted pairs": b'for="' + b'\\"' * (SIZE // 2),
    "elements": b"for=127.0.0.1," * (SIZE // 14),
    "parameters": b";".join(b"p%d=1" % number for number in range(SIZE // 8)),
    "blanks": b"for=127.0.0.1" + b" " * SIZE + b";",
    "one node": b"_" + b"a" * SIZE,
}
TRUSTING = {speaks: Trust(["127.0.0.1", "10.0.0.0/8"], speaks=speaks) for speaks in ("forwarded", "x-forwarded")}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("header", [b"forwarded", b"x-forwarded-for"])
def test_a_long_chain_costs_no_more_than_its_last_elements(name: str, header: bytes) -> None:
    """As many as the bound are looked at: twice as much costs the same, in few lines or many; nothing long is remembered."""
    trust = TRUSTING["forwarded" if header == b"forwarded" else "x-forwarded"]
    value = LONG[name]

    def origin(lines: list[tuple[bytes, bytes]]) -> int:
        forwarded._node.cache_clear()  # pyright: ignore[reportPrivateUsage] - what is remembered costs less
        return calls(lambda: trust.origin(lines, peer=b"127.0.0.1", trusted=True, scheme=b"http", host=b"h"))

    once, twice = origin([(header, value)]), origin([(header, value + b"," + value)])
    assert twice <= once + 50
    assert origin([(header, value[:300])] * 100) < 10_000
    assert once < 10_000
    before = forwarded._node.cache_info().currsize  # pyright: ignore[reportPrivateUsage] - as above
    assert forwarded.parse_node(b"_" + b"a" * SIZE) is None
    assert forwarded._node.cache_info().currsize == before  # pyright: ignore[reportPrivateUsage] - as above


def test_hops_beyond_the_bound_are_not_followed() -> None:
    chain = [b"192.0.2.1", *[b"10.0.0.%d" % number for number in range(MOST_ELEMENTS)]]
    found = TRUSTING["x-forwarded"].origin(
        [(b"x-forwarded-for", b", ".join(chain))], peer=b"127.0.0.1", trusted=True, scheme=b"http", host=b"h"
    )
    assert found.client == b"10.0.0.0"
    found = TRUSTING["x-forwarded"].origin(
        [(b"x-forwarded-for", b", ".join([chain[0], *chain[2:]]))],
        peer=b"127.0.0.1",
        trusted=True,
        scheme=b"http",
        host=b"h",
    )
    assert found.client == b"192.0.2.1"


def test_an_element_with_many_parameters_is_none() -> None:
    given = [b"p%d=1" % number for number in range(15)]
    assert elements([b";".join([b"for=192.0.2.1", *given])]) == [Element(b"192.0.2.1")]
    assert elements([b";".join([b"for=192.0.2.1", *given, b"q=1"])]) == [MALFORMED]
