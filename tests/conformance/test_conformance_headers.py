"""Which header lines cross the gateway, in both directions, and which of them nobody outside can bring about or remove.

RFC 9110, sections 5 to 7. The service believes what the gateway says of the caller: that belief is what is tested here.
"""

from time import time

import pytest

from conformance import OK, Answers, Case, Freed, Gets, Says, Sees, answer, get, request
from conformance_gateway import AUTH
from conformance_refusal import Checks, SeesHost, dated
from conformance_stage import Stage
from limen.auth.jwt_live import issue

TOKEN = b"Authorization: Bearer " + issue(AUTH, 7, "default", time()).encode()
OWN = (
    b"request-user-id: 7",
    b"request-user-role: default",
    b"via: 1.1 limen",
    b"x-forwarded-for: 127.0.0.1",
    b"x-forwarded-proto: http",
    b"x-forwarded-host: g",
    b"x-request-id: r-1",
)
NOMINATIONS = {
    "the caller": b"request-user-id, request-user-role",
    "the token": b"authorization",
    "the host": b"host",
    "where it comes from": b"via, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-request-id",
    "in capitals": b"REQUEST-USER-ID, Via",
    "among empty entries": b",, request-user-id ,\t,via",
    "close": b"keep-alive, request-user-id",
}
SPELLINGS = (
    b"Request-User-Id",
    b"request-user-id",
    b"REQUEST-USER-ID",
    b"Request_User_Id",
    b"REQUEST_USER_ID",
    b"request-user_id",
    b"request_user-id",
    b"Request-User-Role",
    b"request_user_role",
)
VALUES = (b"caf\xe9", "café".encode(), b"\xff\xfe", b"a\tb", b'"quoted, with; all"', b"%0d%0aX: y", b"\\r\\nX: y", b"")
PLAIN: Case = (Says(get(b"/svc/x")), Sees())


def claims(spelling: bytes) -> tuple[bytes, ...]:
    """Return the lines by which a client says who it is, each twice, around an honest one."""
    return (spelling + b": 1", b"X-A: b", spelling + b": 2")


