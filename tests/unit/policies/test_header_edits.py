"""``Headers``: what may be edited, the result, and the messages of refusals."""

from collections.abc import Callable
from random import Random
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.exchange.answer import Answer, Source
from limen.exchange.policy import Environment, RouteFacts
from limen.http.headers import Headers as Lines
from limen.http.headers import block
from limen.policies import Edits, Headers
from policy_requests import answer, request

ENVIRONMENT = Environment(lambda: 0.0, lambda: 0.0, Random(0))


def to_service(lines: Lines, **edits: Any) -> Lines:
    hook = Headers(request=Edits(**edits)).live(ENVIRONMENT).request_head
    assert hook is not None
    return hook(request(), lines)


def to_client(made: Answer, **edits: Any) -> Lines:
    hook = Headers(answer=Edits(**edits)).live(ENVIRONMENT).answer_head
    assert hook is not None
    hook(request(), made)
    return made.lines


def headers(side: str, edits: Edits) -> Headers:
    return Headers(request=edits) if side == "request" else Headers(answer=edits)


LINES: Lines = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"4")]


@pytest.mark.parametrize(
    ("edits", "lines"),
    [
        ({"remove": ["A", "x"]}, [(b"b", b"2"), (b"c", b"4")]),
        ({"set": {"A": "9"}}, [(b"b", b"2"), (b"c", b"4"), (b"a", b"9")]),
        ({"set": {"x": "9"}}, [*LINES, (b"x", b"9")]),
        ({"add": {"a": "9"}}, [*LINES, (b"a", b"9")]),
        ({"add": {"a": ["8", "9"]}}, [*LINES, (b"a", b"8"), (b"a", b"9")]),
        (
            {"remove": ["b"], "set": {"c": "7"}, "add": {"a": "9"}},
            [(b"a", b"1"), (b"a", b"3"), (b"c", b"7"), (b"a", b"9")],
        ),
    ],
)
def test_edits(edits: dict[str, Any], lines: Lines) -> None:
    assert to_service(list(LINES), **edits) == lines
    made = answer(lines=list(LINES))
    before = made.lines
    assert to_client(made, **edits) == lines
    assert made.lines is before


def test_a_side_without_edits_has_no_hook() -> None:
    live = Headers(request=Edits(remove=["a"])).live(ENVIRONMENT)
    assert (live.request_head is None, live.answer_head is None) == (False, True)
    live = Headers(answer=Edits(remove=["a"])).live(ENVIRONMENT)
    assert (live.request_head is None, live.answer_head is None) == (True, False)


