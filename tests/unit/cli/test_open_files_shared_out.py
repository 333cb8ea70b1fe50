"""How open files are shared out among the gateway, its services and its clients, and when their want is said."""

import errno
import os
from typing import Any

import pytest

from limen import ClientLimits, Gateway, Limits, Upstream, anyone
from limen.auth import ApiKeys
from limen.cli import open_files
from limen.cli.open_files import RESERVE, Need, need
from limen.cli.opening import MOST_HANDSHAKES
from limen.cli.scarcity import SAID, Scarcity
from limen.client.limits import MOST_CONNECTIONS
from limen.engines.direct.protocol import MOST_TURNED_AWAY


@pytest.mark.parametrize(
    ("needs", "limit", "kept", "fits"),
    [
        (Need(400, 600, None), 1_000_000_000, 600, MOST_CONNECTIONS),
        (Need(400, 600, None), 11_000, 600, MOST_CONNECTIONS),
        (Need(400, 600, None), 10_999, 600, MOST_CONNECTIONS - 1),
        (Need(400, 600, None), 4_096, 600, 3_096),
        (Need(400, 600, None), 1_024, 312, 312),  # half of what is left, at most
        (Need(400, 0, None), 1_024, 0, 624),
        (Need(400, 600, None), 401, 0, 1),
        (Need(400, 600, None), 400, 0, 0),
        (Need(400, 600, None), 256, 0, -144),
        (Need(400, 600, 50), 1_024, 312, 50),
        (Need(400, 600, 50_000), 1_000_000_000, 600, 50_000),
        (Need(400, 600, 50_000), 20_000, 600, 19_000),
    ],
)
def test_what_fits(needs: Need, limit: int, kept: int, fits: int) -> None:
    assert (needs.kept(limit), needs.fit(limit)) == (kept, fits)
    assert needs.fit(needs.wanted) == (needs.clients or MOST_CONNECTIONS)
    assert kept + max(0, fits) + needs.besides <= max(limit, needs.besides)


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
    besides = 5 + RESERVE + MOST_TURNED_AWAY
    assert need(gateway(), opened=5, tls=False) == Need(besides, 20 + 128 + 7, None)
    assert need(gateway(ClientLimits(connections=9)), opened=5, tls=True) == Need(besides + MOST_HANDSHAKES, 155, 9)
    assert need(object(), opened=5, tls=False) == Need(besides, 0, None)


def test_a_system_that_knows_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(needs: Need) -> None:
        assert needs.clients is None

    monkeypatch.setattr(open_files, "_raised", unknown)
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
    scarcity = Scarcity(lambda: now)
    assert not scarcity.look()
    number = errno.EACCES
    assert not scarcity.look()
    assert caplog.text == ""
    number = errno.EMFILE
    assert [scarcity.look() for _ in range(100)] == [True] * 100
    assert caplog.text.count("no file can be opened (Too many open files)") == 1
    now += SAID
    number = errno.ENFILE
    assert scarcity.look()
    assert caplog.text.count("no file can be opened") == 2
