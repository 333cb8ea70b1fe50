"""Request bodies: how they are framed on, when they are asked for, and what an early answer leaves behind."""

import pytest

from conformance import OK, Answers, Case, Freed, Gets, HangsUp, Logs, Reads, Says, Sees, Turns, answer, get, request
from conformance_stage import Stage

CONTINUE = Gets(100)

CASES: dict[str, Case] = {
    f"{method.decode()} with a length": (
        Says(
            request(method + b" /svc/file", b"Content-Type: application/octet-stream", body=b"\x00\xffbytes"),
        ),
        Sees(
            method + b" /svc/file HTTP/1.1",
            has=(b"content-length: 7", b"content-type: application/octet-stream"),
            lacks=(b"transfer-encoding",),
            body=b"\x00\xffbytes",
        ),
        Answers(OK),
        Gets(200, b"ok"),
    )
    for method in (b"POST", b"PUT", b"PATCH", b"DELETE")
}
CASES.update(
    {
        "chunked stays chunked": (
            Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked"), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Sees(has=(b"transfer-encoding: chunked",), lacks=(b"content-length",), body=b"abcde"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "chunked, in one piece": (
            Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Sees(has=(b"transfer-encoding: chunked",), lacks=(b"content-length",), body=b"abcde"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a chunk reaches the service before the next is sent": (
            Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n"),
            Sees(body=None),
            Reads(b"3\r\nabc\r\n"),
            Says(b"2\r\nde\r\n"),
            Reads(b"2\r\nde\r\n"),
            Says(b"0\r\n\r\n"),
            Reads(b"0\r\n\r\n"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a piece reaches the service before the next is sent": (
            Says(request(b"POST /svc/x", b"Content-Length: 5") + b"abc"),
            Sees(body=None),
            Reads(b"abc"),
            Says(b"de"),
            Reads(b"de"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "POST without content has length 0": (
            Says(request(b"POST /svc/x", b"Content-Length: 0")),
            Sees(has=(b"content-length: 0",), lacks=(b"transfer-encoding",)),
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"POST /svc/y")),
            Sees(has=(b"content-length: 0",), lacks=(b"transfer-encoding",)),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "GET with a body": (
            Says(request(b"GET /svc/x", body=b"odd")),
            Sees(has=(b"content-length: 3",), body=b"odd"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "100-continue, streamed": (
            Says(request(b"POST /svc/x", b"Content-Length: 4", b"Expect: 100-continue")),
            Sees(body=None, lacks=(b"expect",)),
            CONTINUE,
            Says(b"body"),
            Reads(b"body"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "100-continue, declared": (
            Says(
                request(
                    b"POST /open-items",
                    b"Content-Type: application/json",
                    b"Content-Length: 12",
                    b"Expect: 100-Continue",
                )
            ),
            CONTINUE,
            Says(b'{"name":"a"}'),
            Sees(body=b'{"name":"a"}'),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "100-continue is not sent to a client that is refused": (
            Says(request(b"POST /items", b"Content-Length: 12", b"Expect: 100-continue", b"Connection: close")),
            Gets(401, code="token_missing", closed=True),
        ),
        "100-continue is not sent for a body that is too large": (
            Says(request(b"PUT /upload", b"Content-Length: 11", b"Expect: 100-continue", b"Connection: close")),
            Gets(413, code="body_too_large", closed=True),
        ),
        "only 100-continue may be expected": (
            Says(get(b"/public", b"Expect: more")),
            Gets(417, code="expectation_failed"),
        ),
        "a stream that outgrows its bound": (
            Says(request(b"PUT /upload", b"Connection: close", b"Transfer-Encoding: chunked"), b"5\r\nabcde\r\n"),
            Sees(b"PUT /upload HTTP/1.1", body=None),
            Says(b"6\r\nfghijk\r\n0\r\n\r\n"),
            Gets(413, code="body_too_large", closed=True),
            Freed(),
            Logs(" 413 ", "code=body_too_large"),
        ),
        "a length beyond its bound": (
            Says(request(b"PUT /upload", b"Connection: close", b"Content-Length: 11")),
            Gets(413, code="body_too_large", closed=True),
        ),
        "an early answer, and the service goes": (
            Says(request(b"POST /svc/x", b"Connection: close", b"Content-Length: 1000") + b"half"),
            Sees(body=None),
            Answers(answer(b"no", b"connection: close", status=b"403 Forbidden")),
            Gets(403, b"no", closed=True),
            Freed(),
        ),
        "an early answer, and the client goes on": (
            Says(request(b"POST /svc/x", b"Content-Length: 8") + b"half"),
            Sees(body=None),
            Reads(b"half"),
            Answers(answer(b"no", status=b"403 Forbidden")),
            Gets(403, b"no"),
            Freed(),
            Says(b"more"),
            Says(get(b"/svc/y")),
            Sees(b"GET /svc/y HTTP/1.1", connections=2),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "an early answer that comes in parts": (
            Says(request(b"POST /svc/x", b"Content-Length: 8") + b"half"),
            Sees(body=None),
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"),
            Turns(),
            Says(b"more"),
            Reads(b"halfmore"),
            Answers(b"cd"),
            Gets(200, b"abcd"),
        ),
        "a client that stops sending a streamed body": (
            Says(request(b"POST /quick/x", b"Content-Length: 8") + b"half"),
            Sees(body=None),
            Gets(408, code="request_timeout", closed=True),
            Freed(),
        ),
        "a client that stops sending a declared body": (
            Says(request(b"POST /open-items", b"Content-Type: application/json", b"Content-Length: 12") + b'{"name'),
            Gets(408, code="request_timeout", closed=True),
        ),
        "a service that hangs up on an upload": (
            Says(request(b"POST /svc/x", b"Connection: close", b"Content-Length: 1000") + b"half"),
            Sees(body=None),
            Reads(b"half"),
            HangsUp(reset=True),
            Gets(502, code="upstream_closed", closed=True),
        ),
        "a local endpoint reads a body": (
            Says(request(b"PUT /local/raw", b"Transfer-Encoding: chunked"), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Gets(200, b"5"),
            Says(request(b"PUT /local/raw", b"Content-Length: 4", b"Expect: 100-continue")),
            CONTINUE,
            Says(b"body"),
            Gets(200, b"4"),
        ),
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_request_bodies(stage: Stage, case: Case) -> None:
    await stage.play(case)
