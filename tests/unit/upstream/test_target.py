"""Addresses of services."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.upstream.target import Target


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "authority"),
    [
        ("http://users", "users", 80, False, b"users"),
        ("http://users/", "users", 80, False, b"users"),
        ("http://users:80", "users", 80, False, b"users"),
        ("http://users:8000", "users", 8000, False, b"users:8000"),
        ("http://users.svc.cluster.local.:1", "users.svc.cluster.local.", 1, False, b"users.svc.cluster.local.:1"),
        ("HTTP://Users:65535", "users", 65535, False, b"users:65535"),
        ("http://my_service-1:80", "my_service-1", 80, False, b"my_service-1"),
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, False, b"127.0.0.1:8000"),
        ("http://[::1]:8000", "::1", 8000, False, b"[::1]:8000"),
        ("https://users", "users", 443, True, b"users"),
        ("https://users:443", "users", 443, True, b"users"),
        ("https://users:80", "users", 80, True, b"users:80"),
        ("https://[2001:db8::1]", "2001:db8::1", 443, True, b"[2001:db8::1]"),
    ],
)
def test_addresses(url: str, host: str, port: int, tls: bool, authority: bytes) -> None:
    target = Target.parse(url)
    assert (target.host, target.port, target.tls, target.authority) == (host, port, tls, authority)
    assert target.path == ""
    assert str(target) == url


def test_a_unix_socket() -> None:
    target = Target.parse("unix:/run/users.sock")
    assert (target.path, target.host, target.port, target.tls) == ("/run/users.sock", "localhost", 0, False)
    assert target.authority == b"localhost"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must begin with http://, https:// or unix:/"),
        ("users:8000", "must begin with http://"),
        ("//users", "must begin with http://"),
        ("ftp://users", "must begin with http://"),
        ("unix:run/users.sock", "a Unix socket is written unix:/absolute/path.sock"),
        ("unix:", "a Unix socket is written"),
        ("http://users:port", "write http://host:port"),
        ("http://users:65536", "write http://host:port"),
        ("http://users:-1", "write http://host:port"),
        ("http://users:0", "no valid host and port"),
        ("http://", "no valid host and port"),
        ("http://:80", "no valid host and port"),
        ("http://us ers", "no valid host and port"),
        ("http://us%65rs", "no valid host and port"),
        ("http://us,ers", "no valid host and port"),
        ("http://a..b", "no valid host and port"),
        ("http://.", "no valid host and port"),
        ("http://" + "a" * 64, "no valid host and port"),
        ("http://bücher", "no valid host and port"),
        ("http://[::1", "write http://host:port"),
        ("http://users/api", "use rewrite= for another path"),
        ("http://users?x=1", "must be scheme, host and port only"),
        ("http://users#x", "must be scheme, host and port only"),
    ],
)
def test_bad_addresses_say_what_is_wrong(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Target.parse(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@users",
        "http://s3cret@users",
        "http://:s3cret@users",
        "http://user:s3cret@users:port",
        "http://user:s3/cret@users",
        "redis://user:s3cret@users",
    ],
)
def test_a_credential_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must not hold a user name or a password") as caught:
        Target.parse(url)
    assert "s3" not in str(caught.value)


@given(st.text(max_size=30) | st.text(max_size=30).map("http://".__add__) | st.text(max_size=30).map("unix:".__add__))
def test_whatever_is_given_it_parses_or_says_why(url: str) -> None:
    try:
        target = Target.parse(url)
    except ValueError:
        return
    assert target.host.encode("idna")
    assert target.authority.isascii()
    assert not set(target.authority) & set(b" \r\n\0/@")


def test_two_spellings_of_one_address_are_equal() -> None:
    assert Target.parse("http://users") == Target.parse("HTTP://Users:80/")
    assert Target.parse("http://users") != Target.parse("https://users:80")


def test_a_target_at_an_address_keeps_the_authority_of_its_name() -> None:
    target = Target.parse("https://users:8443").at(("fd00::7", "10.0.0.7"))
    assert (target.host, target.port, target.tls, target.authority) == ("users", 8443, True, b"users:8443")
    assert target.addresses == ("fd00::7", "10.0.0.7")
    assert str(target) == "https://users:8443 [fd00::7]"


def test_two_addresses_of_one_name_are_two_targets() -> None:
    name = Target.parse("http://users")
    assert name.addresses == ()
    assert name.at(("10.0.0.7",)) == Target.parse("HTTP://Users:80/").at(("10.0.0.7",))
    assert len({name, name.at(("10.0.0.7",)), name.at(("10.0.0.8",)), name.at(("10.0.0.7", "fd00::7"))}) == 4
    assert name.at(("10.0.0.7",)).at(()) == name


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("HTTP://Users:80/", "http://users"),
        ("https://users:443", "https://users"),
        ("https://users:80", "https://users:80"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("unix:/run/users.sock", "unix:/run/users.sock"),
    ],
)
def test_the_key_of_a_target_is_where_it_is_however_that_is_spelled(url: str, key: str) -> None:
    assert Target.parse(url).key == key


def test_the_key_of_a_target_at_addresses_is_the_first_of_them() -> None:
    name = Target.parse("http://users:8000")
    assert name.at(("10.0.0.7",)).key == name.at(("10.0.0.7", "fd00::7")).key == "http://users:8000 [10.0.0.7]"
