"""``Respond``: fixed answers, and which ones are refused."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from limen.exchange.policy import Environment, RouteFacts
from limen.http.replies import Reply
from limen.policies import Respond
from policy_requests import request

ENVIRONMENT = Environment(lambda: 0.0, lambda: 0.0, Random(0))


@pytest.mark.parametrize(
    ("declared", "status", "lines", "body"),
    [
        (Respond(200, "ok"), 200, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")], b"ok"),
        (
            Respond(200, "ü"),
            200,
            [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")],
            "ü".encode(),
        ),
        (Respond(200, ""), 200, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0")], b""),
        (Respond(200, b"\0"), 200, [(b"content-type", b"application/octet-stream"), (b"content-length", b"1")], b"\0"),
        (
            Respond(503, {"a": [1]}),
            503,
            [(b"content-type", b"application/json"), (b"content-length", b"9")],
            b'{"a":[1]}',
        ),
        (Respond(200, False), 200, [(b"content-type", b"application/json"), (b"content-length", b"5")], b"false"),
        (
            Respond(200, "<p>", media_type="text/html", headers={"X-A": "1"}),
            200,
            [(b"content-type", b"text/html"), (b"x-a", b"1"), (b"content-length", b"3")],
            b"<p>",
        ),
        (Respond(404), 404, [(b"content-length", b"0")], b""),
        (Respond(205), 205, [(b"content-length", b"0")], b""),
        (Respond(204, headers={"x-a": "1"}), 204, [(b"x-a", b"1")], b""),
    ],
)
def test_answers(declared: Respond, status: int, lines: list[tuple[bytes, bytes]], body: bytes) -> None:
    reply = declared.live(ENVIRONMENT).arrive(request())
    assert reply == Reply(status, [*lines, (b"x-request-id", b"r1")], body)
    assert declared.live(ENVIRONMENT).arrive(request()).headers is not reply.headers


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Respond(100), "status=100 is no status of a fixed answer"),
        (lambda: Respond(304), "status=304 is no status of a fixed answer"),
        (lambda: Respond(600), "status=600 is no status of a fixed answer"),
        (lambda: Respond(204, "x"), "status 204 has no content"),
        (lambda: Respond(200, media_type="text/html"), "is for content, and there is none"),
        (lambda: Respond(200, object()), "content of object is no text, no bytes, and cannot be JSON"),
        (lambda: Respond(200, float("nan")), "content of float is no text"),
        (lambda: Respond(200, "x", media_type="a\r\nb"), "the value of 'content-type' has line breaks"),
        (lambda: Respond(200, headers={"x y": "1"}), "'x y' is no name of a header"),
        (lambda: Respond(200, headers={"x": "1", "X": "1"}), "headers= has a name twice"),
        (lambda: Respond(200, "x", headers={"Content-Type": "a/b"}), "'content-type' is said by media_type="),
        (lambda: Respond(200, headers={"Content-Length": "1"}), "'Content-Length' frames the message"),
    ],
)
def test_invalid_fixed_answers_are_refused(made: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^Respond: .*{words}"):
        made()


def test_later_changes_of_the_content_do_not_show() -> None:
    content = {"a": 1}
    declared = Respond(200, content)
    content["a"] = 2
    assert declared.live(ENVIRONMENT).arrive(request()).body == b'{"a":1}'
    assert declared == Respond(200, {"a": 1})
    assert declared != Respond(200, content)


def test_a_fixed_answer_stands_on_public_routes_alone() -> None:
    assert list(Respond(200).check(RouteFacts("GET /a"))) == []
    assert list(Respond(200).check(RouteFacts("GET /a", public=False))) == [
        "Respond answers before the caller is known: the rule of GET /a would go unasked; say allow=anyone"
    ]