CASES: dict[str, Case] = {
    f"B1 Connection cannot remove {name}": (
        Says(get(b"/mine", TOKEN, b"X-Request-Id: r-1", b"Connection: " + value)),
        Sees(b"GET /mine HTTP/1.1", has=OWN, lacks=(b"authorization", b"connection")),
        Answers(OK),
        Gets(200, b"ok", has=(b"x-request-id: r-1",)),
    )
    for name, value in NOMINATIONS.items()
}
CASES.update(
    {
        f"B2 {spelling.decode()} of a client, {where}": (
            Says(get(target, *lines, *claims(spelling))),
            Sees(has=(*has, b"x-a: b"), lacks=(*lacks, b"request_user", b"request-user_", b"request_user-")),
            Answers(OK),
            Gets(200, b"ok"),
        )
        for spelling in SPELLINGS
        for where, target, lines, has, lacks in (
            ("forwarded", b"/svc/x", (), (), (b"request-user",)),
            ("declared for anyone", b"/public", (), (), (b"request-user",)),
            ("anyone, with a token", b"/public", (TOKEN,), (), (b"request-user",)),
            ("signed in", b"/mine", (TOKEN,), OWN[:2], ()),
        )
    }
)
CASES.update(
    {
        f"B7 the value {value!r} passes to the service": (
            Says(get(b"/svc/x", b"X-A: " + value)),
            Sees(has=(b"x-a: " + value,)),
            Answers(OK),
            Gets(200, b"ok"),
        )
        for value in VALUES
    }
)
CASES.update(
    {
        f"B7 the value {value!r} passes to the client": (
            *PLAIN,
            Answers(answer(b"ok", b"x-a: " + value)),
            Gets(200, b"ok", has=(b"x-a: " + value,)),
        )
        for value in VALUES
    }
)
CASES.update(
    {
        f"B7 an answer with {name} in a value is no answer": (
            *PLAIN,
            Answers(b"HTTP/1.1 200 OK\r\nx-a: " + value + b"\r\ncontent-length: 0\r\n\r\n"),
            Gets(502, code="upstream_protocol", lacks=(b"set-cookie",)),
            Freed(),
        )
        for name, value in {
            "a bare CR": b"a\rset-cookie: b",
            "a bare LF": b"a\n b",
            "a NUL": b"a\0b",
            "a fold": b"a\r\n b",
        }.items()
    }
)
CASES.update(
    {
        "B1 Connection cannot remove the length": (
            Says(request(b"POST /svc/x", b"Connection: content-length, transfer-encoding", body=b"body")),
            Sees(has=(b"content-length: 4",), body=b"body"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B1 Connection cannot remove the coding": (
            Says(
                request(
                    b"POST /svc/x", b"Connection: content-length, transfer-encoding", b"Transfer-Encoding: chunked"
                ),
                b"2\r\nok\r\n0\r\n\r\n",
            ),
            Sees(has=(b"transfer-encoding: chunked",), body=b"ok"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B1 a nominated cookie is of the hop": (
            Says(get(b"/svc/x", b"Connection: cookie", b"Cookie: a=1")),
            Sees(lacks=(b"cookie",)),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B1 a nominated token is checked all the same": (
            Says(get(b"/mine", b"Connection: authorization")),
            Gets(401, code="token_missing"),
            Says(get(b"/mine", b"Connection: authorization", b"Authorization: Bearer a.b.c")),
            Gets(401, code="token_corrupted"),
        ),
        "B1 two lines of Connection": (
            Says(get(b"/svc/x", b"Connection: x-a", b"X-A: 1", b"Connection: x-b", b"X-B: 2", b"X-C: 3")),
            Sees(has=(b"x-c: 3",), lacks=(b"x-a", b"x-b")),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B1 a service cannot remove what is the gateway's": (
            *PLAIN,
            Answers(answer(b"body", b"connection: date, x-request-id, content-length, x-a", b"x-a: 1", b"x-b: 2")),
            Checks((200,), lambda got: got.body == b"body" and dated(got) and len(got.header(b"x-request-id")) == 1),
            Says(get(b"/svc/next")),
            Sees(),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B1 a service's headers of the hop": (
            *PLAIN,
            Answers(
                answer(
                    b"ok",
                    b"connection: keep-alive, x-a",
                    b"x-a: 1",
                    b"keep-alive: timeout=9",
                    b"proxy-authenticate: Basic",
                    b"proxy-connection: keep-alive",
                    b"te: trailers",
                    b"trailer: x",
                    b"upgrade: h2c",
                )
            ),
            Gets(
                200,
                b"ok",
                lacks=(
                    b"x-a",
                    b"connection",
                    b"keep-alive",
                    b"proxy-authenticate",
                    b"proxy-connection",
                    b"te",
                    b"trailer",
                    b"upgrade",
                ),
            ),
        ),
        "B3 nobody is trusted": (
            Says(
                get(
                    b"/svc/x",
                    b"Forwarded: for=1.2.3.4;host=evil",
                    b"X-Forwarded-For: 1.2.3.4",
                    b"X-Forwarded-For: 5.6.7.8",
                    b"X-Forwarded-Port: 1",
                    b"X-Forwarded-Prefix: /evil",
                    b"X-Forwarded-Server: evil",
                    b"X_Forwarded_For: 1.2.3.4",
                    b"X-Real-IP: 1.2.3.4",
                )
            ),
            Sees(
                has=(b"x-forwarded-for: 127.0.0.1", b"x-forwarded-host: g", b"x-forwarded-proto: http"),
                lacks=(
                    b"forwarded",
                    b"x-forwarded-port",
                    b"x-forwarded-prefix",
                    b"x-forwarded-server",
                    b"x_forwarded",
                    b"x-real-ip",
                ),
            ),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B4 Via names the gateway, once": (
            Says(get(b"/svc/x", b"Via: 1.1 elsewhere", b"Via: 1.0 other")),
            Sees(has=(b"via: 1.1 limen",)),
            Answers(answer(b"ok", b"via: 1.1 cache")),
            Gets(200, b"ok", has=(b"via: 1.1 cache",)),
        ),
        "B5 the service's own host, whatever the client says": (
            Says(get(b"/svc/x").replace(b"Host: g", b"Host: evil.example:1")),
            SeesHost(b"GET /svc/x HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "B6 no jar keeps cookies": (
            *PLAIN,
            Answers(answer(b"ok", b"set-cookie: session=one; Path=/", b"Set-Cookie: b=2")),
            Checks((200,), lambda got: got.header(b"set-cookie") == [b"session=one; Path=/", b"b=2"]),
            Says(get(b"/svc/y")),
            Sees(lacks=(b"cookie",), connections=1),
            Answers(OK),
            Gets(200, b"ok", lacks=(b"set-cookie",)),
        ),
        "B6 no redirect is followed": (
            *PLAIN,
            Answers(answer(b"", b"location: http://127.0.0.1:1/secret", status=b"302 Found")),
            Gets(302, b"", has=(b"location: http://127.0.0.1:1/secret",)),
        ),
        "B6 nothing is decompressed, and nothing asked for": (
            Says(get(b"/svc/x")),
            Sees(lacks=(b"accept-encoding", b"user-agent", b"accept")),
            Answers(answer(b"\x1f\x8bnot gzip", b"content-encoding: gzip")),
            Gets(200, b"\x1f\x8bnot gzip", has=(b"content-encoding: gzip",)),
        ),
        "B6 repeated lines stay repeated and in order": (
            *PLAIN,
            Answers(answer(b"ok", b"x-a: 1", b"link: </b>", b"x-a: 2", b"x-a: 1", b"x-a: 0")),
            Checks((200,), lambda got: got.header(b"x-a") == [b"1", b"2", b"1", b"0"]),
        ),
        "B7 a redirect of ours cannot be split": (
            Says(get(b"/public/?limit=1%0d%0aset-cookie:%20a=b")),
            Gets(307, b"", has=(b"location: /public?limit=1%0d%0aset-cookie:%20a=b",), lacks=(b"set-cookie",)),
        ),
        "B7 a rewritten path cannot be split": (
            Says(get(b"/old/a%0d%0aX:%20y", b"Connection: close")),
            Gets(400, code="bad_path", closed=True),
        ),
        "B8 one date, no software: passed on": (
            *PLAIN,
            Answers(answer(b"ok", b"date: Thu, 01 Jan 1970 00:00:00 GMT", b"server: secret/1.0")),
            Checks((200,), dated),
        ),
        "B8 one date, no software: refused": (Says(get(b"/mine")), Checks((401,), dated)),
        "B8 one date, no software: nothing there": (Says(get(b"/nothing")), Checks((404,), dated)),
        "F4 what 401 and 403 say": (
            Says(get(b"/mine")),
            Gets(401, code="token_missing", has=(b"www-authenticate: Bearer",)),
            Says(get(b"/mine", b"Authorization: Bearer a.b.c")),
            Gets(401, code="token_corrupted", has=(b'www-authenticate: Bearer error="invalid_token"',), hides=b"a.b.c"),
            Says(get(b"/admin/1", TOKEN)),
            Gets(
                403,
                code="forbidden",
                has=(b'www-authenticate: Bearer error="insufficient_scope"',),
                hides=TOKEN.rpartition(b" ")[2],
            ),
            Says(get(b"/public")),
            Sees(),
            Answers(answer(b"its own", b"www-authenticate: Basic", status=b"401 Unauthorized")),
            Gets(401, b"its own", has=(b"www-authenticate: Basic",)),
        ),
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_headers(stage: Stage, case: Case) -> None:
    await stage.play(case)
