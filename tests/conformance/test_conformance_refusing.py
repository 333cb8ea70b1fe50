"""What the gateway itself says: one kind of document, the right status, and nothing reaches the service."""

from time import time

import pytest

from conformance import OK, Answers, Case, Gets, Logs, Says, Sees, Turns, get, request
from conformance_gateway import AUTH
from conformance_stage import Stage
from limen.auth.jwt_live import issue

ADMIN = b"Authorization: Bearer " + issue(AUTH, 1, "admin", time()).encode()
USER = b"Authorization: Bearer " + issue(AUTH, 7, "default", time()).encode()
JSON = b"Content-Type: application/json"
NAMED = b'{"name": "x"}'
INVALID = b'Bearer error="insufficient_scope"'


def served(*said: bytes, has: tuple[bytes, ...] = (), lacks: tuple[bytes, ...] = (), body: bytes = b"") -> Case:
    """Return a case that gets through."""
    return (Says(*said), Sees(has=has, lacks=(b"authorization", *lacks), body=body), Answers(OK), Gets(200, b"ok"))


def item(body: bytes, *lines: bytes) -> Says:
    """Return the declared body as a client sends it."""
    return Says(request(b"POST /items", USER, *lines, body=body))


CASES: dict[str, Case] = {
    "a refusal is a problem document": (
        Says(get(b"/mine", b"X-Request-Id: r-1")),
        Gets(
            401,
            has=(b"www-authenticate: Bearer", b"x-request-id: r-1"),
            members={
                "type": "about:blank",
                "title": "Unauthorized",
                "status": 401,
                "detail": "Auth token is missing in headers.",
                "code": "token_missing",
                "request_id": "r-1",
            },
        ),
        Logs("/mine 401 ", "request_id=r-1", "code=token_missing"),
    ),
    "two tokens are none": (Says(get(b"/mine", USER, USER)), Gets(401)),
    "the wrong role": (
        Says(get(b"/admin/1", USER)),
        Gets(
            403,
            code="forbidden",
            detail="You are not allowed to access this scope.",
            has=(b"www-authenticate: " + INVALID,),
        ),
    ),
    "the right role": served(get(b"/admin/1", ADMIN), has=(b"request-user-id: 1", b"request-user-role: admin")),
    "the owner": served(get(b"/users/7", USER), has=(b"request-user-id: 7", b"request-user-role: default")),
    "not the owner": (Says(get(b"/users/9", USER)), Gets(403, code="forbidden")),
    "not the owner, but an admin": served(get(b"/users/9", ADMIN), has=(b"request-user-id: 1",)),
    "signed in": served(get(b"/mine", USER), has=(b"request-user-id: 7",)),
    "signed in, and claiming to be another": served(
        get(b"/mine", USER, b"Request-User-Id: 1", b"Request_User_Id: 1", b"Request-User-Role: admin"),
        has=(b"request-user-id: 7", b"request-user-role: default"),
        lacks=(b"request_user",),
    ),
    "anyone, and a token": served(get(b"/public", USER), lacks=(b"request-user",)),
    "authentication comes before validation": (
        Says(get(b"/admin/x")),
        Gets(401, code="token_missing"),
        Says(get(b"/admin/x", USER)),
        Gets(403, code="forbidden"),
        Says(get(b"/admin/x", ADMIN)),
        Gets(422, code="invalid_request"),
        Says(request(b"POST /items", body=b"{")),
        Gets(401, code="token_missing"),
    ),
    "an invalid query is named and never echoed": (
        Says(get(b"/public?limit=s3cret")),
        Gets(422, code="invalid_request", hides=b"s3cret"),
        Says(get(b"/public?limit=0")),
        Gets(422, code="invalid_request"),
    ),
    "a valid query passes byte for byte": (
        Says(get(b"/public?limit=%31&other=%C3%BC")),
        Sees(b"GET /public?limit=%31&other=%C3%BC HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok"),
    ),
    "an invalid header": (
        item(NAMED, JSON, b"X-Tag: toolong"),
        Gets(422, code="invalid_request", hides=b"toolong"),
    ),
    "a body of another type": (item(NAMED, b"Content-Type: text/plain"), Gets(415, code="media_type")),
    "a body of no type": (item(NAMED), Gets(415, code="media_type")),
    "a body that is too large": (
        item(b'{"name": "' + b"x" * 100 + b'"}', JSON),
        Gets(413, code="body_too_large"),
        Turns(),
    ),
    "a chunked body that is too large": (
        Says(
            request(b"POST /items", USER, JSON, b"Connection: close", b"Transfer-Encoding: chunked"),
            b"40\r\n" + b"x" * 64 + b"\r\n",
            b"40\r\n" + b"x" * 64 + b"\r\n0\r\n\r\n",
        ),
        Gets(413, code="body_too_large", closed=True),
    ),
    "a chunked body that fits": served(
        request(b"POST /items", USER, JSON, b"Transfer-Encoding: chunked"),
        b'8\r\n{"name":\r\n4\r\n"x"}\r\n0\r\n\r\n',
        has=(b"content-length: 12",),
        lacks=(b"transfer-encoding",),
        body=b'{"name":"x"}',
    ),
    "a declared body is sent on as it came": served(
        request(b"POST /items", USER, JSON, body=b' {"name":\t"\\u0061\xc3\xa9"} '),
        body=b' {"name":\t"\\u0061\xc3\xa9"} ',
    ),
    "a name that comes twice in a declared body": (
        Says(request(b"POST /items", USER, JSON, body=b'{"name": "a", "name": "b"}')),
        Gets(422, code="invalid_request"),
    ),
    "JSON of another kind": served(
        request(b"POST /items", USER, b"Content-Type: application/vnd.api+json; charset=utf-8", body=NAMED),
        body=NAMED,
    ),
    "nothing there": (Says(get(b"/nothing")), Gets(404, code="not_found")),
    "another method": (
        Says(request(b"DELETE /public")),
        Gets(405, code="method_not_allowed", has=(b"allow: GET, HEAD, OPTIONS",)),
    ),
    "OPTIONS": (Says(request(b"OPTIONS /items")), Gets(204, b"", has=(b"allow: OPTIONS, POST",))),
    "a slash too many": (
        Says(get(b"/public/?limit=2")),
        Gets(307, b"", has=(b"location: /public?limit=2",)),
    ),
    "a query with raw bytes": (Says(get(b"/public?limit=\xc3\xa9", b"Connection: close")), Gets(400, closed=True)),
    "a local endpoint that is not there": (Says(get(b"/local/none")), Gets(404, code="not_found")),
    "a local endpoint validates as ever": (
        Says(request(b"POST /local/echo", JSON, body=b'{"name": 7}')),
        Gets(422, code="invalid_request"),
        Says(request(b"POST /local/echo", JSON, body=NAMED)),
        Gets(200, b'{"name":"x","size":1}'),
    ),
    "the documents are served": (Says(get(b"/openapi.json")), Gets(200), Says(get(b"/docs")), Gets(200)),
}
CASES.update(
    {
        f"a body that misses its model: {body[:30]!r}": (item(body, JSON), Gets(422, code="invalid_request"))
        for body in (
            b'{"name": ',
            b"[]",
            b'{"name": 1}',
            b'{"name": "x", "nome": "y"}',
            b'{"name": "\\ud800"}',
            b'{"name": "\xff"}',
            b'{"name": "x", "size": 1e400}',
            b'{"name": "x", "size": "' + b"9" * 60 + b'e"}',
            b"null",
        )
    }
)
CASES["no body where one is declared"] = (item(b"", JSON), Gets(422, code="invalid_request"))
CASES.update(
    {
        f"an ambiguous path: {target!r}": (Says(get(target, b"Connection: close")), Gets(400, closed=True))
        for target in (
            b"/public/../admin/1",
            b"/public/%2e%2e/admin/1",
            b"//public",
            b"/public%00",
            b"/public\\x",
            b"/public%zz",
            b"/%ff",
        )
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_refusing(stage: Stage, case: Case) -> None:
    await stage.play(case)


# Where the gateway closes the connection, a client that goes on sending may be reset before it has read why.
KEPT = {name: case for name, case in CASES.items() if not any(isinstance(s, Gets) and s.closed for s in case)}


@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT)
async def test_refusing_of_trickling_input(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=7)
