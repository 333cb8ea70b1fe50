"""``Proxy-Status`` (RFC 9209) on local replies: of which faults, in which words, and to whom the target is named.

That it agrees with the problem document is checked on every problem of this suite, see ``conformance_answer``.
"""

from time import time

import pytest
from fastapi import FastAPI

from conformance import OK, Answers, Case, Gets, HangsUp, Logs, Says, Sees, answer, get, json_answer, request
from conformance_gateway import AUTH, DOWN
from conformance_stage import Stage
from engines import Engine
from limen import Gateway, ProxyStatus, Upstream, anyone, role, signed_in
from limen.auth.jwt_live import issue
from limen.http.proxy_status import FIELD
from limen.testing import Conversation, ScriptedUpstream
from serving import serving
from structured_fields import read_list

ADMIN = b"Authorization: Bearer " + issue(AUTH, 1, "admin", time()).encode()
USER = b"Authorization: Bearer " + issue(AUTH, 2, "default", time()).encode()
JSON = b"Content-Type: application/json"


def gets(status: int, error: bytes, *, closed: bool = False, code: str = "") -> Gets:
    """Return the step of a refusal that says ``error``, and nothing else."""
    return Gets(status, has=(b"proxy-status: limen; error=" + error,), closed=closed, code=code)


ASK: Case = (Says(get(b"/svc/x")), Sees())
HELD: Case = (Says(get(b"/account")), Sees(b"GET /account HTTP/1.1"))

