"""Where a service's answer ends, and that nothing of it is left for the next one; and what the gateway answers itself.

RFC 9112, section 6.3: a connection whose answer was not read exactly is never used again.
"""

import pytest

from conformance import (
    OK,
    Answers,
    Case,
    Freed,
    Gets,
    HangsUp,
    Leaves,
    Logs,
    Reads,
    Says,
    Sees,
    Turns,
    answer,
    get,
    request,
)
from conformance_stage import Stage, Step

ASK: Case = (Says(get(b"/svc/x")), Sees(b"GET /svc/x HTTP/1.1"))
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
STRAY = answer(b"stray")
SMUGGLED = get(b"/svc/smuggled")
FRAMED = {
    "with its length": (b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
    "in chunks": (b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
}
BAD_CHUNKS = {
    "a size that is none": b"zz\r\n",
    "a signed size": b"+1\r\na\r\n",
    "a size beyond all bounds": b"f" * 20 + b"\r\n",
    "data that is too long": b"1\r\nab\r\n",
    "a bare LF": b"1\na\n",
}


def again(connections: int) -> Case:
    """Return the steps of one more exchange, by which the service has seen so many connections."""
    return (
        Says(get(b"/svc/next")),
        Sees(b"GET /svc/next HTTP/1.1", connections=connections),
        Answers(answer(b"next")),
        Gets(200, b"next"),
    )


def refusal(said: bytes, step: Step) -> Case:
    """Return a case of an answer of the gateway's own, whose request has content that is a request by itself."""
    return (Says(said), step, Turns(), *again(1))


CASES: dict[str, Case] = {
    f"D1 {count} interim answers": (
        *ASK,
        Answers(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * count + OK),
        Gets(200, b"ok", lacks=(b"link",)),
        *again(1),
    )
    for count in (1, 16)
}
CASES.update(
    {
        "D1 interim answers without end": (
            *ASK,
            Answers(b"HTTP/1.1 100 Continue\r\n\r\n" * 17),
            Gets(502, code="upstream_protocol"),
            Freed(),
            *again(2),
        ),
        "D1 an interim answer with content": (
            *ASK,
            Answers(b"HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\n\r\nHTTP/" + OK),
            Gets(502, code="upstream_protocol"),
            Freed(),
            *again(2),
        ),
        "D1 101 that was not asked for": (
            Says(get(b"/svc/x", b"Connection: Upgrade", b"Upgrade: websocket")),
            Sees(lacks=(b"upgrade", b"connection")),
            Answers(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
            Gets(502, code="upstream_protocol"),
            Freed(),
            *again(2),
        ),
        "D2 HEAD with content": (
            Says(request(b"HEAD /svc/x")),
            Sees(b"HEAD /svc/x HTTP/1.1"),
            Answers(answer(b"stray")),
            Gets(200, b"", head_only=True, has=(b"content-length: 5",)),
            *again(2),
        ),
        "D2 HEAD with chunks": (
            Says(request(b"HEAD /svc/x")),
            Sees(b"HEAD /svc/x HTTP/1.1"),
            Answers(CHUNKED + b"5\r\nstray\r\n0\r\n\r\n"),
            Gets(200, b"", head_only=True),
            *again(2),
        ),
        "D2 HEAD and an answer behind it": (
            Says(request(b"HEAD /svc/x")),
            Sees(b"HEAD /svc/x HTTP/1.1"),
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + STRAY),
            Gets(200, b"", head_only=True),
            *again(2),
        ),
        "D3 more than was announced": (*ASK, Answers(OK + b"x"), Gets(200, b"ok"), Freed(), *again(2)),
        "D3 an answer behind the last chunk": (
            *ASK,
            Answers(CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + STRAY),
            Gets(200, b"ok"),
            Freed(),
            *again(2),
        ),
        "D4 a close-delimited answer is framed anew": (
            *ASK,
            Answers(b"HTTP/1.0 200 OK\r\n\r\nto the"),
            Answers(b" end"),
            HangsUp(),
            Gets(200, b"to the end", has=(b"transfer-encoding: chunked",)),
            *again(2),
        ),
        "D4 a close-delimited answer of an empty service": (
            *ASK,
            Answers(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
            HangsUp(),
            Gets(200, b""),
            *again(2),
        ),
        "D5 an early answer before any of the content": (
            Says(request(b"POST /svc/x", b"Content-Length: 8")),
            Sees(body=None),
            Answers(answer(b"no", status=b"413 Content Too Large")),
            Gets(413, b"no"),
            Freed(),
            Says(SMUGGLED[:8]),
            *again(2),
        ),
        "D5 an early answer to chunks": (
            Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\n"),
            Sees(body=None),
            Reads(b"4\r\nhalf\r\n"),
            Answers(answer(b"no", status=b"403 Forbidden")),
            Gets(403, b"no"),
            Freed(),
            Says(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
            *again(2),
        ),
        "D6 bytes on an idle connection": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Answers(STRAY),
            Freed(),
            *again(2),
        ),
        "D6 one byte on an idle connection": (*ASK, Answers(OK), Gets(200, b"ok"), Answers(b"\n"), Freed(), *again(2)),
        "G5 405, framed by the connection's end": (
            Says(request(b"PUT /mine", b"Connection: close", b"Content-Length: 5") + b"hello" + SMUGGLED),
            Gets(405, closed=True),
            Turns(),
        ),
        "G6 a POST whose connection dies is sent once": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"POST /svc/x", body=b"once")),
            Sees(b"POST /svc/x HTTP/1.1", body=b"once", connections=1),
            HangsUp(reset=True),
            Gets(502, code="upstream_closed"),
            Turns(),
        ),
        "G6 a PATCH whose connection dies is sent once": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"PATCH /svc/x", body=b"once")),
            Sees(b"PATCH /svc/x HTTP/1.1", body=b"once", connections=1),
            HangsUp(),
            Gets(502, code="upstream_closed"),
            Turns(),
        ),
        "G6 a declared body goes twice at most, and whole": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"DELETE /svc/x")),
            Sees(b"DELETE /svc/x HTTP/1.1", connections=1),
            HangsUp(reset=True),
            Sees(b"DELETE /svc/x HTTP/1.1", connections=2),
            HangsUp(reset=True),
            Gets(502, code="upstream_closed"),
            Turns(),
        ),
        "G6 a stream of which something has gone is sent once": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"PUT /svc/x", b"Connection: close", b"Content-Length: 8") + b"half"),
            Sees(b"PUT /svc/x HTTP/1.1", body=None, connections=1),
            Reads(b"half"),
            HangsUp(reset=True),
            Gets(502, code="upstream_closed", closed=True),
            Turns(),
        ),
        "A4 a client that breaks off its content is no whole request": (
            Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\n"),
            Sees(body=None),
            Reads(b"4\r\nhalf\r\n"),
            Leaves(),
            Freed(),
            Logs(" 499 ", "code=client_closed"),
        ),
    }
)
CASES.update(
    {
        f"D2 {status.decode()} with {name}": (
            *ASK,
            Answers(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, line, said)),
            Gets(int(status[:3]), b"", lacks=(b"transfer-encoding",)),
            *again(2),
        )
        for status in (b"204 No Content", b"304 Not Modified")
        for name, line, said in (
            ("content", b"content-length: 5", b"stray"),
            ("chunks", b"transfer-encoding: chunked", b"5\r\nstray\r\n0\r\n\r\n"),
            ("an answer behind it", b"x-a: b", STRAY),
        )
    }
)
CASES.update(
    {
        f"D3 in the midst of an answer, {name}": (
            *ASK,
            Answers(CHUNKED + b"2\r\nok\r\n"),
            Turns(),
            Answers(said),
            Gets(200, cut=True),
            Freed(),
            Logs("code=upstream_protocol"),
        )
        for name, said in BAD_CHUNKS.items()
    }
)
OWN: dict[str, tuple[bytes, Step]] = {
    "401": (b"POST /items", Gets(401, code="token_missing")),
    "404": (b"POST /nothing", Gets(404, code="not_found")),
    "405": (b"POST /mine", Gets(405, code="method_not_allowed")),
    "422": (b"GET /public?limit=0", Gets(422, code="invalid_request")),
    "503": (b"POST /down/x", Gets(503, code="upstream_refused")),
    "307": (b"GET /mine/", Gets(307)),
    "204": (b"OPTIONS /mine", Gets(204)),
    "413": (b"PUT /upload", Gets(413, code="body_too_large")),
    "415": (b"POST /open-items", Gets(415, code="media_type")),
    "local": (b"PUT /local/raw", Gets(200, b"%d" % len(SMUGGLED))),
}
CASES.update(
    {
        f"G5 {name} discards content {framed}": refusal(request(start, line) + said, step)
        for name, (start, step) in OWN.items()
        for framed, (line, said) in FRAMED.items()
        if (name, framed) != ("413", "in chunks")  # the service has been asked before it is known how much will come
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_service(stage: Stage, case: Case) -> None:
    await stage.play(case)


# Not those that close: a client that goes on sending may be reset before it has read why.
OWN_CASES = {name: case for name, case in CASES.items() if name.startswith("G5") and "end" not in name}


@pytest.mark.parametrize("case", OWN_CASES.values(), ids=OWN_CASES)
async def test_local_replies_to_trickling_input(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=1)
