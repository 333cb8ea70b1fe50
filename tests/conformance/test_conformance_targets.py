"""Whose host and which resource a request is for: the four forms of a target, ``Host``, and the version.

RFC 9112, sections 2.3 and 3.2. What names two hosts, or none, or speaks of another version is refused.
"""

import pytest

from conformance import OK, Answers, Case, Gets, Says, Sees, get, request
from conformance_refusal import Checks, Refused, dated, refused, served
from conformance_stage import Stage

HOSTS = (
    b"",
    b"a b",
    b"a/b",
    b"a,b",
    b"u@g",
    b"g:port",
    b"g:99999999",
    b"g?x",
    b"g#x",
    b"[::1",
    b"a\\b",
    b"<g>",
    b"g\xe9",
)
CASES: dict[str, Case] = {
    f"A7 the host {host!r}": refused(b"GET /svc/x HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") for host in HOSTS
}
CASES.update(
    {
        "A7 no host": refused(b"GET /svc/x HTTP/1.1\r\n\r\n"),
        "A7 no host on a local endpoint": refused(b"GET /local/ping HTTP/1.1\r\n\r\n"),
        "A7 two hosts": refused(get(b"/svc/x", b"Host: evil")),
        "A7 two equal hosts": refused(get(b"/svc/x", b"Host: g")),
        "A7 two hosts in HTTP/1.0": refused(b"GET /svc/x HTTP/1.0\r\nHost: g\r\nHost: evil\r\n\r\n"),
        "A7 a host with a port": served(
            b"GET /svc/x HTTP/1.1\r\nHost: g.example:8080\r\n\r\n", has=(b"x-forwarded-host: g.example:8080",)
        ),
        "A7 a host that is an address": served(
            b"GET /svc/x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", has=(b"x-forwarded-host: [::1]:8080",)
        ),
        "A7 absolute-form": served(
            get(b"http://g/svc/a%2Fb?c=d"), start=b"GET /svc/a%2Fb?c=d HTTP/1.1", has=(b"x-forwarded-host: g",)
        ),
        "A7 absolute-form, another host": refused(get(b"http://evil/svc/x")),
        "A7 absolute-form, another port": refused(get(b"http://g:81/svc/x")),
        "A7 absolute-form with a user": refused(get(b"http://u@g/svc/x")),
        "A7 absolute-form of another scheme": refused(get(b"ftp://g/svc/x")),
        "A7 absolute-form is no way round the rule": (Says(get(b"http://g/mine")), Gets(401, code="token_missing")),
        "A7 absolute-form is no way round the path": refused(get(b"http://g/public/../mine", b"Connection: close")),
        "A7 authority-form": refused(get(b"g:80"), statuses=(400, 405, 501)),
        "A7 asterisk-form is for OPTIONS": refused(get(b"*"), statuses=(400, 405)),
        "A7 OPTIONS * is about the gateway": (Says(request(b"OPTIONS *")), Checks((200, 204), dated)),
        "A7 a path without a slash": refused(get(b"svc/x")),
        "A8 a fragment": refused(get(b"/svc/x#y")),
        "A8 a space in the target": refused(get(b"/svc/x y")),
        "A8 a tab in the target": refused(get(b"/svc/x\ty")),
        # RFC 9112 section 3 lets a recipient be lenient here; what goes on is canonical.
        "A8 two spaces go on as one": served(b"GET  /svc/x HTTP/1.1\r\nHost: g\r\n\r\n", start=b"GET /svc/x HTTP/1.1"),
        "A8 a control character in the target": refused(get(b"/svc/x\x01")),
        "A8 no target": refused(b"GET HTTP/1.1\r\nHost: g\r\n\r\n"),
        "A8 HTTP/0.9": refused(b"GET /svc/x\r\n\r\n"),
        "A8 HTTP/0.9 by name": refused(b"GET /svc/x HTTP/0.9\r\nHost: g\r\n\r\n", statuses=(400, 505)),
        "A8 HTTP/1.2": refused(b"GET /svc/x HTTP/1.2\r\nHost: g\r\n\r\n", statuses=(400, 505)),
        "A8 HTTP/1.10": refused(b"GET /svc/x HTTP/1.10\r\nHost: g\r\n\r\n"),
        "A8 HTTP/2.0": refused(b"GET /svc/x HTTP/2.0\r\nHost: g\r\n\r\n", statuses=(505,)),
        "A8 HTTP/2 without asking": refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", statuses=(400, 505)),
        "A8 in small letters": refused(b"GET /svc/x http/1.1\r\nHost: g\r\n\r\n"),
        "A8 another protocol": refused(b"GET /svc/x ICE/1.0\r\nHost: g\r\n\r\n"),
        "A8 HTTP/1.0 closes": (
            Says(b"GET /svc/x HTTP/1.0\r\n\r\n"),
            Sees(b"GET /svc/x HTTP/1.1"),
            Answers(OK),
            Gets(200, b"ok", has=(b"connection: close",), closed=True),
        ),
    }
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_targets(stage: Stage, case: Case) -> None:
    await stage.play(case)


# Where the gateway closes the connection, a client that goes on sending may be reset before it has read why.
KEPT = {
    name: case
    for name, case in CASES.items()
    if not any(isinstance(step, Refused) or (isinstance(step, Gets) and step.closed) for step in case)
}


@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT)
async def test_targets_of_trickling_input(stage: Stage, case: Case) -> None:
    await stage.play(case, trickle=1)