CASES: dict[str, Case] = {
    # Before the head is in order; then nobody knows yet whose request it is.
    "a malformed head": (Says(b"GET / HTTP/1.1\r\nHost : g\r\n\r\n"), gets(400, b"http_request_error", closed=True)),
    "no host": (Says(b"GET / HTTP/1.1\r\n\r\n"), gets(400, b"http_request_error", closed=True)),
    "a long line": (Says(get(b"/" + b"x" * 9000)), gets(414, b"http_request_error", closed=True)),
    "a long head": (Says(get(b"/svc/x", b"a: " + b"x" * 40000)), gets(431, b"http_request_error", closed=True)),
    "another version": (
        Says(b"GET / HTTP/2.0\r\nHost: g\r\n\r\n"),
        gets(505, b"proxy_internal_response", closed=True),
    ),
    "a tunnel": (
        Says(b"CONNECT g:80 HTTP/1.1\r\nHost: g:80\r\n\r\n"),
        gets(501, b"proxy_internal_response", closed=True),
    ),
    "a broken chunk": (
        Says(request(b"POST /open-items", JSON, b"Transfer-Encoding: chunked") + b"x\r\n"),
        gets(400, b"http_request_error", closed=True),
    ),
    # Refused by the engine.
    "an ambiguous path": (Says(get(b"/svc/%2e%2e/x")), gets(400, b"http_request_error")),
    "another method": (Says(request(b"DELETE /mine")), gets(405, b"http_request_error")),
    "no token": (Says(get(b"/mine")), gets(401, b"http_request_error")),
    "the wrong role": (Says(get(b"/admin/1", USER)), gets(403, b"http_request_denied")),
    "a body that does not fit": (
        Says(request(b"POST /open-items", JSON, body=b"{}")),
        gets(422, b"http_request_error"),
    ),
    "a head alone": (
        Says(request(b"HEAD /mine")),
        Gets(401, b"", head_only=True, has=(b"proxy-status: limen; error=http_request_error",)),
    ),
    # The service's faults.
    "nobody listens": (
        Says(get(b"/down/x")),
        gets(503, b"connection_refused", code="upstream_refused"),
        Logs("code=upstream_refused", " upstream=down target=http://"),
    ),
    "garbage": (*ASK, Answers(b"SSH-2.0-x\r\n"), gets(502, b"http_protocol_error")),
    "a connection that ends": (*ASK, HangsUp(), gets(502, b"connection_terminated")),
    "silence": (Says(get(b"/quick/x")), Sees(), gets(504, b"http_response_timeout")),
    # Those that follow an answer say so, and its own members stay.
    "an answer that does not fit": (
        *HELD,
        Answers(json_answer(b"{}")),
        Gets(502, code="upstream_contract", has=(b"proxy-status: limen; received-status=200",)),
    ),
    "an answer that does not fit, of a service behind a proxy": (
        *HELD,
        Answers(json_answer(b"{}", b"proxy-status: cache; fwd=miss", b"Proxy-Status: mesh")),
        Gets(
            502,
            code="upstream_contract",
            has=(
                b"proxy-status: cache; fwd=miss",
                b"proxy-status: mesh",
                b"proxy-status: limen; received-status=200",
            ),
        ),
    ),
    "an answer that is encoded": (
        *HELD,
        Answers(json_answer(b"{}", b"content-encoding: gzip")),
        Gets(502, code="upstream_contract", has=(b"proxy-status: limen; received-status=200",)),
    ),
    "an answer that is too large": (
        *HELD,
        Answers(json_answer(b'{"id": 1, "name": "' + b"x" * 100 + b'"}')),
        Gets(502, has=(b"proxy-status: limen; error=http_response_body_size; received-status=200",)),
    ),
    "a held answer that is cut": (
        *HELD,
        Answers(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"),
        HangsUp(),
        Gets(502, has=(b"proxy-status: limen; error=connection_terminated; received-status=200",)),
    ),
    "a hook that raises": (
        Says(get(b"/broken")),
        Sees(),
        Answers(json_answer(b'{"id": 1}')),
        Gets(500, has=(b"proxy-status: limen; error=proxy_internal_error; received-status=200",)),
    ),
    # What is no fault of the gateway's has nothing of ours.
    "an answer": (*ASK, Answers(OK), Gets(200, b"ok", lacks=(FIELD,))),
    "an error of the service": (*ASK, Answers(answer(b"no", status=b"503 No")), Gets(503, b"no", lacks=(FIELD,))),
    "an answer of a service behind a proxy": (
        *ASK,
        Answers(answer(b"ok", b"proxy-status: mesh; error=dns_error")),
        Gets(200, b"ok", has=(b"proxy-status: mesh; error=dns_error",)),
    ),
    "a redirect": (Says(get(b"/mine/")), Gets(307, lacks=(FIELD,))),
    "OPTIONS": (Says(request(b"OPTIONS /mine")), Gets(204, lacks=(FIELD,))),
    "an unknown path, which FastAPI answers": (Says(get(b"/nowhere")), Gets(404, lacks=(FIELD,))),
    "an endpoint's own refusal": (
        Says(request(b"POST /local/echo", JSON, body=b"{}")),
        Gets(422, lacks=(FIELD,)),
    ),
    # Attempts and target, in the log.
    "one attempt": (
        *ASK,
        Answers(OK),
        Gets(200),
        Logs("GET /svc/x 200", " upstream=svc target=http://", " attempts=1 "),
    ),
    "two attempts": (
        *ASK,
        Answers(OK),
        Gets(200),
        Says(get(b"/svc/2")),
        Sees(),
        HangsUp(),
        Sees(),
        Answers(OK),
        Gets(200),
        Logs("GET /svc/2 200", " upstream=svc target=http://", " attempts=2 "),
    ),
    "no attempt": (Says(get(b"/mine")), Gets(401), Logs("GET /mine 401", " upstream=svc request_id=")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_proxy_status(stage: Stage, case: Case) -> None:
    await stage.play(case)


async def garbage(conversation: Conversation) -> None:
    """Answer what is no HTTP."""
    await conversation.head()
    await conversation.say(b"SSH-2.0-x\r\n")


@pytest.mark.parametrize(
    ("path", "credential", "told"),
    [
        (b"/closed", ADMIN, True),
        (b"/closed", USER, False),
        (b"/open", ADMIN, False),  # nobody is asked who calls
    ],
)
async def test_the_target_is_named_to_those_who_may_know_it(
    engine: Engine, path: bytes, credential: bytes, *, told: bool
) -> None:
    app = Gateway(auth=AUTH, proxy_status=ProxyStatus("Our Edge", next_hop=role("admin")))
    async with ScriptedUpstream(garbage) as upstream:
        service = Upstream("svc", [upstream.url])
        app.forward("/closed", upstream=service, allow=signed_in)
        app.forward("/open", upstream=service, allow=anyone)
        async with serving(app, engine) as served:
            got = await served.get(path, credential)
        hop = {"next-hop": upstream.url.removeprefix("http://")} if told else {}
    assert got.startswith(b"HTTP/1.1 502 "), got
    (line,) = [line for line in got.split(b"\r\n") if line.startswith(FIELD)]
    assert read_list(line.partition(b":")[2]) == [("Our Edge", {"error": "http_protocol_error", **hop})]


@pytest.mark.parametrize("asked", [b"/down", b"/%2e%2e", b"/x y"])
async def test_a_gateway_may_say_nothing_of_itself(engine: Engine, asked: bytes) -> None:
    app = Gateway(auth=AUTH, proxy_status=None)
    app.forward("/down", upstream=Upstream("down", [DOWN]), allow=anyone)
    async with serving(app, engine) as served:
        got = await served.get(asked)
    assert got.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 400 ")), got
    assert FIELD not in got


async def test_an_application_that_is_no_gateway_never_says_it(engine: Engine) -> None:
    async with serving(FastAPI(), engine) as served:  # RFC 9209 section 2: an origin server must not
        assert FIELD not in await served.get(b"/x y")
