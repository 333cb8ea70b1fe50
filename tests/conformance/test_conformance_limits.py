"""How large a head may be, by default: what each limit answers, and that what is just below it passes.

Times, and numbers of connections, are in ``tests/engine``; bodies and services' answers stand with their kind.
"""

import pytest

from conformance import OK, Answers, Case, Gets, Says, Sees, get
from conformance_refusal import Refused, refused
from conformance_stage import Stage

LINE = 8 * 1024
HEAD = 32 * 1024
FIELDS = 100


def long(size: int) -> bytes:
    """Return a target that makes a request line of ``size`` bytes."""
    return b"/svc/" + b"x" * (size - len(b"GET /svc/ HTTP/1.1"))


def filled(size: int) -> tuple[bytes, ...]:
    """Return lines of ``size`` bytes in all, their ends included."""
    return tuple(b"X-%02d: " % number + b"y" * (size // 16 - 8) for number in range(16))


def served(said: bytes) -> Case:
    """Return a case of a request that passes."""
    return (Says(said), Sees(), Answers(OK), Gets(200, b"ok"))


CASES: dict[str, Case] = {
    "E1 a long request line": served(get(long(LINE - 64))),
    "E1 a request line that is too long": refused(get(long(LINE + 64)), statuses=(414,)),
    "E1 a request line that is far too long": refused(get(long(60000)), statuses=(414,)),
    "E1 a request line without end": refused(b"GET /svc/" + b"x" * 60000, statuses=(414,)),
    "E1 a query that is too long": refused(get(b"/svc/x?" + b"y" * LINE), statuses=(414,)),
    "E1 a line too long for a local endpoint": refused(get(b"/local/ping?" + b"y" * LINE), statuses=(414,)),
    "E1 a large head": served(get(b"/svc/x", *filled(HEAD - 512))),
    "E1 a head that is too large": refused(get(b"/svc/x", *filled(HEAD + 512)), statuses=(431,)),
    "E1 a head without end": refused(get(b"/svc/x", *filled(2 * HEAD)).removesuffix(b"\r\n\r\n"), statuses=(431,)),
    "E1 a line without end": refused(b"GET /svc/x HTTP/1.1\r\nHost: g\r\nX: " + b"y" * (2 * HEAD), statuses=(431,)),
    "E1 a name without end": refused(b"GET /svc/x HTTP/1.1\r\nHost: g\r\n" + b"y" * (2 * HEAD), statuses=(431,)),
    "E1 many fields": served(get(b"/svc/x", *[b"X: y"] * (FIELDS - 1))),
    "E1 too many fields": refused(get(b"/svc/x", *[b"X: y"] * FIELDS), statuses=(431,)),
    "E1 fields without end": refused(get(b"/svc/x", *[b"X: y"] * 5000).removesuffix(b"\r\n\r\n"), statuses=(431,)),
    "E1 too many fields of a second request": (
        *served(get(b"/svc/x", *[b"X: y"] * 60)),
        *served(get(b"/svc/x", *[b"X: y"] * 60)),
        Says(get(b"/svc/x", *[b"X: y"] * FIELDS)),
        Refused(431),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_limits(stage: Stage, case: Case) -> None:
    await stage.play(case)


@pytest.mark.parametrize("size", [1, 100])
async def test_a_head_that_trickles_in_counts_as_a_whole(stage: Stage, size: int) -> None:
    """What is below the limit passes however it is cut; what is above is refused before it ends."""
    await stage.play(served(get(b"/svc/x", *filled(4096))), trickle=size)
