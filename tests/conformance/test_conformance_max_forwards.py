"""``Max-Forwards``: an OPTIONS request that may not be passed on is answered here; else the next one may pass it on once
less (RFC 9110 section 7.6.2). With it, what else of a target or a body reaches the service as it came, or not at all.
"""

import pytest

from conformance import OK, Answers, Case, Gets, Says, Sees, get, request
from conformance_stage import Stage

ALL = b"allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def passed(head: bytes, *, start: bytes, has: tuple[bytes, ...] = (), lacks: tuple[bytes, ...] = ()) -> Case:
    return (Says(head), Sees(start, has=has, lacks=lacks), Answers(OK), Gets(200, b"ok"))


def options(*values: bytes) -> bytes:
    return request(b"OPTIONS /svc/x", *(b"Max-Forwards: " + value for value in values))


CASES: dict[str, Case] = {
    "B9 none left is answered here": (Says(options(b"0")), Gets(204, b"", head_only=True, has=(ALL,))),
    "B9 none left, with zeros": (Says(options(b"000")), Gets(204, b"", head_only=True, has=(ALL,))),
    "B9 one left becomes none": passed(options(b"1"), start=b"OPTIONS /svc/x HTTP/1.1", has=(b"max-forwards: 0",)),
    "B9 ten become nine": passed(options(b"10"), start=b"OPTIONS /svc/x HTTP/1.1", has=(b"max-forwards: 9",)),
    "B9 more than a number holds": passed(
        options(b"9" * 5000), start=b"OPTIONS /svc/x HTTP/1.1", has=(b"max-forwards: 999999998",)
    ),
    "B9 what is no number": passed(options(b"-1"), start=b"OPTIONS /svc/x HTTP/1.1", has=(b"max-forwards: -1",)),
    "B9 not given": passed(options(), start=b"OPTIONS /svc/x HTTP/1.1", lacks=(b"max-forwards",)),
    "B9 content is discarded": (
        Says(request(b"OPTIONS /svc/x", b"Max-Forwards: 0", body=b"GET /smuggled") + get(b"/svc/y")),
        Gets(204, b"", head_only=True, has=(ALL,)),
        Sees(b"GET /svc/y HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok"),
    ),
    "B9 says nothing with other methods": passed(
        get(b"/svc/x", b"Max-Forwards: 0"), start=b"GET /svc/x HTTP/1.1", has=(b"max-forwards: 0",)
    ),
    "B9 is not looked at where TRACE is refused": (
        Says(request(b"TRACE /svc/x", b"Max-Forwards: 0")),
        Gets(501, code="not_implemented", closed=True),
    ),
    "C4 an empty query": passed(get(b"/svc/x?"), start=b"GET /svc/x? HTTP/1.1"),
    "C4 an empty query of a declared route": passed(get(b"/public?"), start=b"GET /public? HTTP/1.1"),
    "C4 a query that is a question mark": passed(get(b"/svc/x??"), start=b"GET /svc/x?? HTTP/1.1"),
    "C4 an empty query in absolute-form": passed(get(b"http://g/svc/x?"), start=b"GET /svc/x? HTTP/1.1"),
    "C4 an empty query behind a rewrite": passed(get(b"/old/x?"), start=b"GET /v2/x? HTTP/1.1"),
    "C4 an empty query survives a redirect": (
        Says(get(b"/public/?")),
        Gets(307, b"", has=(b"location: /public?",)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_max_forwards_and_empty_queries(stage: Stage, case: Case) -> None:
    await stage.play(case)
