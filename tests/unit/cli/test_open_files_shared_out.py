"""How open files are shared out among the gateway, its services and its clients, and when their want is said."""

import errno
import os
from typing import Any

import pytest

from limen import ClientLimits, Gateway, Limits, Split, Upstream, anyone
from limen.auth import ApiKeys
from limen.cli import open_files
from limen.cli.descriptor_shortage import REPORT_INTERVAL, DescriptorShortage
from limen.cli.handshakes import MOST_HANDSHAKES
from limen.cli.open_files import RESERVE, FileNeeds, file_needs
from limen.client.limits import MOST_CONNECTIONS
from limen.engines.direct.protocol import MOST_TURNED_AWAY


@pytest.mark.parametrize(
    ("needs", "limit", "kept", "fits"),
    [
        (FileNeeds(400, 600, None), 1_000_000_000, 600, MOST_CONNECTIONS),
        (FileNeeds(400, 600, None), 11_000, 600, MOST_CONNECTIONS),
        (FileNeeds(400, 600, None), 10_999, 600, MOST_CONNECTIONS - 1),
        (FileNeeds(400, 600, None), 4_096, 600, 3_096),
        (FileNeeds(400, 600, None), 1_024, 312, 312),  # half of what is left, at most
        (FileNeeds(400, 0, None), 1_024, 0, 624),
        (FileNeeds(400, 600, None), 401, 0, 1),
        (FileNeeds(400, 600, None), 400, 0, 0),
        (FileNeeds(400, 600, None), 256, 0, -144),
        (FileNeeds(400, 600, 50), 1_024, 312, 50),
        (FileNeeds(400, 600, 50_000), 1_000_000_000, 600, 50_000),
        (FileNeeds(400, 600, 50_000), 20_000, 600, 19_000),
    ],
)
def test_what_fits(needs: FileNeeds, limit: int, kept: int, fits: int) -> None:
    assert (needs.for_services(limit), needs.for_clients(limit)) == (kept, fits)
    assert needs.for_clients(needs.total) == (needs.clients or MOST_CONNECTIONS)
    assert kept + max(0, fits) + needs.overhead <= max(limit, needs.overhead)


def gateway(limits: ClientLimits | None = None) -> Gateway:
    """Three services, one of which is asked about API keys alone; one is used by two routes."""
    one = Upstream("one", ["http://a:1", "http://b:1"], limits=Limits(connections=10))
    two = Upstream("two", ["http://c:1"])
    keys = Upstream("keys", ["http://d:1"], limits=Limits(connections=7))
    app = Gateway(limits=limits, auth=ApiKeys(keys))
    app.forward("/one/{path:path}", upstream=one, allow=anyone)
    app.forward("/more/{path:path}", upstream=one, allow=anyone)
    app.forward("/two/{path:path}", upstream=two, allow=anyone)
    return app


def test_what_a_gateway_needs() -> None:
    overhead = 5 + RESERVE + MOST_TURNED_AWAY
    assert file_needs(gateway(), open_files=5, tls=False) == FileNeeds(overhead, 20 + 128 + 7, None)
    assert file_needs(gateway(ClientLimits(connections=9)), open_files=5, tls=True) == FileNeeds(
        overhead + MOST_HANDSHAKES, 155, 9
    )
    assert file_needs(object(), open_files=5, tls=False) == FileNeeds(overhead, 0, None)


def test_a_system_that_knows_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(needs: FileNeeds) -> None:
        assert needs.clients is None

    monkeypatch.setattr(open_files, "_raise_limit", unknown)
    assert open_files.share_out(object(), tls=False) is None


def test_the_want_of_files_is_said_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 50.0
    number: int | None = None

    def opened(*_: Any) -> int:
        if number is not None:
            raise OSError(number, os.strerror(number))
        return os.dup(2)

    monkeypatch.setattr(os, "open", opened)
    shortage = DescriptorShortage(lambda: now)
    assert not shortage.check()
    number = errno.EACCES
    assert not shortage.check()
    assert caplog.text == ""
    number = errno.EMFILE
    assert [shortage.check() for _ in range(100)] == [True] * 100
    assert caplog.text.count("no file can be opened (Too many open files)") == 1
    now += REPORT_INTERVAL
    number = errno.ENFILE
    assert shortage.check()
    assert caplog.text.count("no file can be opened") == 2


def test_every_service_of_a_route_has_its_files() -> None:
    app = Gateway()
    one, two, three = (Upstream(name, [f"http://{name}"], limits=Limits(connections=count)) for name, count in FEW)
    app.forward("/a", upstream=Split(one, two, share=0.1), allow=anyone, fallback=three)
    app.forward("/b", upstream=two, allow=anyone, fallback=one)
    assert file_needs(app, open_files=0, tls=False).services == 111


FEW = (("one", 1), ("two", 10), ("three", 100))
