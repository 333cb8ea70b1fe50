"""Paths and queries: matcher, rule and service see the same one. What could be read as another path is refused.

The gateway has no normal form of its own: a path that needs one to be understood is not passed on.
"""

from time import time

import pytest

from conformance import OK, Answers, Case, Gets, Says, Sees, answer, get, request
from conformance_gateway import AUTH
from conformance_refusal import Checks
from conformance_stage import Stage
from limen.auth.jwt_live import issue

ADMIN = b"Authorization: Bearer " + issue(AUTH, 1, "admin", time()).encode()

AMBIGUOUS = (
    b"/svc/../mine",
    b"/svc/./x",
    b"/svc/..",
    b"/svc/.",
    b"/svc/%2e%2e/mine",
    b"/svc/%2E./mine",
    b"/svc/.%2e/mine",
    b"/svc/..;/mine",
    b"/svc/..;v=1/mine",
    b"/svc/%2e%2e;/mine",
    b"/svc/..%3b/mine",
    b"/svc/..%2fmine",
    b"/svc/x%2f..%2f..%2fmine",
    b"/svc/%252e%252e/mine",
    b"/svc/..%252fmine",
    b"/svc/%25%32%65%25%32%65/mine",
    b"/svc/%5c..%5cmine",
    b"/svc/..\\mine",
    b"/svc\\..\\mine",
    b"/svc/a%5Cb",
    b"/svc//mine",
    b"//mine",
    b"//evil.example/mine",
    b"/svc/x//",
    b"/svc/x%00",
    b"/svc/x%0a",
    b"/svc/x%0d%0aX:%20y",
    b"/svc/x%7f",
    b"/svc/x%1b",
    b"/svc/%c0%ae%c0%ae/mine",
    b"/svc/%e0%80%ae/mine",
    b"/svc/%c0%af",
    b"/svc/%ff",
    b"/svc/%ed%a0%80",
    b"/svc/%f4%90%80%80",
    b"/svc/%",
    b"/svc/%2",
    b"/svc/%zz",
    b"/svc/%u002e",
)
DATA = (
    b"/svc/a%2Fb",
    b"/svc/a%2fb",
    b"/svc/a;v=1",
    b"/svc/;a",
    b"/svc/a,b=c:d@e!$&'()*+",
    b"/svc/a%3Fb%23c",
    b"/svc/...",
    b"/svc/..a",
    b"/svc/a..",
    b"/svc/.hidden",
    b"/svc/%20",
    b"/svc/%E2%82%AC",
    b"/svc/%41%5A",
    b"/svc/%c3%bc",
    b"/svc/x/",
)
QUERIES = (
    b"?a",
    b"?a=",
    b"?a=1&a=2&b=&a=1",
    b"?&&a=1&",
    b"?a+b=c+d%20e",
    b"?a=%2f..%2f%00%0d%0a",
    b"?a=b?c=d/../e//f",
    b"?%ff=%c0%ae",
    b"?a=;b=c;",
    b"?[a]={b}|c",
)


def passes(target: bytes, *lines: bytes) -> Case:
    """Return a case of a target that reaches the service byte for byte."""
    return (
        Says(get(target, *lines)),
        Sees(b"GET " + target + b" HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok"),
    )