@pytest.mark.parametrize(
    ("status", "source", "told"),
    [
        (200, "upstream", b"text/html"),
        (404, "upstream", b"text/html"),
        (200, "cache", b"text/html"),
        (502, "local", b"application/problem+json"),
        (204, "upstream", b"application/problem+json"),
        (304, "upstream", b"application/problem+json"),
        (101, "upstream", b"application/problem+json"),
    ],
)
def test_a_content_type_is_set_where_there_is_content_of_the_service(status: int, source: Source, told: bytes) -> None:
    made = answer(status, [(b"content-type", b"application/problem+json")], source)
    lines = to_client(made, set={"content-type": "text/html", "x-a": "1"})
    assert dict(lines) == {b"content-type": told, b"x-a": b"1"}
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"set": {"x y": "1"}}, "'x y' is no name of a header"),
        ({"set": {"": "1"}}, "'' is no name of a header"),
        ({"set": {"x\r\ny": "1"}}, "is no name of a header"),
        ({"set": {"ü": "1"}}, "'ü' is no name of a header"),
        ({"remove": [7]}, "7 is no name of a header"),
        ({"remove": "x-a"}, r"remove='x-a' is no list; write remove=\['x-a'\]"),
        ({"set": {"x": "a\r\nb: c"}}, "the value of 'x' has line breaks"),
        ({"set": {"x": "a\n"}}, "the value of 'x' has line breaks"),
        ({"set": {"x": "\0"}}, "the value of 'x' has line breaks"),
        ({"set": {"x": " a"}}, "the value of 'x' has line breaks"),
        ({"set": {"x": "ü"}}, "the value of 'x' has line breaks"),
        ({"set": {"x": ""}}, "the value of 'x' is empty; to take a header away, name it in remove="),
        ({"add": {"x": ["a", 7]}}, "the value of 'x' is int, and has to be text"),
        ({"set": {"x": "1", "X": "2"}}, "set= has a name twice"),
        ({"set": {"x": "1"}, "add": {"x": "2"}}, "'x' is in more than one of remove=, set= and add="),
        ({"remove": ["x"], "set": {"x": "2"}}, "'x' is in more than one of remove=, set= and add="),
        ({"add": {"Content-Type": "text/html"}}, "'content-type' has one value, so none can be added; use set="),
    ],
)
def test_invalid_edits_are_refused(edits: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^Edits: .*{words}"):
        Edits(**edits)


EVERYWHERE = {
    "Connection": "belongs to one connection",
    "keep-alive": "belongs to one connection",
    "te": "belongs to one connection",
    "Transfer-Encoding": "belongs to one connection",
    "upgrade": "belongs to one connection",
    "sec-websocket-accept": "belongs to one connection",
    "Content-Length": "frames the message",
    "content-encoding": "describes the bytes of the content",
    "via": "names the gateways",
    "X-Request-Id": "is the id of the request",
}
OF_REQUESTS = {
    "Host": "is that of the service; Upstream(targets=) says which",
    "expect": "the gateway answers it",
    "max-forwards": "is counted by the gateway",
    "forwarded": "Gateway(trust=Trust([...])) names proxies in front",
    "x-forwarded-for": "Gateway(trust=Trust([...])) names proxies in front",
    "X-Real-IP": "Gateway(trust=Trust([...])) names proxies in front",
    "x_tenant": "has '_', which some services read as '-'",
    "x-http-method-override": "is obeyed by some services",
    "x-original-url": "is obeyed by some services",
}
OF_ANSWERS = {
    "date": "is written by the server in front",
    "server": "names software",
    "content-range": "describes the bytes of the content",
}


@pytest.mark.parametrize("how", ["set", "remove"])
@pytest.mark.parametrize(
    ("side", "name", "words"),
    [
        *(("request", name, words) for name, words in (EVERYWHERE | OF_REQUESTS).items()),
        *(("answer", name, words) for name, words in (EVERYWHERE | OF_ANSWERS).items()),
    ],
)
def test_fields_that_the_gateway_sets_are_refused(side: str, name: str, words: str, how: str) -> None:
    edits = Edits(remove=[name, "x-ok"]) if how == "remove" else Edits(set={name: "1", "x-ok": "1"})
    with pytest.raises(ValueError, match=r"^Headers\(") as caught:
        headers(side, edits)
    text = str(caught.value)
    assert text.startswith(f"Headers({side}=): {name.lower()!r} ")
    assert words in text
    assert text.endswith("; leave it out")
    assert "x-ok" not in text


def test_all_refused_fields_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"'via' names .*; 'date' is written .*; leave them out$"):
        Headers(answer=Edits(remove=["via"], set={"date": "now"}))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Headers(), "nothing is edited; say request=Edits"),
        (lambda: Headers(answer=Edits(remove=["content-type"])), "browsers guess"),
        (lambda: Headers(answer=Edits(set={"set-cookie": "a=1"})), "would drop the service's cookies"),
        (lambda: Headers(request={"x": "1"}), "request= takes Edits"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_invalid_headers_policies_are_refused(made: Callable[[], Headers], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        made()


def test_cookies_are_added_or_all_removed() -> None:
    cookies: Lines = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    added = to_client(answer(lines=list(cookies)), add={"set-cookie": "c=3"})
    assert added == [*cookies, (b"set-cookie", b"c=3")]
    assert to_client(answer(lines=list(cookies)), remove=["set-cookie"]) == []


def test_the_name_tells_what_is_edited_and_no_value() -> None:
    made = Headers(
        request=Edits(set={"Authorization": "Bearer secret"}), answer=Edits(remove=["b", "a"], add={"c": ["1", "2"]})
    )
    assert made.name == "request: set authorization; answer: remove a, remove b, add c"
    assert "secret" not in repr(made)
    assert Headers(answer=Edits(remove=["a"]), name="mine").name == "mine"


def test_equal_declarations_are_equal() -> None:
    def made(value: str) -> Headers:
        return Headers(answer=Edits(set={"X-A": value}))

    assert made("1") == made("1")
    assert made("1") != made("2")
    assert made("1").name == made("2").name
    assert hash(made("1")) == hash(made("1"))
    assert Headers(answer=Edits(set={"x-a": "1"})) == made("1")


@pytest.mark.parametrize(
    ("side", "name", "facts", "words"),
    [
        (
            "request",
            "request-user-id",
            {"withheld_headers": frozenset({b"request-user-id"})},
            "tells services who is calling",
        ),
        (
            "request",
            "authorization",
            {"withheld_headers": frozenset({b"authorization"})},
            "a credential that the gateway consumes",
        ),
        (
            "request",
            "x-tenant",
            {"declared_headers": frozenset({b"x-tenant"})},
            "is declared in the signature of GET /a",
        ),
        ("request", "content-type", {"declares_body": True}, "is checked with the body of GET /a"),
        ("request", "accept-encoding", {"checks_answers": True}, "is the gateway's to say on GET /a"),
        ("request", "range", {"checks_answers": True}, "is the gateway's to say on GET /a"),
        (
            "answer",
            "session-ended",
            {"consumed_headers": frozenset({b"session-ended"})},
            "is the gateway's own on GET /a",
        ),
    ],
)
def test_edits_that_break_the_contract_of_a_route(side: str, name: str, facts: dict[str, Any], words: str) -> None:
    made = headers(side, Edits(set={name: "1"}))
    (line,) = made.check(RouteFacts("GET /a", **facts))
    assert line.startswith(f"Headers({side}=): {name!r} ")
    assert words in line
    assert line.endswith("; leave it out")
    assert list(made.check(RouteFacts("GET /a"))) == []


TEXTS = st.text(st.sampled_from('ab-_\r\n\t :,;\0\x7f"ü\ud800=A1'), max_size=6) | st.text(max_size=6)
NAMES = TEXTS | st.sampled_from([*EVERYWHERE, *OF_REQUESTS, *OF_ANSWERS, "x-a", "set-cookie", "content-type"])


@given(
    remove=st.lists(NAMES, max_size=2),
    replace=st.dictionaries(NAMES, TEXTS, max_size=2),
    add=st.dictionaries(NAMES, st.lists(TEXTS, max_size=2), max_size=2),
    lines=st.lists(st.tuples(st.sampled_from([b"x-a", b"set-cookie", b"a"]), st.just(b"1")), max_size=3),
)
def test_whatever_is_let_through_never_breaks_a_head(
    remove: list[str], replace: dict[str, str], add: dict[str, list[str]], lines: Lines
) -> None:
    try:
        declared = Headers(answer=Edits(remove=remove, set=replace, add=add))
    except ValueError:
        return
    framed = [(b"content-length", b"2"), *lines]
    made = answer(lines=list(framed))
    live = declared.live(ENVIRONMENT)
    assert live.answer_head is not None
    live.answer_head(request(), made)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(b"HTTP/1.1 200 OK\r\n" + block(made.lines) + b"\r\nok")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    assert [(bytes(name), bytes(value)) for name, value in head.headers] == made.lines
    assert (b"content-length", b"2") in made.lines
    assert isinstance(client.next_event(), h11.Data)
    assert isinstance(client.next_event(), h11.EndOfMessage)
