"""Services that break, and clients that leave, at every stage: one clear end each, and nothing stays busy."""

import pytest

from conformance import (
    OK,
    Answers,
    Begins,
    Case,
    Freed,
    Gets,
    HangsUp,
    Leaves,
    Logs,
    Reads,
    Says,
    Sees,
    Waiting,
    answer,
    get,
    request,
)
from conformance_stage import Stage, Step

ASK: Case = (Says(get(b"/svc/x")), Sees(b"GET /svc/x HTTP/1.1"))
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CLOSED = Gets(502, code="upstream_closed")

BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70000 + b"\r\n\r\n",
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 40 + OK,
    "a folded line": b"HTTP/1.1 200 OK\r\nx: y\r\n z\r\ncontent-length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
}

CASES: dict[str, Case] = {
    f"the service answers with {name}": (
        *ASK,
        Answers(said),
        Gets(502, code="upstream_protocol", has=(b"content-type: application/problem+json",)),
        Freed(),
        Logs(" 502 ", "code=upstream_protocol"),
    )
    for name, said in BROKEN.items()
}

# How far the service comes before it goes; what the client gets then.
STAGES: dict[str, tuple[bytes, Step]] = {
    "before its head": (b"", CLOSED),
    "in its head": (b"HTTP/1.1 200 OK\r\ncontent-le", CLOSED),
    "after an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n", CLOSED),
    "after its head": (SIZED, Gets(200, b"", cut=True)),
    "in a body with a length": (SIZED + b"half", Gets(200, b"half", cut=True)),
    "after a chunked head": (CHUNKED, Gets(200, b"", cut=True)),
    "in a chunk": (CHUNKED + b"8\r\nhalf", Gets(200, cut=True)),
    "between chunks": (CHUNKED + b"4\r\nhalf\r\n", Gets(200, b"half", cut=True)),
    "before the last line": (CHUNKED + b"4\r\nhalf\r\n0\r\n", Gets(200, b"half", cut=True)),
}
for _name, (_said, _end) in STAGES.items():
    for _reset in (False, True):
        if _reset and _said.startswith(SIZED[:15]):
            continue  # a reset may overtake what was sent before it: there is nothing certain to expect
        CASES[f"the service {'resets' if _reset else 'closes'} {_name}"] = (
            Says(request(b"POST /svc/x", body=b"once")),
            Sees(body=b"once"),
            Answers(_said),
            HangsUp(reset=_reset),
            _end,
            Logs("code=upstream_closed"),
        )