CASES: dict[str, Case] = {
    f"C2 ambiguous: {path.decode('latin-1')}": (
        Says(get(path, b"Connection: close")),
        Gets(400, code="bad_path", closed=True),
    )
    for path in AMBIGUOUS
}
CASES.update(
    {
        f"C2 ambiguous, asked with a token that may: {path.decode('latin-1')}": (
            Says(get(path, ADMIN, b"Connection: close")),
            Gets(400, code="bad_path", closed=True),
        )
        for path in AMBIGUOUS[:12]
    }
)
CASES.update({f"C1 data: {path.decode()}": passes(path) for path in DATA})
CASES.update({f"C4 query: {query.decode()}": passes(b"/svc/x" + query) for query in QUERIES})
CASES.update(
    {
        "C1 a rewrite is all that changes a path": (
            Says(get(b"/old/a%2Fb/%7E;x/?q=%7E")),
            Sees(b"GET /v2/a%2Fb/%7E;x/?q=%7E HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "C2 an encoded letter is the letter": (Says(get(b"/%6dine")), Gets(401, code="token_missing")),
        "C2 an encoded letter in a guarded literal": (Says(get(b"/a%64min/1")), Gets(401, code="token_missing")),
        "C2 an encoded letter is passed on as it came": passes(b"/%61dmin/1", ADMIN),
        "C2 a parameter of the path is part of its segment": (Says(get(b"/mine;v=1")), Gets(404, code="not_found")),
        "C2 an encoded slash ends no segment": (Says(get(b"/admin%2f1")), Gets(404, code="not_found")),
        "C2 an encoded slash at the end is no slash": (Says(get(b"/mine%2f")), Gets(404, code="not_found")),
        "C2 an encoded question mark begins no query": (Says(get(b"/mine%3fa=b")), Gets(404, code="not_found")),
        "C2 no header overrides the target": (
            Says(
                get(
                    b"/mine",
                    b"X-Original-URL: /svc/x",
                    b"X-Rewrite-URL: /svc/x",
                    b"X-HTTP-Method-Override: POST",
                    b"X-Forwarded-Prefix: /svc",
                )
            ),
            Gets(401, code="token_missing"),
        ),
        "C2 an encoded slash in a number is refused": (
            Says(get(b"/admin/1%2f2", ADMIN)),
            Gets(422, code="invalid_request"),
        ),
        "C3 case is significant": (Says(get(b"/MINE")), Gets(404, code="not_found")),
        "C3 a slash too few": (
            Says(get(b"/svc")),
            Gets(307, b"", has=(b"location: /svc/",)),
        ),
        "C3 a slash too many": (Says(get(b"/mine/?a=b")), Gets(307, b"", has=(b"location: /mine?a=b",))),
        "C3 a redirect stays on the host": (
            Says(get(b"/mine/?next=//evil.example", b"Connection: close").replace(b"Host: g", b"Host: evil.example")),
            Gets(307, b"", has=(b"location: /mine?next=//evil.example",), closed=True),
        ),
        "C4 an empty query": (
            Says(get(b"/svc/x?")),
            Sees(),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "C4 raw bytes in a query": (
            Says(get(b"/svc/x?a=\xc3\xa9", b"Connection: close")),
            Gets(400, closed=True),
        ),
        "C5 what is not there": (
            Says(get(b"/nothing")),
            Checks((404,), lambda got: b"svc" not in got.body and b"127.0.0.1" not in got.body),
        ),
        "C5 another method": (
            Says(request(b"PUT /mine")),
            Gets(405, code="method_not_allowed", has=(b"allow: GET, HEAD, OPTIONS",), hides=b"svc"),
        ),
        "C5 HEAD is guarded as GET is": (
            Says(request(b"HEAD /mine")),
            Gets(401, head_only=True),
            Says(request(b"HEAD /admin/1", ADMIN)),
            Sees(b"HEAD /admin/1 HTTP/1.1"),
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
            Gets(200, b"", head_only=True, has=(b"content-length: 5",)),
        ),
        "C5 OPTIONS answers": (
            Says(request(b"OPTIONS /mine")),
            Gets(204, b"", has=(b"allow: GET, HEAD, OPTIONS",)),
        ),
        "C5 OPTIONS of what is forwarded is the service's": (
            Says(request(b"OPTIONS /svc/x")),
            Sees(b"OPTIONS /svc/x HTTP/1.1"),
            Answers(answer(b"", b"allow: GET")),
            Gets(200, b"", has=(b"allow: GET",)),
        ),
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_paths(stage: Stage, case: Case) -> None:
    await stage.play(case)
