"""What reaches the service, and what comes back, byte for byte."""

import pytest

from conformance import OK, Answers, Case, Gets, HangsUp, Says, Sees, answer, get, request
from conformance_stage import Stage

TARGETS = (
    b"/svc/a",
    b"/svc/a%20b/%C3%A9",
    b"/svc/a%2Fb",
    b"/svc/~user;v=1/x,y",
    b"/svc/a?b=1&b=2&c=&d&=e",
    b"/svc/a?q=%26%3D+%2B%20&%C3%BC=%E2%82%AC",
    b"/svc/a?next=/x?y=z",
    b"/svc/",
)

CASES: dict[str, Case] = {
    f"target {target.decode()}": (
        Says(get(target)),
        Sees(b"GET " + target + b" HTTP/1.1"),
        Answers(OK),
        Gets(200, b"ok"),
    )
    for target in TARGETS
}
CASES.update(
    {
        "rewrite puts raw parameters in and keeps the query": (
            Says(get(b"/old/a%2Fb/c?x=1")),
            Sees(b"GET /v2/a%2Fb/c?x=1 HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "useful headers pass and those of the hop do not": (
            Says(
                get(
                    b"/svc/a",
                    b"Accept: text/plain",
                    b"Accept-Language: fr",
                    b"Cookie: a=1",
                    b"Cookie: b=2",
                    b"Connection: x-mine, keep-alive",
                    b"X-Mine: 1",
                    b"Keep-Alive: timeout=5",
                    b"TE: trailers",
                    b"Proxy-Authorization: Basic eDp5",
                    b"Authorization: Basic eDp5",
                    b"Upgrade: websocket",
                )
            ),
            Sees(
                has=(b"accept: text/plain", b"accept-language: fr", b"cookie: a=1", b"cookie: b=2"),
                lacks=(
                    b"x-mine",
                    b"keep-alive",
                    b"te:",
                    b"proxy-authorization",
                    b"upgrade",
                    b"connection",
                    b"authorization",
                ),
            ),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a client cannot say where a request comes from, nor who sends it": (
            Says(
                get(
                    b"/svc/a",
                    b"X-Forwarded-For: 1.2.3.4",
                    b"X-Forwarded-Proto: https",
                    b"X-Forwarded-Host: evil",
                    b"X-Real-IP: 1.2.3.4",
                    b"Forwarded: for=1.2.3.4",
                    b"Request-User-Id: 1",
                    b"Request_User_Id: 1",
                    b"Request-User-Role: admin",
                    b"X-Request-Id: from-client-1",
                )
            ),
            Sees(
                has=(
                    b"x-forwarded-for: 127.0.0.1",
                    b"x-forwarded-proto: http",
                    b"x-forwarded-host: g",
                    b"x-request-id: from-client-1",
                    b"via: 1.1 limen",
                ),
                lacks=(b"forwarded", b"x-real-ip", b"request-user", b"request_user"),
            ),
            Answers(OK),
            Gets(200, b"ok", has=(b"x-request-id: from-client-1",)),
        ),
        "a request id that could forge a log line is replaced": (
            Says(get(b"/svc/a", b"X-Request-Id: a b")),
            Sees(lacks=(b"x-request-id: a b",)),
            Answers(OK),
            Gets(200, lacks=(b"server",)),
        ),
        "the answer passes as it is without the headers of the hop": (
            Says(get(b"/svc/pot")),
            Sees(),
            Answers(
                answer(
                    b"short",
                    b"content-type: text/plain",
                    b"set-cookie: a=1",
                    b"set-cookie: b=2",
                    b"connection: x-hop",
                    b"x-hop: 1",
                    b"keep-alive: timeout=9",
                    b"server: secret/1.0",
                    b'etag: "x"',
                    status=b"418 Teapot",
                )
            ),
            Gets(
                418,
                b"short",
                has=(b"content-type: text/plain", b"set-cookie: a=1", b"set-cookie: b=2", b'etag: "x"'),
                lacks=(b"x-hop", b"keep-alive", b"server", b"connection"),
            ),
        ),
        "HEAD has the headers of GET and no body": (
            Says(request(b"HEAD /svc/x")),
            Sees(b"HEAD /svc/x HTTP/1.1"),
            Answers(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
            Gets(200, b"", head_only=True, has=(b"content-length: 1000",)),
            Says(request(b"HEAD /svc/y")),
            Sees(b"HEAD /svc/y HTTP/1.1", connections=1),
            Answers(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            Gets(200, b"", head_only=True),
            Says(get(b"/svc/z")),
            Sees(connections=1),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a chunked answer reaches the client whole": (
            Says(get(b"/svc/x")),
            Sees(),
            Answers(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Answers(b"2\r\nde\r\n0\r\n\r\n"),
            Gets(200, b"abcde", lacks=(b"content-length",)),
        ),
        "an answer without any length ends with the service's connection": (
            Says(get(b"/svc/x")),
            Sees(),
            Answers(b"HTTP/1.1 200 OK\r\n\r\nall of it"),
            HangsUp(),
            Gets(200, b"all of it"),
        ),
        "trailers never become headers": (
            Says(get(b"/svc/x")),
            Sees(),
            Answers(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie\r\n\r\n"
                b"3\r\nabc\r\n0\r\nset-cookie: evil=1\r\n\r\n"
            ),
            Gets(200, b"abc", lacks=(b"set-cookie", b"trailer")),
        ),
        "a client's trailers never become headers": (
            Says(
                request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nrequest-user-id: 1\r\n\r\n"
            ),
            Sees(lacks=(b"request-user-id",), body=b"abc"),
            Answers(OK),
            Gets(200, b"ok"),
            Says(get(b"/svc/y")),
            Sees(lacks=(b"request-user-id",)),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "interim answers are not passed on": (
            Says(get(b"/svc/x")),
            Sees(),
            Answers(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
            Answers(OK),
            Gets(200, b"ok", lacks=(b"link",)),
        ),
        "connections to the service are kept and used again": tuple(
            step
            for number in range(5)
            for step in (
                Says(get(b"/svc/%d" % number)),
                Sees(b"GET /svc/%d HTTP/1.1" % number, connections=1),
                Answers(OK),
                Gets(200, b"ok"),
            )
        ),
    }
)

for _status in (b"204 No Content", b"304 Not Modified"):
    CASES[f"{_status.decode()} stays without content"] = (
        Says(get(b"/svc/x")),
        Sees(),
        Answers(b"HTTP/1.1 " + _status + b'\r\netag: "1"\r\n\r\n'),
        Gets(int(_status[:3]), b"", has=(b'etag: "1"',), lacks=(b"transfer-encoding",)),
        Says(get(b"/svc/y")),
        Sees(connections=1),
        Answers(OK),
        Gets(200, b"ok"),
    )
CASES["a 204 with a length is mended"] = (
    Says(get(b"/svc/x")),
    Sees(),
    Answers(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"),
    Gets(204, b""),
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_passing_on(stage: Stage, case: Case) -> None:
    await stage.play(case)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_passing_on_of_trickling_input(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=1)