CASES.update(
    {
        "silence before the head": (
            Says(get(b"/quick/x")),
            Sees(),
            Gets(504, code="answer_timeout"),
            Freed(),
        ),
        "silence in the head": (
            Says(get(b"/quick/x")),
            Sees(),
            Answers(b"HTTP/1.1 200 OK\r\ncontent-le"),
            Gets(504, code="answer_timeout"),
            Freed(),
        ),
        "silence in the content": (
            Says(get(b"/quick/x")),
            Sees(),
            Answers(SIZED + b"half"),
            Gets(200, b"half", cut=True),
            Freed(),
            Logs("code=answer_timeout"),
        ),
        "silence between chunks": (
            Says(get(b"/quick/x")),
            Sees(),
            Answers(CHUNKED + b"4\r\nhalf\r\n"),
            Gets(200, b"half", cut=True),
            Freed(),
        ),
        "a service that takes longer than the total": (
            Says(get(b"/total/x")),
            Sees(),
            Answers(CHUNKED + b"4\r\nhalf\r\n"),
            Gets(200, b"half", cut=True),
            Freed(),
            Logs("code=answer_timeout"),
        ),
        "a service that is down": (
            Says(get(b"/down/x")),
            Gets(503, code="upstream_refused", detail="Service is unavailable."),
            Says(get(b"/svc/x")),
            Sees(),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a stale connection is replaced unseen": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(get(b"/svc/2")),
            Sees(b"GET /svc/2 HTTP/1.1", connections=1),
            HangsUp(reset=True),
            Sees(b"GET /svc/2 HTTP/1.1", connections=2),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a stale connection is replaced unseen, with the content once more": (
            Says(request(b"PUT /svc/1", body=b"first")),
            Sees(body=b"first"),
            Answers(OK),
            Gets(200, b"ok"),
            Says(get(b"/svc/2")),
            Sees(b"GET /svc/2 HTTP/1.1", connections=1),
            HangsUp(),
            Sees(b"GET /svc/2 HTTP/1.1", connections=2),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "a second attempt is the last": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(get(b"/svc/2")),
            Sees(connections=1),
            HangsUp(),
            Sees(connections=2),
            HangsUp(),
            CLOSED,
        ),
        "a fresh connection that dies is not tried again": (*ASK, HangsUp(), CLOSED),
        "what is not idempotent is not sent twice": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(request(b"POST /svc/2")),
            Sees(b"POST /svc/2 HTTP/1.1", connections=1),
            HangsUp(reset=True),
            CLOSED,
        ),
        "what was answered in part is not sent twice": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            Says(get(b"/svc/2")),
            Sees(connections=1),
            Answers(b"HTTP/1.1 2"),
            HangsUp(),
            CLOSED,
        ),
        "a connection closed while idle is not used": (
            *ASK,
            Answers(OK),
            Gets(200, b"ok"),
            HangsUp(),
            Freed(),
            Says(request(b"POST /svc/2")),
            Sees(b"POST /svc/2 HTTP/1.1", connections=2),
            Answers(OK),
            Gets(200, b"ok"),
        ),
        "an answer that nobody asked for": (
            *ASK,
            Answers(OK + answer(b"stray")),
            Gets(200, b"ok"),
            Freed(),
            Says(get(b"/svc/2")),
            Sees(connections=2),
            Answers(answer(b"two")),
            Gets(200, b"two"),
        ),
        "one at a time: the second waits, the third is refused": (
            Says(get(b"/narrow/1")),
            Sees(b"GET /narrow/1 HTTP/1.1"),
            Says(get(b"/narrow/2"), by=1),
            Waiting(1),
            Says(get(b"/narrow/3"), by=2),
            Gets(503, code="pool_exhausted", by=2),
            Answers(answer(b"one")),
            Gets(200, b"one"),
            Sees(b"GET /narrow/2 HTTP/1.1", connections=1),
            Answers(answer(b"two")),
            Gets(200, b"two", by=1),
        ),
        "one at a time: who leaves the line is not served": (
            Says(get(b"/narrow/1")),
            Sees(b"GET /narrow/1 HTTP/1.1"),
            Says(get(b"/narrow/2"), by=1),
            Waiting(1),
            Leaves(by=1),
            Logs("/narrow/2 499 ", "code=client_closed"),
            Waiting(0),
            Answers(answer(b"one")),
            Gets(200, b"one"),
        ),
    }
)

LEFT = (Freed(), Logs(" 499 ", "code=client_closed"))
UPLOAD = Says(request(b"POST /svc/x", b"Content-Length: 1000") + b"half")
CHUNKS = Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\n")
for _reset in (False, True):
    _leaves = Leaves(reset=_reset)
    _word = "resets" if _reset else "leaves"
    CASES.update(
        {
            f"a client {_word} before the answer": (*ASK, _leaves, *LEFT),
            f"a client {_word} in the answer's head": (*ASK, Answers(b"HTTP/1.1 200 OK\r\ncontent-le"), _leaves, *LEFT),
            f"a client {_word} after the answer's head": (*ASK, Answers(SIZED), Begins(200), _leaves, *LEFT),
            f"a client {_word} in the answer's content": (
                *ASK,
                Answers(SIZED + b"half"),
                Begins(200),
                _leaves,
                *LEFT,
            ),
            f"a client {_word} between chunks": (*ASK, Answers(CHUNKED + b"1\r\na\r\n"), Begins(200), _leaves, *LEFT),
            f"a client {_word} while uploading": (UPLOAD, Sees(body=None), Reads(b"half"), _leaves, *LEFT),
            f"a client {_word} while uploading chunks": (
                CHUNKS,
                Sees(body=None),
                Reads(b"4\r\nhalf\r\n"),
                _leaves,
                *LEFT,
            ),
            f"a client {_word} while uploading, the answer begun": (
                UPLOAD,
                Sees(body=None),
                Answers(SIZED + b"half"),
                Begins(200),
                _leaves,
                *LEFT,
            ),
            f"a client {_word} in a declared body": (
                Says(request(b"POST /open-items", b"Content-Type: application/json", b"Content-Length: 99") + b'{"na'),
                _leaves,
                Logs(" 499 ", "code=client_closed"),
            ),
        }
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_faults(stage: Stage, case: Case) -> None:
    await stage.play(case)
