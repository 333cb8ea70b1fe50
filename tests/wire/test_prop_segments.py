"""How TCP cuts the bytes changes nothing: neither what a service is asked, nor what a client is told.

Each message is fed whole, and then cut at random; the verdicts must be equal.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answers import BAD, GOOD, SHORT
from engines import ENGINES
from examples import part
from in_memory_gateway import TOKEN_MARK, InMemoryGateway, Run
from strictness import Message, requests
from talk import Talk

FEW = settings(max_examples=part(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
AUTHORIZED = b"Host: g\r\nAuthorization: Bearer " + TOKEN_MARK + b"\r\n"
REQUESTS = (
    b"GET /a?b=c HTTP/1.1\r\nHost: g\r\nX-A: b\r\n\r\n",
    b"GET /guarded/a HTTP/1.1\r\n" + AUTHORIZED + b"Request-User-Id: 1\r\n\r\n",
    b"GET /guarded/a HTTP/1.1\r\nHost: g\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: g\r\nContent-Length: 33\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n"[:-2],
    b"POST /a HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
    b'POST /held HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}',
    b"HEAD /a HTTP/1.1\r\nHost: g\r\n\r\n",
    b"GET /local HTTP/1.1\r\nHost: g\r\n\r\n",
    b"GET /a/../b HTTP/1.1\r\nHost: g\r\n\r\n",
    b"DELETE /a HTTP/1.1\r\nHost: g\r\n\r\n",
)
MALFORMED = (
    b"",
    b"",
    b"",
    b"GET /a HTTP/1.1\r\nHost: g\r\nX : y\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /a\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"BREW /a HTTP/1.1\r\nHost: g\r\n\r\n",
    b"GETX /a HTTP/1.1\r\nHost: g\r\n\r\n",
    b"PROP\tFIND /a HTTP/1.1\r\nHost: g\r\n\r\n",
    b"SETUP /a HTTP/1.1\r\nHost: g\r\n\r\n",
)


def cut(data: bytes, marks: list[int]) -> Iterator[bytes]:
    """Yield the pieces of ``data`` between ``marks``, which may lie anywhere."""
    ends = sorted({mark % (len(data) + 1) for mark in marks} | {len(data)})
    begin = 0
    for end in ends:
        if end > begin:
            yield data[begin:end]
        begin = end


MARKS = st.lists(st.integers(0, 5000), max_size=12)


@pytest.fixture(scope="module", params=ENGINES)
def gateway(request: pytest.FixtureRequest) -> Iterator[InMemoryGateway]:
    """A gateway without sockets, on each engine."""
    gateway = InMemoryGateway(request.param)
    yield gateway
    gateway.close()


def asked(run: Run) -> list[Message]:
    """Return the whole requests of a run, without what is new each time."""
    found = [one for connection in run.connections for one in requests(connection) if one.whole]
    new = (b"x-request-id",)
    return [
        Message(one.method, one.target, tuple(line for line in one.headers if line[0] not in new), one.body, one.whole)
        for one in found
    ]


def statuses(run: Run) -> list[bytes]:
    """Return the status lines of what the client got."""
    return [part.split(b"\r\n", 1)[0] for part in run.answer.split(b"HTTP/1.1 ")[1:]]


@FEW
@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4), st.sampled_from(MALFORMED), MARKS)
def test_cuts_of_a_clients_bytes_change_nothing(
    gateway: InMemoryGateway, chosen: list[bytes], last: bytes, marks: list[int]
) -> None:
    # One after the other has been answered: what a request in line comes to, a client that was refused does not learn.
    data = [gateway.filled(one) for one in (*chosen, last) if one]
    whole = gateway.run(data)
    parts = [part for one in data for part in cut(one, marks)]
    pieces = gateway.run(parts)
    assert not whole.violations
    assert not pieces.violations
    assert asked(pieces) == asked(whole)
    assert statuses(pieces) == statuses(whole)
    assert pieces.closed == whole.closed


@given(st.sampled_from([*(case.answer for case in GOOD.values()), *BAD.values(), *SHORT.values()]), MARKS)
def test_cuts_of_a_services_bytes_change_nothing(answer: bytes, marks: list[int]) -> None:
    whole, pieces = Talk(), Talk()
    whole.feed(answer)
    pieces.feed(*cut(answer, marks))
    assert pieces.connection.reusable == whole.connection.reusable
    whole.leave()
    pieces.leave()
    assert (pieces.seen.kind, pieces.seen.ended) == (whole.seen.kind, whole.seen.ended)
    if whole.seen.ended:
        assert (pieces.seen.status, pieces.seen.headers) == (whole.seen.status, whole.seen.headers)
        assert pieces.seen.content == whole.seen.content
