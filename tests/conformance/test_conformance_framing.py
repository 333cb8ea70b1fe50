"""Where a request ends: one request in is at most one request out, or a refusal that ends the connection.

RFC 9112, sections 2 to 7. What is refused here would be read differently by two servers in a row.
"""

import pytest

from conformance import OK, Answers, Case, Freed, Gets, On, Reads, Says, Sees, answer, get, request
from conformance_refusal import GoesOn, Refused, refused, served
from conformance_stage import Stage

CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
SMUGGLED = get(b"/svc/smuggled")


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a POST whose framing is what ``lines`` say."""
    return request(b"POST /svc/x", *lines) + body


DISGUISES = {
    "after": (b"Content-Length: 5", CHUNKED),
    "before": (CHUNKED, b"Content-Length: 5"),
    "zero": (b"Content-Length: 0", CHUNKED),
    "between": (b"Content-Length: 5", b"X: y", b"TRANSFER-ENCODING: Chunked"),
    "with a space before the colon": (b"Content-Length: 5", b"Transfer-Encoding : chunked"),
    "with a tab before the colon": (b"Content-Length: 5", b"Transfer-Encoding\t: chunked"),
    "with a vertical tab": (b"Content-Length: 5", b"Transfer-Encoding: \x0bchunked"),
    "quoted": (b"Content-Length: 5", b'Transfer-Encoding: "chunked"'),
    "misspelt": (b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
    "folded": (b"Content-Length: 5", b"Transfer-Encoding:\r\n chunked"),
    "in a list": (b"Content-Length: 5", b"Transfer-Encoding: chunked, identity"),
    "behind a bare CR": (b"Content-Length: 5", b"X: y\rTransfer-Encoding: chunked"),
    "behind a bare LF": (b"Content-Length: 5", b"X: y\nTransfer-Encoding: chunked"),
}
LENGTHS = (
    b"5, 5",
    b"5,5",
    b"5,6",
    b"+5",
    b"-5",
    b"5 5",
    b"0x5",
    b"5a",
    b"5.0",
    b"5_0",
    b"",
    b'"5"',
    b"\xd9\xa5",
    b"18446744073709551616",
    b"18446744073709551621",
    b"9" * 40,
)
CODINGS = (
    b"",
    b"gzip",
    b"identity",
    b"gzip, chunked",
    b"chunked, gzip",
    b"chunked, chunked",
    b"chunked;q=1",
    b"chunked,",
    b"chunke",
    b"chunked\x01",
)
CHUNK_LINES = {
    "0x3": b"0x3\r\nabc\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "a minus": b"-3\r\nabc\r\n",
    "a space before": b" 3\r\nabc\r\n",
    "an underscore": b"0_3\r\nabc\r\n",
    "letters": b"zz\r\nabc\r\n",
    "nothing": b"\r\nabc\r\n",
    "17 digits": b"10000000000000003\r\nabc\r\n",
    "40 digits": b"f" * 40 + b"\r\nabc\r\n",
    "a bare LF": b"3\nabc\r\n",
    "a bare CR": b"3\rabc\r\n",
    "data that is too long": b"3\r\nabcd\r\n",
    "data that ends with LF": b"3\r\nabc\n",
    "data that ends with CR and more": b"3\r\nabc\rX0\r\n\r\n",
    "a bare LF in an extension": b"3;x\nabc\r\n0\r\n\r\n",
    "a NUL in an extension": b"3;x=\0\r\nabc\r\n",
}
LINES = {
    "a bare CR in a value": b"X: a\rb",
    "a bare LF in a value": b"X: a\nb",
    "a line of its own by LF": b"X: a\nrequest-user-id: 1",
    "a NUL in a value": b"X: a\0b",
    "a NUL in a name": b"X\0: a",
    "a folded line": b"X: a\r\n b",
    "a line folded with a tab": b"X: a\r\n\tb",
    "a space before the colon": b"X : a",
    "no name": b": a",
    "no colon": b"X",
    "a space in a name": b"X Y: a",
    "a quote in a name": b'"X": a',
    "a bracket in a name": b"X(Y): a",
    "an @ in a name": b"X@Y: a",
    "a letter beyond ASCII in a name": b"X\xe9: a",
    "a control character in a value": b"X: a\x01b",
    "DEL in a value": b"X: a\x7fb",
    "an escape in a value": b"X: \x1b[2J",
}

CASES: dict[str, Case] = {
    f"A1 a length and chunks, {name}": refused(post(*lines, body=LAST + SMUGGLED)) for name, lines in DISGUISES.items()
}
CASES.update(
    {f"A2 the length {length!r}": refused(post(b"Content-Length: " + length, body=b"hello")) for length in LENGTHS}
)
CASES.update(
    {f"A3 the coding {coding!r}": refused(post(b"Transfer-Encoding: " + coding, body=LAST)) for coding in CODINGS}
)
CASES.update(
    {
        f"A4 a chunk with {name}": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says(b"2\r\nok\r\n"),
            Reads(b"2\r\nok\r\n"),
            Says(line),
            Refused(400),
            Freed(),
        )
        for name, line in CHUNK_LINES.items()
    }
)
CASES.update({f"A6 {name}": refused(get(b"/svc/x", line)) for name, line in LINES.items()})
CASES.update(
    {
        "A1 an underscore is no disguise": served(
            post(b"Content-Length: 5", b"Transfer_Encoding: chunked", body=b"hello"),
            body=b"hello",
            has=(b"content-length: 5",),
        ),
        "A2 two equal lengths": refused(post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
        "A2 two lengths": refused(post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
        "A2 leading zeros": served(
            post(b"Content-Length: 005", body=b"hello"), body=b"hello", has=(b"content-length: 5",)
        ),
        "A3 two codings": refused(post(CHUNKED, CHUNKED, body=LAST)),
        "A3 two codings, one empty": refused(post(CHUNKED, b"Transfer-Encoding:", body=LAST)),
        "A3 chunks in HTTP/1.0": refused(b"POST /svc/x HTTP/1.0\r\nHost: g\r\n" + CHUNKED + b"\r\n\r\n" + LAST),
        "A3 chunks in HTTP/1.0 that is kept": refused(
            b"POST /svc/x HTTP/1.0\r\nHost: g\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n\r\n" + LAST + SMUGGLED
        ),
        "A3 in any case": served(
            post(b"transfer-encoding: CHUNKED", body=b"2\r\nok\r\n" + LAST),
            body=b"ok",
            has=(b"transfer-encoding: chunked",),
        ),
        "A4 extensions are dropped": (
            Says(post(CHUNKED, body=b"2;x=y\r\nok\r\n0;z\r\n\r\n")),
            Sees(body=None),
            Reads(b"2\r\nok\r\n0\r\n\r\n"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A4 sizes are written anew": (
            Says(post(CHUNKED, body=b"000A\r\n0123456789\r\n00\r\n\r\n")),
            Sees(body=None),
            Reads(b"a\r\n0123456789\r\n0\r\n\r\n"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A4 a long extension": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says(b"1;" + b"x" * 70000 + b"\r\na\r\n"),
            Refused(400, 413, 431),
            Freed(),
        ),
        "A4 many extensions": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says((b"1;" + b"x" * 100 + b"\r\na\r\n") * 2000),
            Refused(400, 413, 431),
            Freed(),
        ),
        "A5 trailers without end": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says(b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 20000),
            Refused(400, 413, 431),
            Freed(),
        ),
        "A5 a long trailer": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says(b"2\r\nok\r\n0\r\nx: " + b"y" * 70000),
            Refused(400, 413, 431),
            Freed(),
        ),
        "A5 trailers that would change the head": served(
            post(CHUNKED, body=b"2\r\nok\r\n0\r\nHost: evil\r\nExpect: more\r\nTE: x\r\n\r\n"), body=b"ok"
        ),
        "A5 a trailer that would end the connection": (
            Says(post(CHUNKED, body=b"2\r\nok\r\n0\r\nConnection: close\r\n\r\n")),
            Sees(body=b"ok"),
            Answers(OK),
            Gets(200, b"ok"),
            GoesOn(),
        ),
        "A5 a trailer is no header, though it comes with the head": (
            Says(post(CHUNKED, body=b"2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n")),
            Sees(lacks=(b"x-trailer",), body=b"ok"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A5 a trailer is no token, though it comes with the head": (
            Says(request(b"POST /items", CHUNKED) + b"2\r\n{}\r\n0\r\nAuthorization: Bearer a.b.c\r\n\r\n"),
            Gets(401, code="token_missing"),
        ),
        "A5 trailers that would frame": (
            Says(post(CHUNKED)),
            Sees(body=None),
            Says(b"2\r\nok\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Refused(400),
            Freed(),
        ),
        "A6 lines that end with LF": refused(b"GET /svc/x HTTP/1.1\nHost: g\n\n"),
        "A6 one line that ends with LF": refused(b"GET /svc/x HTTP/1.1\r\nHost: g\nX: y\r\n\r\n"),
        "A6 a head that ends with LF": refused(b"GET /svc/x HTTP/1.1\r\nHost: g\r\n\n" + SMUGGLED),
        "A6 a request line that ends with CR": refused(b"GET /svc/x HTTP/1.1\rHost: g\r\n\r\n"),
        "A6 a first line that is folded": refused(b"GET /svc/x HTTP/1.1\r\n X: y\r\nHost: g\r\n\r\n"),
        "A6 an empty line before the request is passed over": served(
            b"\r\n" + get(b"/svc/x"), start=b"GET /svc/x HTTP/1.1"
        ),
        "A6 values keep what is within and lose what is before": served(
            get(b"/svc/x", b"X-A:  \t a \t b"), has=(b"x-a: a \t b",)
        ),
    }
)
CASES.update(
    {
        f"A9 a body on {method.decode()}, {name}": (
            Says(request(method + b" /svc/x", line) + said),
            Sees(method + b" /svc/x HTTP/1.1", body=SMUGGLED),
            Answers(answer(b"")),
            Gets(200, b"", head_only=method == b"HEAD"),
            Says(get(b"/svc/next")),
            Sees(b"GET /svc/next HTTP/1.1"),
            Answers(answer(b"next")),
            Gets(200, b"next"),
        )
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
        for name, line, said in (
            ("with its length", b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
            ("in chunks", CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        )
    }
)
UPGRADE = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ")
CASES.update(
    {
        "A10 the head is written anew": served(
            b"GET /svc/x?a=%41 HTTP/1.1\r\nHOST: g\r\naCCept:text/plain\r\nX-A:1\r\nx-a:\t2\r\n\r\n",
            start=b"GET /svc/x?a=%41 HTTP/1.1",
            has=(b"accept: text/plain", b"x-a: 1", b"x-a: 2"),
        ),
        "A11 nothing is served after a refusal": refused(get(b"/svc/x", b"X : y") + SMUGGLED),
        "A11 nothing is served after HTTP/1.0": (
            Says(b"GET /svc/x HTTP/1.0\r\n\r\n" + SMUGGLED),
            Sees(b"GET /svc/x HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok", closed=True),
        ),
        "A11 nothing is served after a close, content included": (
            Says(request(b"POST /svc/x", b"Connection: close", body=b"hello") + SMUGGLED),
            Sees(b"POST /svc/x HTTP/1.1", body=b"hello"),
            Answers(OK),
            Gets(200, b"ok", closed=True),
        ),
        "A12 an answer before the content that was asked for": (
            Says(post(b"Content-Length: 4", b"Expect: 100-continue")),
            Sees(body=None),
            Gets(100),
            Answers(answer(b"no", status=b"403 Forbidden")),
            Gets(403, b"no"),
            Freed(),
            Says(b"body" + get(b"/svc/next")),
            Sees(b"GET /svc/next HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A12 a refusal before the content, which comes all the same": (
            Says(request(b"POST /mine", b"Content-Length: 4", b"Expect: 100-continue")),
            Gets(405, code="method_not_allowed"),
            Says(b"body" + get(b"/svc/next")),
            Sees(b"GET /svc/next HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A12 content that does not wait": (
            Says(post(b"Content-Length: 4", b"Expect: 100-continue", body=b"body")),
            Sees(body=b"body"),
            Answers(OK),
            On("asgi", "uvicorn asks for content that has come", Gets(100)),
            Gets(200, b"ok"),
        ),
        "A12 the expectation of HTTP/1.0 is passed over": (
            Says(b"POST /svc/x HTTP/1.0\r\nHost: g\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody"),
            Sees(body=b"body"),
            Answers(OK),
            Gets(200, b"ok", closed=True),
        ),
        "A13 h2c with content": served(post(*UPGRADE, b"Content-Length: 4", body=b"body"), body=b"body"),
        "A13 h2c with content in parts": served(post(*UPGRADE, b"Content-Length: 4", body=b"bo"), b"dy", body=b"body"),
        "A13 h2c with chunks": served(post(*UPGRADE, CHUNKED, body=b"4\r\nbody\r\n0\r\n\r\n"), body=b"body"),
        "A13 what follows an upgrade is a request and no tunnel": (
            Says(get(b"/svc/1", *UPGRADE) + get(b"/mine")),
            Sees(b"GET /svc/1 HTTP/1.1", lacks=(b"upgrade", b"http2-settings", b"connection")),
            Answers(OK),
            Gets(200, b"ok"),
            Gets(401, code="token_missing"),
        ),
        "A13 a WebSocket where there is none": (
            Says(
                get(
                    b"/svc/x",
                    b"Connection: Upgrade",
                    b"Upgrade: websocket",
                    b"Sec-WebSocket-Version: 13",
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                )
            ),
            Sees(b"GET /svc/x HTTP/1.1", lacks=(b"upgrade", b"connection")),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "A13 CONNECT": refused(b"CONNECT g:443 HTTP/1.1\r\nHost: g:443\r\n\r\n" + SMUGGLED, statuses=(501,)),
        "A13 CONNECT with a path": refused(request(b"CONNECT /svc/x") + SMUGGLED, statuses=(501,)),
        "A13 TRACE": (Says(request(b"TRACE /svc/x", b"Connection: close")), Refused(501)),
        **{
            f"A13 {start.decode()}, which nobody knows": (Says(request(start, b"Connection: close")), Refused(501))
            for start in (
                b"BREW /svc/x",
                b"get /svc/x",
                b"GETX /svc/x",
                b"GE /svc/x",
                b"BREW /nothing",
                b"SETUP /svc/x",
            )
        },
        **{
            f"A13 {start.decode()}, which no route has": (
                Says(request(start, b"Content-Length: 2", b"Connection: close") + b"ab"),
                Gets(501, code="not_implemented", lacks=(b"allow",), closed=True),
            )
            for start in (b"PROPFIND /svc/x", b"PURGE /mine", b"MKCOL /nothing", b"LINK /local/ping")
        },
        **{
            f"A13 no method at all, {begins!r}": refused(
                begins + b" /svc/x HTTP/1.1\r\nHost: g\r\n\r\n", statuses=(400,)
            )
            for begins in (b"(x)", b"GE(", b"G\tET", b"\x16\x03\x01", b"GET\r\n", b" GET", b"G\x80T")
        },
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_framing(stage: Stage, case: Case) -> None:
    await stage.play(case)


# Where the gateway closes the connection, a client that goes on sending may be reset before it has read why. And chunks
# that come in pieces go on in pieces: there is nothing certain to read.
KEPT = {
    name: case
    for name, case in CASES.items()
    if not any(isinstance(step, Refused | Reads) or (isinstance(step, Gets) and step.closed) for step in case)
}


@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT)
async def test_framing_of_trickling_input(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=1)
