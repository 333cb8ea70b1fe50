"""How fast a body has to come, on a clock of the test's own."""

from limen.client.limits import ClientLimits
from limen.engines.direct.pace import Pace

LIMITS = ClientLimits(body_silence=30, body_rate=100, body_grace=10)


def test_silence() -> None:
    pace = Pace(LIMITS)
    pace.begin(50, 0.0)
    assert not pace.too_slow(9.0)
    pace.add(1, 9.0)
    assert not pace.too_slow(9.9)
    assert pace.too_slow(39.0)


def test_the_first_span_is_free_and_each_that_follows_counts_by_itself() -> None:
    pace = Pace(LIMITS)
    pace.begin(10_000_000, 0.0)  # what came at first pays for nothing later
    assert not pace.too_slow(10.0)
    pace.add(1000, 15.0)
    assert not pace.too_slow(20.0)
    pace.add(999, 25.0)
    assert pace.too_slow(30.0)


def test_a_time_in_which_it_was_not_read_does_not_count() -> None:
    pace = Pace(LIMITS)
    pace.begin(0, 0.0)
    assert not pace.too_slow(10.0)
    pace.excuse(100.0, 110.0)
    assert not pace.too_slow(115.0)
    assert pace.too_slow(120.0)


def test_another_body_begins_anew() -> None:
    pace = Pace(LIMITS)
    pace.begin(0, 0.0)
    assert not pace.too_slow(10.0)
    pace.begin(7, 15.0)
    assert pace.raw == 7
    assert not pace.too_slow(25.0)
    assert pace.too_slow(45.0)
