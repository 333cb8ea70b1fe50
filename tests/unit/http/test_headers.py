"""The header fields that cross the gateway, and those that are dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.http.headers import Head, block, entity_tags, is_json, nominated, to_client, to_upstream, weakened
from limen.upstream import request


def test_hop_by_hop_and_nominated_headers_stay_behind() -> None:
    client = [
        (b"connection", b"close, X-Secret"),
        (b"x-secret", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
        (b"accept", b"*/*"),
    ]
    assert to_upstream(client, strip=()) == [(b"accept", b"*/*")]


def test_connection_cannot_remove_what_the_gateway_adds() -> None:
    lines = to_upstream([(b"connection", b"request-user-id, host")], strip=(b"request-user-id",))
    own = block([(b"request-user-id", b"7")])
    assert (
        request.head(b"GET", b"/", b"users", lines, own, b"")
        == b"GET / HTTP/1.1\r\nhost: users\r\nrequest-user-id: 7\r\n\r\n"
    )


@pytest.mark.parametrize("line", [(b"a b", b"1"), (b"", b"1"), (b"a", b"1\r\nb: 2"), (b"a", b"\0"), (b"a\n", b"1")])
def test_no_line_of_ours_breaks_out(line: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="not a header line"):
        block([line])


@pytest.mark.parametrize("name", [b"request-user-id", b"request_user_id", b"request_user-id"])
def test_identity_from_a_client_is_dropped_in_every_spelling(name: bytes) -> None:
    assert to_upstream([(name, b"1"), (name, b"2")], strip=(b"request-user-id",)) == []


@pytest.mark.parametrize("name", [b"forwarded", b"x-forwarded-for", b"x-real-ip", b"x-forwarded-host", b"host"])
def test_forwarding_headers_of_an_untrusted_client_are_dropped(name: bytes) -> None:
    assert to_upstream([(name, b"evil")], strip=()) == []


def test_repeated_headers_stay_repeated_and_in_order() -> None:
    lines = [(b"set-cookie", b"a=1"), (b"x", b"\xff"), (b"set-cookie", b"b=2")]
    assert to_client(lines, bodyless=False) == lines


def test_answers_lose_hop_by_hop_and_software_names() -> None:
    lines = [(b"connection", b"x-a"), (b"x-a", b"1"), (b"server", b"uvicorn"), (b"date", b"now"), (b"etag", b'"1"')]
    assert to_client(lines, bodyless=False) == [(b"etag", b'"1"')]


def test_answers_without_content_have_no_length() -> None:
    assert to_client([(b"content-length", b"5")], bodyless=True) == []
    assert to_client([(b"content-length", b"5")], bodyless=False) == [(b"content-length", b"5")]


def test_nominated_folds_case_and_space() -> None:
    assert nominated([(b"connection", b" Close ,Foo"), (b"connection", b"bar")]) == {b"close", b"foo", b"bar"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"application/merge-patch+json", True),
        (b"text/json", False),
        (b"application/jsonp", False),
        (b"text/plain;application/json", False),
        (b"", False),
    ],
)
def test_is_json(value: bytes, expected: bool) -> None:
    assert is_json(value) is expected


@given(st.lists(st.sampled_from((b"a", b"b", b"c", b"d"))), st.frozensets(st.sampled_from((b"a", b"b", b"c", b"d"))))
def test_none_is_that_each_has_no_value(given_names: list[bytes], asked: frozenset[bytes]) -> None:
    head = Head([(name, b"%d" % index) for index, name in enumerate(given_names)])
    assert head.none(asked) is all(not head.all(name) for name in asked)


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        ([], set[bytes]()),
        ([b"*"], set[bytes]()),
        ([b'"1"'], {b'"1"'}),
        ([b'W/"1"'], {b'W/"1"'}),
        ([b'"1", W/"2"', b'"a,b"'], {b'"1"', b'W/"2"', b'"a,b"'}),
        ([b'"1'], set[bytes]()),
    ],
)
def test_tags_are_read_with_their_weakness(values: list[bytes], tags: set[bytes]) -> None:
    assert entity_tags(values) == tags


@pytest.mark.parametrize(
    ("tag", "kept", "expected"),
    [
        (b'"1"', frozenset[bytes](), b'W/"1"'),
        (b'W/"1"', frozenset[bytes](), b'W/"1"'),
        (b'"1"', frozenset({b'"1"'}), b'"1"'),
        (b'"1"', frozenset({b'W/"1"', b'"2"'}), b'W/"1"'),
    ],
)
def test_a_tag_becomes_weak_unless_it_is_kept(tag: bytes, kept: frozenset[bytes], expected: bytes) -> None:
    assert weakened([(b"a", b'"1"'), (b"etag", tag)], kept) == [(b"a", b'"1"'), (b"etag", expected)]
