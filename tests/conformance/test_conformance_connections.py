"""The client's connection: kept, closed, pipelined upon, of an older version; and whose turn it is on it."""

import pytest

from conformance import OK, Answers, Case, Freed, Gets, Leaves, Logs, Says, Sees, Turns, answer, get, request
from conformance_stage import Stage

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
OLD = b"GET /svc/x HTTP/1.0\r\n\r\n"

CASES: dict[str, Case] = {
    "pipelined: gateway, local, gateway": (
        Says(get(b"/svc/1") + get(b"/local/ping") + get(b"/svc/2")),
        Sees(b"GET /svc/1 HTTP/1.1"),
        Turns(),
        Answers(answer(b"one")),
        Gets(200, b"one"),
        Gets(200, b'"pong"'),
        Sees(b"GET /svc/2 HTTP/1.1"),
        Answers(answer(b"two")),
        Gets(200, b"two"),
    ),
    "pipelined: local, gateway, local": (
        Says(get(b"/local/ping") + get(b"/svc/1") + get(b"/local/ping")),
        Gets(200, b'"pong"'),
        Sees(b"GET /svc/1 HTTP/1.1"),
        Answers(answer(b"one")),
        Gets(200, b"one"),
        Gets(200, b'"pong"'),
    ),
    "pipelined: bodies stay with their requests": (
        Says(
            request(b"POST /svc/1", body=b"first")
            + request(b"POST /local/raw", body=b"x").replace(b"POST", b"PUT", 1)
            + request(b"POST /svc/2", b"Transfer-Encoding: chunked")
            + b"6\r\nsecond\r\n0\r\n\r\n"
            + get(b"/svc/3")
        ),
        Sees(b"POST /svc/1 HTTP/1.1", body=b"first"),
        Answers(answer(b"one")),
        Gets(200, b"one"),
        Gets(200, b"1"),
        Sees(b"POST /svc/2 HTTP/1.1", body=b"second"),
        Answers(answer(b"two")),
        Gets(200, b"two"),
        Sees(b"GET /svc/3 HTTP/1.1"),
        Answers(answer(b"three")),
        Gets(200, b"three"),
    ),
    "pipelined: refusals keep their place": (
        Says(get(b"/svc/1") + get(b"/mine") + get(b"/nothing") + get(b"/svc/2")),
        Sees(b"GET /svc/1 HTTP/1.1"),
        Answers(answer(b"one")),
        Gets(200, b"one"),
        Gets(401, code="token_missing"),
        Gets(404, code="not_found"),
        Sees(b"GET /svc/2 HTTP/1.1"),
        Answers(answer(b"two")),
        Gets(200, b"two"),
    ),
    "pipelined: nothing is served after Connection: close": (
        Says(get(b"/svc/1", b"Connection: close") + get(b"/svc/2")),
        Sees(b"GET /svc/1 HTTP/1.1"),
        Answers(answer(b"one")),
        Gets(200, b"one", closed=True),
    ),
    "pipelined: a client that leaves ends those in line": (
        Says(get(b"/svc/1") + get(b"/svc/2")),
        Sees(b"GET /svc/1 HTTP/1.1"),
        Leaves(),
        Logs("/svc/1 499 "),
        Logs("/svc/2 499 "),
        Freed(),
    ),
    "pipelined: 100 refusals": (
        Says(get(b"/mine") * 100),
        *[Gets(401, code="token_missing")] * 100,
    ),
    "pipelined: 50 requests for the service": (
        Says(b"".join(get(b"/svc/%d" % number) for number in range(50))),
        *(
            step
            for number in range(50)
            for step in (
                Sees(b"GET /svc/%d HTTP/1.1" % number, connections=1),
                Answers(answer(b"%d" % number)),
                Gets(200, b"%d" % number),
            )
        ),
    ),
    "keep-alive is the default": (
        Says(get(b"/svc/x")),
        Sees(),
        Answers(OK),
        Gets(200, b"ok", lacks=(b"connection", b"keep-alive")),
    ),
    "Connection: close": (
        Says(get(b"/svc/x", b"Connection: close")),
        Sees(),
        Answers(OK),
        Gets(200, b"ok", has=(b"connection: close",), closed=True),
    ),
    "Connection: close, chunked": (
        Says(get(b"/svc/x", b"Connection: close")),
        Sees(),
        Answers(CHUNKED),
        Gets(200, b"abc", has=(b"connection: close", b"transfer-encoding: chunked"), closed=True),
    ),
    "Connection: close, refused": (
        Says(get(b"/mine", b"Connection: close")),
        Gets(401, code="token_missing", has=(b"connection: close",), closed=True),
    ),
    "the service's Connection: close is its own": (
        Says(get(b"/svc/x")),
        Sees(),
        Answers(answer(b"ok", b"connection: close")),
        Gets(200, b"ok", lacks=(b"connection",)),
        Says(get(b"/svc/y")),
        Sees(connections=2),
        Answers(OK),
        Gets(200, b"ok"),
    ),
    "HTTP/1.0": (
        Says(OLD),
        Sees(b"GET /svc/x HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok", has=(b"connection: close",), closed=True),
    ),
    "HTTP/1.0 gets no chunks": (
        Says(OLD),
        Sees(b"GET /svc/x HTTP/1.1"),
        Answers(CHUNKED),
        Gets(200, b"abc", has=(b"connection: close",), lacks=(b"transfer-encoding",), closed=True),
    ),
    "HTTP/1.0 that is refused": (
        Says(b"GET /mine HTTP/1.0\r\n\r\n"),
        Gets(401, code="token_missing", closed=True),
    ),
    "HTTP/1.0 HEAD": (
        Says(b"HEAD /svc/x HTTP/1.0\r\n\r\n"),
        Sees(b"HEAD /svc/x HTTP/1.1"),
        Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        Gets(200, b"", head_only=True, has=(b"content-length: 9",), closed=True),
    ),
    "HEAD that is refused": (
        Says(request(b"HEAD /mine")),
        Gets(401, b"", head_only=True, has=(b"content-type: application/problem+json",)),
    ),
    "no HTTP at all": (
        Says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        Gets(400, closed=True),
    ),
    "no HTTP after a good request": (
        Says(get(b"/svc/x")),
        Sees(),
        Answers(OK),
        Gets(200, b"ok"),
        Says(b"nonsense\r\n\r\n"),
        Gets(400, closed=True),
    ),
    "two lengths": (
        Says(request(b"POST /svc/x", b"Content-Length: 1", b"Content-Length: 2") + b"ab"),
        Gets(400, closed=True),
    ),
    "a length and chunks": (
        Says(request(b"POST /svc/x", b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
        Gets(400, closed=True),
    ),
    "a client that leaves before it asks": (
        Says(b""),
        Leaves(),
    ),
    "a client that leaves in its head": (
        Says(b"GET /svc/x HTTP/1.1\r\nhos"),
        Leaves(),
    ),
    "an upgrade that nobody makes": (
        Says(get(b"/svc/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ")),
        Sees(b"GET /svc/x HTTP/1.1", lacks=(b"upgrade", b"http2-settings", b"connection")),
        Answers(OK),
        Gets(200, b"ok"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_connections(stage: Stage, case: Case) -> None:
    await stage.play(case)


# Where the gateway closes the connection, a client that goes on sending may be reset before it has read why.
KEPT = {name: case for name, case in CASES.items() if not any(isinstance(s, Gets) and s.closed for s in case)}


@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT)
async def test_connections_on_which_bytes_trickle_in(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=1)
