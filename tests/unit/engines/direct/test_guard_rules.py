"""The rules of a head that the parser does not know, one by one, and the settings that cannot be."""

import pytest

from limen.client.limits import ClientLimits
from limen.engines.direct import rules
from limen.errors import Fault, Kind
from limen.http.headers import Head, Headers

HOST: tuple[bytes, bytes] = (b"host", b"g")
CHUNKED: tuple[bytes, bytes] = (b"transfer-encoding", b"chunked")
NO_HOSTS = b": :80 g: g:65536 g:123456 g:a g,h u@g g/x g?x g#x [::1 ::1 [] [g] g\\h <g> %41 g\xe9 g\0 [::1]x".split()
NO_TARGETS = (
    b"http://h/ http://g:81/ https://g:80/ http://u@g/ http:///x ftp://g/ g:80 x * /a#b http://g/#b /\xe9 http://g\\h/"
)


@pytest.mark.parametrize(
    "value",
    [
        b"g",
        b"g.example",
        b"g.example.",
        b"g:80",
        b"G-1_x~:65535",
        b"127.0.0.1:1",
        b"[::1]",
        b"[fe80::1]:8080",
        b"x" * 300,
    ],
)
def test_hosts(value: bytes) -> None:
    assert rules.valid_host(value)


@pytest.mark.parametrize("value", [b"", b"g g", b"g\n", *NO_HOSTS])
def test_no_hosts(value: bytes) -> None:
    assert not rules.valid_host(value)


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("1.1", [HOST]),
        ("1.1", [HOST, CHUNKED]),
        ("1.1", [HOST, (b"transfer-encoding", b"CHUNKED")]),
        ("1.1", [HOST, (b"content-length", b"5")]),
        ("1.0", []),
        ("1.0", [HOST]),
        ("1.0", [(b"content-length", b"5")]),
    ],
)
def test_heads_in_order(version: str, lines: list[tuple[bytes, bytes]]) -> None:
    assert rules.check(b"POST", version, Head(lines)) is None


@pytest.mark.parametrize(
    ("version", "lines", "kind"),
    [
        ("1.1", [], Kind.BAD_REQUEST),
        ("1.1", [HOST, HOST], Kind.BAD_REQUEST),
        ("1.1", [(b"host", b"a b")], Kind.BAD_REQUEST),
        ("1.1", [HOST, CHUNKED, CHUNKED], Kind.BAD_REQUEST),
        ("1.1", [HOST, CHUNKED, (b"content-length", b"5")], Kind.BAD_REQUEST),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], Kind.BAD_REQUEST),
        ("1.1", [HOST, (b"transfer-encoding", b"")], Kind.BAD_REQUEST),
        ("1.0", [HOST, HOST], Kind.BAD_REQUEST),
        ("1.0", [(b"host", b"")], Kind.BAD_REQUEST),
        ("1.0", [HOST, CHUNKED], Kind.BAD_REQUEST),
        ("0.9", [], Kind.BAD_REQUEST),
        ("2.0", [HOST], Kind.VERSION_NOT_SUPPORTED),
    ],
)
def test_heads_out_of_order(version: str, lines: list[tuple[bytes, bytes]], kind: Kind) -> None:
    fault = rules.check(b"POST", version, Head(lines))
    assert fault is not None
    assert fault.kind is kind


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_methods_that_are_never_served(method: bytes, version: str) -> None:
    heads: list[Headers] = [[HOST], []] if version == "1.0" else [[HOST]]
    for lines in heads:
        fault = rules.check(method, version, Head(lines))
        assert fault is not None
        assert fault.kind is Kind.NOT_IMPLEMENTED


@pytest.mark.parametrize(
    ("target", "host", "found"),
    [
        (b"http://g/a?b", b"g", (b"/a?b", b"g")),
        (b"http://g", b"g", (b"/", b"g")),
        (b"http://g?b", b"g", (b"/?b", b"g")),
        (b"HTTP://G:80/", b"g", (b"/", b"G:80")),
        (b"http://g/", b"g:80", (b"/", b"g")),
        (b"https://g:443/", b"g", (b"/", b"g:443")),
        (b"http://[::1]:81/x", b"[::1]:81", (b"/x", b"[::1]:81")),
        (b"http://g//x", b"g", (b"//x", b"g")),
    ],
)
def test_absolute_form(target: bytes, host: bytes, found: tuple[bytes, bytes]) -> None:
    assert rules.origin(target, b"GET", Head([(b"host", host)])) == found


@pytest.mark.parametrize("target", NO_TARGETS.split())
def test_targets_that_are_none(target: bytes) -> None:
    assert isinstance(rules.origin(target, b"GET", Head([HOST])), Fault)


def test_the_asterisk_is_for_options() -> None:
    assert rules.origin(b"*", b"OPTIONS", Head([HOST])) == (b"*", b"")


def test_the_weight_of_a_head_is_that_of_its_bytes() -> None:
    written = b"GET /abc HTTP/1.1\r\nhost: g\r\nx-y: zz\r\n\r\n"
    line, head = rules.weight(b"GET", b"/abc", [HOST, (b"x-y", b"zz")])
    assert (line, head) == (written.index(b"\r\n") + 2, len(written))


@pytest.mark.parametrize(
    "given",
    [
        {"head_time": 0},
        {"linger": float("inf")},
        {"body_silence": float("nan")},
        {"connections": 0},
        {"connections_per_address": 0},
        {"requests": 0},
        {"body_rate": -1},
        {"fields": 0},
        {"request_line": 40_000},
    ],
)
def test_limits_that_would_stop_everything(given: dict[str, float]) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=name):
        ClientLimits(**given)  # pyright: ignore[reportArgumentType] - what a user might write
