"""Trust: nobody is trusted by default, and a chain is followed up to the first untrusted node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.client.trust import UNIX, Origin, Trust
from limen.http.headers import Headers

INNER = Trust(["10.0.0.0/8", "fd00::/8", "unix"])
RFC7239 = Trust(["10.0.0.0/8", "unix"], speaks="forwarded")


def origin(trust: Trust, lines: Headers, peer: bytes = b"10.0.0.1") -> Origin:
    return trust.origin(lines, peer=peer, trusted=trust.covers(peer), scheme=b"http", host=b"inner:8000")


def xff(*values: bytes) -> Headers:
    return [(b"x-forwarded-for", value) for value in values]


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        (b"10.0.0.1", True),
        (b"10.255.255.255", True),
        (b"::ffff:10.0.0.1", True),
        (b"fd00::1", True),
        (b"fd00::1%eth0", True),
        (b"unix", True),
        (b"11.0.0.1", False),
        (b"2001:db8::1", False),
        (b"::ffff:11.0.0.1", False),
        (b"", False),
        (b"testclient", False),
        (b"\xff", False),
    ],
)
def test_which_peers_are_believed(peer: bytes, believed: bool) -> None:
    assert INNER.covers(peer) is believed
    assert not Trust().covers(peer)


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        (["0.0.0.0/0"], "would believe everybody"),
        (["::/0"], "would believe everybody"),
        (["10.0.0.1/8"], "has host bits set"),
        (["proxy.example"], "is no network"),
        (["*"], "is no network"),
        ([""], "is no network"),
        (["::ffff:10.0.0.0/104"], "write it as IPv4"),
    ],
)
def test_networks_that_are_none(networks: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Trust(networks)


def test_other_mistakes() -> None:
    with pytest.raises(ValueError, match=r"Trust\(\['10.0.0.0/8'\]\)"):
        Trust("10.0.0.0/8")
    with pytest.raises(ValueError, match="say 'x-forwarded' or 'forwarded'"):
        Trust([], speaks="via")  # pyright: ignore[reportArgumentType]
    assert Trust(["10.0.0.0/8"]) == Trust(("10.0.0.0/8",))


CLAIMS: Headers = [
    (b"x-forwarded-for", b"10.9.9.9"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"evil.example"),
    (b"forwarded", b"for=10.9.9.9;proto=https;host=evil.example"),
]


@pytest.mark.parametrize("trust", [Trust(), INNER, RFC7239])
@pytest.mark.parametrize("peer", [b"203.0.113.7", b"2001:db8::7"])
def test_a_stranger_is_replaced(trust: Trust, peer: bytes) -> None:
    assert origin(trust, CLAIMS, peer) == Origin(
        peer,
        b"http",
        b"inner:8000",
        [(b"x-forwarded-proto", b"http"), (b"x-forwarded-for", peer), (b"x-forwarded-host", b"inner:8000")],
    )


def test_a_peer_without_address_or_host_has_no_lines_for_them() -> None:
    nobody = Trust().origin(CLAIMS, peer=b"", trusted=False, scheme=b"http", host=b"")
    assert nobody == Origin(b"unknown", b"http", b"", [(b"x-forwarded-proto", b"http")])


@pytest.mark.parametrize(
    ("given_lines", "client", "sent"),
    [
        (xff(b"203.0.113.7"), b"203.0.113.7", b"203.0.113.7, 10.0.0.1"),
        # Followed through our own, over repeated lines; what stands left of the first stranger is not passed on.
        (xff(b"6.6.6.6, 203.0.113.7", b"10.0.0.9"), b"203.0.113.7", b"203.0.113.7, 10.0.0.9, 10.0.0.1"),
        (xff(b"10.0.0.66, 203.0.113.7"), b"203.0.113.7", b"203.0.113.7, 10.0.0.1"),
        (xff(b"203.0.113.7:4711, [fd00::9]:80"), b"203.0.113.7", b"203.0.113.7, fd00::9, 10.0.0.1"),
        # All ours: the one that is the farthest away.
        (xff(b"10.0.0.5, 10.0.0.4"), b"10.0.0.5", b"10.0.0.5, 10.0.0.4, 10.0.0.1"),
        # What is malformed ends the chain: nothing left of it is looked at.
        (xff(b"203.0.113.7, nobody"), b"10.0.0.1", b"10.0.0.1"),
        (xff(b"203.0.113.7,"), b"10.0.0.1", b"10.0.0.1"),
        (xff(b"203.0.113.7, nobody, 10.0.0.4"), b"10.0.0.4", b"10.0.0.4, 10.0.0.1"),
        (xff(b""), b"10.0.0.1", b"10.0.0.1"),
        ([], b"10.0.0.1", b"10.0.0.1"),
        # Whoever hides ends it too, and keeps a place in line.
        (xff(b"203.0.113.7, unix:"), b"unknown", b"unknown, 10.0.0.1"),
        (xff(b"203.0.113.7, _secret, 10.0.0.4"), b"_secret", b"unknown, 10.0.0.4, 10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_stranger(given_lines: Headers, client: bytes, sent: bytes) -> None:
    found = origin(INNER, given_lines)
    assert found.client == client
    assert dict(found.lines)[b"x-forwarded-for"] == sent


def test_scheme_and_host_of_a_believed_peer() -> None:
    found = origin(INNER, [*xff(b"203.0.113.7"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a.example")])
    assert (found.scheme, found.host) == (b"https", b"a.example")
    assert dict(found.lines)[b"x-forwarded-host"] == b"a.example"
    malformed: Headers = [(b"x-forwarded-proto", b"gopher"), (b"x-forwarded-host", b"a b")]
    assert origin(INNER, malformed).lines == origin(INNER, []).lines


def test_one_family_is_read() -> None:
    by_nginx = origin(INNER, [*xff(b"203.0.113.7"), (b"forwarded", b"for=6.6.6.6;proto=https")])
    assert (by_nginx.client, by_nginx.scheme) == (b"203.0.113.7", b"http")
    assert b"forwarded" not in dict(by_nginx.lines)
    by_the_rfc = origin(RFC7239, [*CLAIMS[:3], (b"forwarded", b"for=203.0.113.7;proto=https;host=a.example")])
    assert by_the_rfc == Origin(
        b"203.0.113.7",
        b"https",
        b"a.example",
        [
            (b"x-forwarded-proto", b"https"),
            (b"x-forwarded-for", b"203.0.113.7, 10.0.0.1"),
            (b"x-forwarded-host", b"a.example"),
            (
                b"forwarded",
                b'for=203.0.113.7;host=a.example;proto=https, for=10.0.0.1;host="inner:8000";proto=http',
            ),
        ],
    )


def test_each_element_is_believed_while_its_writer_is() -> None:
    lines: Headers = [
        (b"forwarded", b"for=6.6.6.6;proto=ftp;host=evil.example, for=203.0.113.7;proto=https"),
        (b"forwarded", b'for="10.0.0.4:80";host=a.example;proto=http'),
    ]
    found = origin(RFC7239, lines)
    assert (found.client, found.scheme, found.host) == (b"203.0.113.7", b"https", b"a.example")
    assert b"evil" not in b"".join(value for _, value in found.lines)


def test_a_unix_socket_is_believed_when_it_is_named() -> None:
    found = origin(RFC7239, [(b"forwarded", b'for="[2001:db8::1]:80";proto=https')], UNIX)
    assert (found.client, found.scheme) == (b"2001:db8::1", b"https")
    assert dict(found.lines)[b"x-forwarded-for"] == b"2001:db8::1"
    assert dict(found.lines)[b"forwarded"] == (
        b'for="[2001:db8::1]";proto=https, for=unknown;host="inner:8000";proto=http'
    )
    assert origin(Trust(["10.0.0.0/8"]), xff(b"203.0.113.7"), UNIX).client == b"unknown"


_NAMES = st.sampled_from([b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"])
_VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"10.0.0.2", b"6.6.6.6", b"for=10.0.0.2", b'for="6.6.6.6', b"https", b'"', b",", b"for=_x;proto=https"]
    ),
)
_SOUP = st.lists(st.tuples(_NAMES, _VALUES), max_size=6)
_TRUST = st.sampled_from([INNER, RFC7239])


@given(_SOUP, _TRUST)
def test_whatever_a_stranger_claims_changes_nothing(soup: Headers, trust: Trust) -> None:
    assert origin(trust, soup, b"203.0.113.7") == origin(trust, [], b"203.0.113.7")


@given(_SOUP)
def test_what_a_client_sends_through_an_appending_proxy_names_nobody_else(soup: Headers) -> None:
    """A proxy that adds its client's address to what that client sent, and sets scheme and host."""
    lines: Headers = [
        *soup,
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"a.example"),
    ]
    assert origin(INNER, lines) == origin(INNER, lines[-3:])


@given(_SOUP)
def test_what_a_client_sends_through_a_proxy_of_the_rfc_names_nobody_else(soup: Headers) -> None:
    last = (b"forwarded", b"for=203.0.113.7;proto=https;host=a.example")
    assert origin(RFC7239, [*soup, last]) == origin(RFC7239, [last])


@given(_SOUP, _TRUST)
def test_nothing_that_is_written_can_end_a_line(soup: Headers, trust: Trust) -> None:
    for name, value in origin(trust, soup).lines:
        assert name.islower()
        assert not {0, 10, 13} & set(value)
