"""Streamed bodies while connections are scarce: they have one once they are whole, or 64 KiB of them have come.

``/narrow`` has one connection, and one place in line. The first request of each case has the connection.
"""

import pytest

from conformance import (
    OK,
    Answers,
    Case,
    Gets,
    HangsUp,
    Leaves,
    Logs,
    On,
    Reads,
    Says,
    Sees,
    Turns,
    Waiting,
    get,
    request,
)
from conformance_stage import Stage, Step

HELD = 65536

TAKEN: Case = (Says(get(b"/narrow/1")), Sees(b"GET /narrow/1 HTTP/1.1"))
FREED: Case = (Answers(OK), Gets(200, b"ok"))
NOT_IN_LINE: Case = (Turns(), Waiting(0))
SERVED: Case = (Answers(OK), Gets(200, b"ok", by=1))


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a POST whose framing is among ``lines``."""
    return request(b"POST /narrow/2", *lines) + body


def sees(body: bytes | None, *lines: bytes) -> Step:
    return Sees(b"POST /narrow/2 HTTP/1.1", has=lines, body=body, connections=1)


WHY = "the reference engine lets go of a streamed body as it writes it"
CHUNKED = b"Transfer-Encoding: chunked"

CASES: dict[str, Case] = {
    "a body with a length waits for its end": (
        *TAKEN,
        Says(post(b"Content-Length: 5", body=b"abc"), by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"content-length: 5"),
        *SERVED,
    ),
    "a chunked body waits for its end": (
        *TAKEN,
        Says(post(CHUNKED, body=b"3\r\nabc\r\n"), by=1),
        *NOT_IN_LINE,
        Says(b"2\r\nde\r\n", by=1),
        *NOT_IN_LINE,
        Says(b"0\r\n\r\n", by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"transfer-encoding: chunked"),
        *SERVED,
    ),
    "an empty chunked body": (
        *TAKEN,
        Says(post(CHUNKED), by=1),
        *NOT_IN_LINE,
        Says(b"0\r\n\r\n", by=1),
        Waiting(1),
        *FREED,
        sees(b"", b"transfer-encoding: chunked"),
        *SERVED,
    ),
    "a body that comes with its head": (
        *TAKEN,
        Says(post(b"Content-Length: 5", body=b"abcde"), by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"content-length: 5"),
        *SERVED,
    ),
    "a chunked body that comes with its head": (
        *TAKEN,
        Says(post(CHUNKED, body=b"5\r\nabcde\r\n0\r\n\r\n"), by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"transfer-encoding: chunked"),
        *SERVED,
    ),
    "GET with a body": (
        *TAKEN,
        Says(request(b"GET /narrow/2", b"Content-Length: 5") + b"abc", by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        *FREED,
        Sees(b"GET /narrow/2 HTTP/1.1", has=(b"content-length: 5",), body=b"abcde"),
        *SERVED,
    ),
    "HEAD with a body": (
        *TAKEN,
        Says(request(b"HEAD /narrow/2", b"Content-Length: 5") + b"abc", by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        *FREED,
        Sees(b"HEAD /narrow/2 HTTP/1.1", has=(b"content-length: 5",), body=b"abcde"),
        Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"),
        Gets(200, head_only=True, by=1),
    ),
    "a client that speaks HTTP/1.0": (
        *TAKEN,
        Says(b"POST /narrow/2 HTTP/1.0\r\nHost: g\r\nContent-Length: 5\r\n\r\nabc", by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"content-length: 5"),
        Answers(OK),
        Gets(200, b"ok", closed=True, by=1),
    ),
    "a client that waits for 100 gets it, or its body would never come": (
        *TAKEN,
        Says(post(b"Content-Length: 4", b"Expect: 100-continue"), by=1),
        Gets(100, by=1),
        *NOT_IN_LINE,
        Says(b"body", by=1),
        Waiting(1),
        *FREED,
        Sees(b"POST /narrow/2 HTTP/1.1", lacks=(b"expect",), body=b"body"),
        *SERVED,
    ),
    "64 KiB need not wait for the rest": (
        *TAKEN,
        Says(post(b"Content-Length: %d" % (HELD + 4), body=bytes(HELD - 1)), by=1),
        *NOT_IN_LINE,
        Says(b"x", by=1),
        Waiting(1),
        *FREED,
        sees(None, b"content-length: %d" % (HELD + 4)),
        Reads(bytes(HELD - 1) + b"x"),
        Says(b"rest", by=1),
        Reads(b"rest"),
        *SERVED,
    ),
    "64 KiB are counted without what frames them": (
        *TAKEN,
        Says(post(CHUNKED, body=b"%x\r\n%b\r\n" % (HELD - 1, bytes(HELD - 1))), by=1),
        *NOT_IN_LINE,
        Says(b"1\r\nx\r\n", by=1),
        Waiting(1),
        *FREED,
        sees(None, b"transfer-encoding: chunked"),
        Says(b"0\r\n\r\n", by=1),
        Turns(),
        *SERVED,
    ),
    "when there is room again, the next bytes go": (
        *TAKEN,
        Says(post(b"Content-Length: 5", body=b"abc"), by=1),
        *NOT_IN_LINE,
        *FREED,
        Says(b"d", by=1),
        sees(None, b"content-length: 5"),
        Reads(b"abcd"),
        Says(b"e", by=1),
        Reads(b"e"),
        *SERVED,
    ),
    "the next request of that client comes behind": (
        *TAKEN,
        Says(post(b"Content-Length: 5", body=b"abc"), by=1),
        *NOT_IN_LINE,
        Says(b"de" + get(b"/narrow/3"), by=1),
        Waiting(1),
        *FREED,
        sees(b"abcde", b"content-length: 5"),
        *SERVED,
        Sees(b"GET /narrow/3 HTTP/1.1", connections=1),
        *SERVED,
    ),
    "a body that waits for its turn, and then for its end": (
        *TAKEN,
        Says(get(b"/svc/first") + post(b"Content-Length: 5", body=b"abc"), by=1),
        Sees(b"GET /svc/first HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok", by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        Leaves(),
        Sees(b"POST /narrow/2 HTTP/1.1", body=b"abcde"),
        *SERVED,
    ),
    "a client that leaves": (
        *TAKEN,
        Says(post(b"Content-Length: 5", body=b"abc"), by=1),
        *NOT_IN_LINE,
        Leaves(by=1),
        Logs("/narrow/2 499 ", "code=client_closed"),
        *FREED,
    ),
    "a body that cannot be read": (
        *TAKEN,
        Says(post(CHUNKED, body=b"3\r\nabc\r\n"), by=1),
        *NOT_IN_LINE,
        Says(b"no chunk\r\n", by=1),
        Gets(400, code="bad_body", closed=True, by=1),
        *FREED,
    ),
    "a full line refuses at once": (
        *TAKEN,
        Says(get(b"/narrow/in-line"), by=2),
        Waiting(1),
        Says(post(b"Connection: close", b"Content-Length: 5", body=b"abc"), by=1),
        Gets(503, code="pool_exhausted", closed=True, by=1),
        *FREED,
        Sees(b"GET /narrow/in-line HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok", by=2),
    ),
    "what has come whole can be sent once more": (
        *TAKEN,
        Says(request(b"PUT /narrow/2", b"Content-Length: 5") + b"abc", by=1),
        *NOT_IN_LINE,
        Says(b"de", by=1),
        Waiting(1),
        *FREED,
        Sees(b"PUT /narrow/2 HTTP/1.1", body=b"abcde", connections=1),
        HangsUp(),
        *(On("direct", WHY, step) for step in (Sees(b"PUT /narrow/2 HTTP/1.1", body=b"abcde", connections=2), *SERVED)),
        On("asgi", WHY, Gets(502, code="upstream_closed", by=1)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_bodies_while_connections_are_scarce(stage: Stage, case: Case) -> None:
    await stage.play(case)
