"""Requests and answers as policies see them, made by hand."""

from limen.exchange.answer import Answer, Source
from limen.exchange.request import Request
from limen.http.headers import Head, Headers


def request(
    path: bytes = b"/",
    query: bytes | None = None,
    *,
    method: bytes = b"GET",
    route: str = "-",
    lines: Headers | None = None,
) -> Request:
    """Return a request from 192.0.2.1, with the id ``r1``."""
    made = Request(
        method,
        path,
        query,
        Head(lines or []),
        request_id="r1",
        peer=b"192.0.2.1",
        client=b"192.0.2.1",
        scheme=b"http",
        host=b"shop.example",
        origin=b"",
    )
    made.route = route
    return made


def answer(status: int = 200, lines: Headers | None = None, source: Source = "upstream") -> Answer:
    """Return the head of an answer."""
    return Answer(status, lines or [], None, source)
