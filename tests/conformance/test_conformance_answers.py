"""Answers that have to be read before the client gets them: checked models, and ``after`` hooks."""

import pytest

from conformance import Answers, Case, Freed, Gets, HangsUp, Leaves, Logs, Says, Sees, get, json_answer, request
from conformance_stage import Stage

ASK = (Says(get(b"/account")), Sees(b"GET /account HTTP/1.1", has=(b"accept-encoding: identity",)))
WRONG = (b'{"id": "x"}', b"[]", b"<html>", b"", b"\xff\xfe", b"null", b'{"id": 1e999}')
ERRORS = (401, 403, 404, 409, 422, 500, 503)
FOUND = json_answer(b'{"id": 5}', b'etag: "1"')

CASES: dict[str, Case] = {
    "a model filters what the client gets": (
        *ASK,
        Answers(json_answer(b'{"id": 5, "hashed_password": "x"}', b'etag: "1"', b"digest: x", b"location: /account/5")),
        Gets(
            200,
            b'{"id":5}',
            has=(b"location: /account/5", b"content-type: application/json", b"content-length: 8", b'etag: W/"1"'),
            lacks=(b"digest",),
        ),
    ),
    "an answer that the model leaves as it is keeps all that is said of it": (
        *ASK,
        Answers(json_answer(b'{"id":5}', b'etag: "1"', b"content-digest: x", kind=b"application/vnd.api+json; a=b")),
        Gets(
            200,
            b'{"id":5}',
            has=(
                b'etag: "1"',
                b"content-digest: x",
                b"content-type: application/vnd.api+json; a=b",
                b"content-length: 8",
            ),
        ),
    ),
    "one that it writes anew keeps its kind of JSON": (
        *ASK,
        Answers(json_answer(b'{"id": 5}', b'etag: W/"1"', kind=b"application/vnd.api+json; charset=utf-8")),
        Gets(200, b'{"id":5}', has=(b'etag: W/"1"', b"content-type: application/vnd.api+json", b"content-length: 8")),
    ),
}
CASES.update(
    {
        f"{status} is not what was declared, and passes as it is": (
            *ASK,
            Answers(json_answer(b'{"job": 5}', b'etag: "1"', status=b"%d X" % status)),
            Gets(status, b'{"job": 5}', has=(b'etag: "1"',)),
        )
        for status in (201, 202, 203)
    }
)
CASES.update(
    {
        f"an answer that misses its model: {content!r}": (
            *ASK,
            Answers(json_answer(content)),
            Gets(502, code="upstream_contract"),
            Logs(" 502 ", "code=upstream_contract"),
        )
        for content in WRONG
    }
)
CASES.update(
    {
        f"a service's own {status} passes as it is": (
            *ASK,
            Answers(json_answer(b'{"detail": "its words"}', b"x-more: 1", b'etag: "1"', status=b"%d X" % status)),
            Gets(status, b'{"detail": "its words"}', has=(b"x-more: 1", b'etag: "1"')),
        )
        for status in ERRORS
    }
)
CASES.update(
    {
        "an answer in parts": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n"),
            Answers(b'{"id"\r\n4\r\n: 5}\r\n'),
            Answers(b"0\r\n\r\n"),
            Gets(200, b'{"id":5}'),
        ),
        "an answer that is too large to hold, with its length": (
            *ASK,
            Answers(json_answer(b'{"id": 1, "name": "' + b"x" * 100 + b'"}')),
            Gets(502, code="upstream_too_large"),
        ),
        "an answer that is too large to hold, chunked": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + (b"32\r\n" + b"x" * 50 + b"\r\n") * 3),
            Gets(502, code="upstream_too_large"),
            Freed(),
        ),
        "an answer encoded against our wish": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nhalf"),
            Gets(502, code="upstream_contract"),
            Freed(),
        ),
        "204 of a checked route": (
            *ASK,
            Answers(b"HTTP/1.1 204 No Content\r\n\r\n"),
            Gets(204, b""),
        ),
        "304 of a checked route": (
            *ASK,
            Answers(b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n'),
            Gets(304, b"", has=(b'etag: W/"1"',)),
        ),
        "304 keeps the tag that the client has got": (
            Says(get(b"/account", b'If-None-Match: W/"2", "1"')),
            Sees(b"GET /account HTTP/1.1", has=(b'if-none-match: W/"2", "1"',)),
            Answers(b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n'),
            Gets(304, b"", has=(b'etag: "1"',)),
        ),
        "304 keeps a tag weak that the client has got so": (
            Says(get(b"/account", b'If-None-Match: W/"1"')),
            Sees(b"GET /account HTTP/1.1"),
            Answers(b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n'),
            Gets(304, b"", has=(b'etag: W/"1"',)),
        ),
        "HEAD of a checked route promises nothing about the content": (
            Says(request(b"HEAD /account")),
            Sees(b"HEAD /account HTTP/1.1"),
            Answers(b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\netag: "1"\r\n\r\n'),
            Gets(200, b"", head_only=True, has=(b'etag: W/"1"',), lacks=(b"content-length",)),
        ),
        "a held answer that is cut is 502": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" + b'{"id'),
            HangsUp(),
            Gets(502, code="upstream_closed"),
        ),
        "a client that leaves while its answer is held": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" + b'{"id'),
            Leaves(),
            Freed(),
            Logs(" 499 ", "code=client_closed"),
        ),
    }
)
for _path in (b"/greet", b"/greet-later"):
    CASES[f"a hook replaces the answer of {_path.decode()}"] = (
        Says(request(b"POST " + _path)),
        Sees(),
        Answers(json_answer(b'{"id": 5}', b'etag: "1"', status=b"201 Created")),
        Gets(201, b'{"text":"hello 5"}', has=(b"content-type: application/json",), lacks=(b"etag",)),
        Says(request(b"POST " + _path)),
        Sees(connections=1),
        Answers(json_answer(b'{"detail": "no"}', status=b"409 Conflict")),
        Gets(409, b'{"detail": "no"}'),
    )
CASES["a hook that gives nothing where nothing is promised"] = (
    Says(request(b"DELETE /account")),
    Sees(),
    Answers(json_answer(b'{"id": 5}', b'etag: "1"')),
    Gets(204, b"", lacks=(b"content-type", b"content-length", b"etag", b"transfer-encoding")),
    Says(request(b"DELETE /account")),
    Sees(connections=1),
    Answers(json_answer(b'{"id": 0}')),
    Gets(500, code="hook_failed"),
)
for _path in (b"/broken", b"/broken-later"):
    CASES[f"the hook of {_path.decode()} fails, and says so in the log only"] = (
        Says(get(_path)),
        Sees(),
        Answers(FOUND),
        Gets(500, code="hook_failed", hides=b"secret"),
        Logs("the after hook of GET " + _path.decode() + " failed"),
        Logs(" 500 ", "code=hook_failed"),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_checked_answers(stage: Stage, case: Case) -> None:
    await stage.play(case)
