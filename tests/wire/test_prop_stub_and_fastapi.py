"""Through a whole gateway, on both engines: the service reads what FastAPI reads of the same request, or never gets it.

tests/unit/contract/test_prop_signatures.py asks the contract alone, with far more requests.
"""

from collections.abc import Callable
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import ENGINES, Engine
from examples import part
from in_memory_gateway import InMemoryGateway
from limen.errors import Fault
from signatures import JSON, body_parameter, signatures
from twin import Sent, Twin, comparable, pass_through


def _exchange(gateway: InMemoryGateway, sent: Sent, cased: Callable[[bytes], bytes]) -> tuple[int, Sent | None]:
    """Return the status that the client gets, and the request that the service gets."""
    lines = [
        *sent.headers,
        (b"host", b"g"),
        *([(b"content-length", b"%d" % len(sent.content))] if sent.content else []),
    ]
    head = b"".join(cased(name) + b": " + value + b"\r\n" for name, value in lines)
    run = gateway.run([b"POST %b HTTP/1.1\r\n%b\r\n%b" % (sent.target, head, sent.content)])
    assert run.violations == ()
    status = int(run.answer[9:12])
    if not run.connections:
        return status, None
    (written,) = run.connections
    reader: Any = h11.Connection(h11.SERVER)
    reader.receive_data(written)
    request: h11.Request = reader.next_event()
    content = b""
    while isinstance(event := reader.next_event(), h11.Data):
        content += event.data
    return status, Sent(request.target, list(request.headers), content)


def _agree(gateway: InMemoryGateway, twin: Twin, sent: Sent, cased: Callable[[bytes], bytes] = bytes) -> None:
    status, got = _exchange(gateway, sent, cased)
    told = pass_through(twin.gateway, sent)
    if isinstance(told, Fault):
        assert (status, got) == (told.kind.status, None)
        return
    assert got is not None
    assert status == 200
    assert (got.target, got.content) == (told.target, told.content)
    assert comparable(twin.read(got)) == comparable(twin.read(sent))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=part(60))
@given(st.data())
def test_the_service_reads_what_fastapi_reads(engine: Engine, data: st.DataObject) -> None:
    twin, request = data.draw(signatures())
    gateway = InMemoryGateway(engine, twin.gateway, scripted=False)
    try:
        for _ in range(4):
            cased = data.draw(st.sampled_from([bytes, bytes.title, bytes.upper]))
            _agree(gateway, twin, request(data.draw), cased)
    finally:
        gateway.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_json_may_come_without_a_content_type_where_the_application_says_so(engine: Engine) -> None:
    twin = Twin([body_parameter("a", dict[str, int])], strict_content_type=False)
    gateway = InMemoryGateway(engine, twin.gateway, scripted=False)
    try:
        for lines in ([], [(b"content-type", b"")], [JSON]):
            sent = Sent(b"/x", lines, b'{"a": 1}')
            _agree(gateway, twin, sent)
            _, got = _exchange(gateway, sent, bytes)
            assert got is not None
            assert [value for name, value in got.headers if name == b"content-type"] == [b"application/json"]
        assert _exchange(gateway, Sent(b"/x", [(b"content-type", b"text/plain")], b'{"a": 1}'), bytes) == (415, None)
    finally:
        gateway.close()
