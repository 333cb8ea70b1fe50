"""The state of one target: what moves it, with which reason, and for how long it is out."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from limen import Ejection
from limen.upstream.target_health import IN, OUT, PROBING, TargetHealth
from targets import Loaded, Time

RULES = Ejection()


class Target:
    """The health of one target, and its time. ``value`` is what the dice show: 1 is the whole time out."""

    def __init__(self, rules: Ejection | None = RULES, value: float = 1.0) -> None:
        self.time = Time()
        self.health = TargetHealth(rules, self.time.clock, self.time.now, Loaded(value))

    def succeeds(self, times: int = 1) -> bool:
        return [self.health.succeeded(self.time.seconds) for _ in range(times)][-1]

    def fails(self, times: int = 1, what: str = "refused", status: int = 0) -> str:
        for _ in range(times):
            self.health.failed(what, self.time.seconds, status=status)
        return self.health.wants_out

    def overtaken(self, times: int = 1) -> str:
        """Let another target answer first, each time to an attempt that began after the one before had ended."""
        for _ in range(times):
            self.time.seconds += 0.25
            self.health.overtaken(0.25, self.time.seconds)
        return self.health.wants_out

    def goes_out(self) -> None:
        self.fails(RULES.faults)
        self.health.eject()

    def probes(self) -> None:
        self.time.seconds = max(self.time.seconds, self.health.until)
        assert self.health.due()
        self.health.probe()


@pytest.fixture
def target() -> Target:
    return Target()


# --- triggers ---


def test_it_begins_well(target: Target) -> None:
    health = target.health
    assert (health.state, health.reason, health.wants_out, health.failing, health.checked) == (IN, "", "", False, False)
    assert (health.since, health.share(), repr(health)) == (target.time.now(), 1.0, "<TargetHealth in>")


def test_failures_in_a_row(target: Target) -> None:
    assert target.fails(2) == ""
    assert target.fails(1, "no answer") == "3 failures in a row, the last: no answer"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_s_answers_are_failures(target: Target, status: int) -> None:
    assert target.fails(2, status=status) == ""
    assert target.fails(1, f"an answer of {status}", status) == f"3 failures in a row, the last: an answer of {status}"


@pytest.mark.parametrize("status", [500, 501, 505, 599])
def test_errors_in_a_row(target: Target, status: int) -> None:
    assert target.fails(4, status=status) == ""
    assert (
        target.fails(1, f"an answer of {status}", status)
        == f"5 answers of 5xx in a row, the last: an answer of {status}"
    )


def test_a_gateway_s_answers_are_errors_too() -> None:
    target = Target(Ejection(faults=100))
    assert target.fails(4, status=503) == ""
    assert target.fails(1, "an answer of 500", 500) == "5 answers of 5xx in a row, the last: an answer of 500"


def test_no_answer_is_no_answer_of_5xx() -> None:
    target = Target(Ejection(faults=100))
    assert target.fails(19) == ""


def test_overtaken_in_a_row(target: Target) -> None:
    assert target.overtaken(2) == ""
    assert target.overtaken() == "3 times in a row: no answer within 250 ms, in which another target answered"


def test_attempts_that_were_under_way_together_are_overtaken_once(target: Target) -> None:
    target.overtaken()
    counted_at = target.time.seconds
    for after in (0.0, 0.1, 0.2):  # they began before the first was counted
        for seconds in (after + 0.01, 5.0):
            target.health.overtaken(seconds, counted_at + after)
    assert target.health.wants_out == ""
    target.time.seconds = counted_at + 0.5
    target.health.overtaken(0.5, target.time.seconds)  # this one began as the first was counted
    assert target.health.wants_out == ""
    assert target.overtaken().startswith("3 times in a row: ")


def test_one_may_be_enough() -> None:
    target = Target(Ejection(faults=1, errors=1, overtaken=1))
    assert target.fails(1, "no answer") == "no answer"
    assert target.overtaken() == "no answer within 250 ms, in which another target answered"
    target.succeeds()
    assert target.fails(1, "an answer of 500", 500) == "an answer of 500"


def test_a_success_ends_each_row(target: Target) -> None:
    for _ in range(3):
        target.fails(2)
        target.fails(2, status=500)
        target.overtaken(2)
        target.succeeds()
    assert (target.health.wants_out, target.health.state) == ("", IN)


# --- the share within a window ---


def test_the_share_of_failures(target: Target) -> None:
    for _ in range(9):
        target.succeeds()
        assert target.fails() == ""
    target.succeeds()
    assert target.fails(1, "cut") == "10 of 20 requests failed within 10 s, the last: cut"


def test_those_that_were_overtaken_are_among_them(target: Target) -> None:
    for _ in range(9):
        target.succeeds()
        target.overtaken()
    target.succeeds()
    assert target.overtaken().startswith("10 of 20 requests failed within 10 s, the last: no answer within 250 ms")


def test_below_the_share_or_the_volume_nothing_happens(target: Target) -> None:
    for _ in range(9):  # the volume is not reached
        target.succeeds()
        target.fails()
    target.succeeds(2)
    for _ in range(50):
        assert target.fails() == ""
        target.succeeds(2)


def test_the_window_forgets(target: Target) -> None:
    for _ in range(9):
        target.succeeds()
        target.fails()
    target.time.seconds += 10.1  # longer than the window: all is forgotten
    target.succeeds()
    assert target.fails() == ""


@pytest.mark.parametrize("first", [0.0, 1.0, 4.9])
@pytest.mark.parametrize("between", [5.1, 7.5, 9.9])
def test_nothing_older_than_the_window_counts(first: float, between: float) -> None:
    target = Target()
    target.time.seconds += first
    for _ in range(9):
        target.succeeds()
        target.fails()
    began = target.time.seconds
    target.time.seconds = began + between
    target.succeeds()  # moves the window on
    target.time.seconds = began + RULES.window + 0.1
    assert target.fails() == ""


def test_at_least_half_a_window_counts(target: Target) -> None:
    target.time.seconds += 4.9
    for _ in range(9):
        target.succeeds()
        target.fails()
    target.time.seconds += 4.9
    target.succeeds()
    assert target.fails().startswith("10 of 20 requests failed within 10 s")


# --- out, and back ---


def test_it_goes_out_with_the_reason_and_the_time(target: Target) -> None:
    target.time.seconds += 7
    target.goes_out()
    health = target.health
    assert (health.state, health.reason, health.since) == (
        OUT,
        "3 failures in a row, the last: refused",
        target.time.now(),
    )
    assert (health.wants_out, repr(health)) == ("", "<TargetHealth out: 3 failures in a row, the last: refused>")
    assert health.until == target.time.seconds + 2.0


@pytest.mark.parametrize(("value", "share"), [(0.0, 0.75), (0.5, 0.875), (0.999, 0.99975)])
def test_the_time_out_is_shortened_by_up_to_a_quarter(value: float, share: float) -> None:
    target = Target(value=value)
    target.goes_out()
    assert target.health.until - target.time.seconds == pytest.approx(2.0 * share)


def test_it_is_out_for_longer_each_time_up_to_the_longest(target: Target) -> None:
    times: list[float] = []
    target.goes_out()
    for _ in range(40):
        times.append(target.health.until - target.time.seconds)
        target.probes()
        assert target.fails(1, "an answer of 503", 503) == "a probe failed: an answer of 503"
        target.health.eject()
        assert (target.health.state, target.health.reason) == (OUT, "a probe failed: an answer of 503")
    assert times[:5] == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert set(times[5:]) == {10.0}


@pytest.mark.parametrize(("well_for", "seconds"), [(9.9, 4.0), (10.1, 2.0)])
def test_who_was_well_for_the_longest_time_out_begins_anew(target: Target, well_for: float, seconds: float) -> None:
    target.goes_out()
    target.probes()
    target.succeeds(RULES.probes)
    target.time.seconds += well_for
    target.goes_out()
    assert target.health.until - target.time.seconds == seconds


def test_while_it_is_out_nothing_that_ends_late_changes_anything(target: Target) -> None:
    target.goes_out()
    assert (target.fails(5), target.overtaken(5), target.succeeds(5)) == ("", "", False)
    assert (target.health.state, target.health.reason) == (OUT, "3 failures in a row, the last: refused")


def test_it_is_due_when_its_time_is_over(target: Target) -> None:
    target.goes_out()
    target.time.seconds += 1.9
    assert not target.health.due()
    target.time.seconds += 0.1
    assert target.health.due()
    target.time.seconds += 3.0
    assert target.health.overdue() == pytest.approx(3.0)


def test_probes_bring_it_back(target: Target) -> None:
    target.goes_out()
    target.probes()
    health = target.health
    assert (health.state, health.reason) == (PROBING, "probing after: 3 failures in a row, the last: refused")
    assert not health.due()
    since = health.since
    health.probe()
    assert health.since == since  # a second time it changes nothing
    assert [target.succeeds(), target.succeeds(), target.succeeds()] == [False, False, True]
    assert (health.state, health.reason, health.growing) == (IN, "", True)


@pytest.mark.parametrize("how", [Target.fails, Target.overtaken])
def test_one_probe_that_fails_is_enough(target: Target, how: Callable[[Target], str]) -> None:
    target.goes_out()
    target.probes()
    target.succeeds(RULES.probes - 1)
    assert how(target).startswith("a probe failed: ")


def test_after_its_return_its_share_grows(target: Target) -> None:
    target.goes_out()
    target.probes()
    target.succeeds(RULES.probes)
    shares: list[float] = []
    for _ in range(6):
        shares.append(round(target.health.share(), 3))
        target.time.seconds += 0.5
    assert shares == [0.1, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert not target.health.growing


def test_without_a_slow_start_it_has_its_whole_share_at_once() -> None:
    target = Target(Ejection(slow_start=0))
    target.goes_out()
    target.probes()
    target.succeeds(RULES.probes)
    assert (target.health.share(), target.health.growing) == (1.0, False)


def test_what_failed_before_it_went_out_does_not_count_afterwards(target: Target) -> None:
    target.fails(2, status=500)
    target.overtaken(2)
    target.goes_out()
    target.probes()
    target.succeeds(RULES.probes)
    assert (target.fails(2), target.overtaken(2)) == ("", "")


def test_what_was_answered_while_it_was_out_is_none_of_its_share_afterwards(target: Target) -> None:
    target.goes_out()
    target.succeeds(30)  # requests that were under way
    target.probes()
    target.succeeds(RULES.probes)
    for _ in range(10):
        target.succeeds()
        target.fails()
    assert target.health.wants_out.startswith("10 of 20 requests failed")


# --- kept in ---


def test_it_is_kept_in_and_says_so_once(target: Target) -> None:
    target.fails(3)
    assert target.health.keep()
    health = target.health
    reason = "kept in, since too many others are out: 3 failures in a row, the last: refused"
    assert (health.state, health.failing, health.reason, health.wants_out) == (IN, True, reason, "")
    assert target.fails() == "4 failures in a row, the last: refused"
    assert not health.keep()
    assert health.reason == reason
    # One success among failures is no change of state: there would be one with each answer.
    for _ in range(100):
        assert not target.succeeds()
        target.fails()
        assert not health.keep()
    assert (target.succeeds(), target.succeeds(), target.succeeds()) == (False, False, True)
    assert (health.failing, health.reason) == (False, "")
    assert not target.succeeds()


def test_where_no_other_target_is_well_it_is_out_for_no_longer_each_time(target: Target) -> None:
    target.goes_out()
    for _ in range(5):
        target.probes()
        target.fails()
        target.health.eject(alone=True)
        assert (target.health.state, target.health.reason) == (OUT, "a probe failed: refused")
        assert target.health.until - target.time.seconds == RULES.seconds
    target.probes()
    target.fails()
    target.health.eject()  # another is well by now: each time has counted
    assert target.health.until - target.time.seconds == RULES.longest


# --- checks ---


def test_the_first_check_decides_at_once(target: Target) -> None:
    assert target.health.check_failed("an answer of 503", 3)
    health = target.health
    assert (health.state, health.reason, health.until) == (OUT, "the check failed: an answer of 503", inf)
    assert (health.checked, health.check_failing) == (True, True)


def test_a_first_check_that_is_good_changes_nothing(target: Target) -> None:
    assert not target.health.check_passed(2)
    assert (target.health.checked, target.health.state) == (True, IN)


def test_it_falls_after_bad_checks_in_a_row(target: Target) -> None:
    health = target.health
    health.check_passed(2)
    assert [health.check_failed("timeout", 3), health.check_failed("timeout", 3)] == [False, False]
    assert not health.check_passed(2)
    assert [health.check_failed(f"timeout {n}", 3) for n in range(3)] == [False, False, True]
    assert (health.state, health.reason) == (OUT, "3 checks in a row failed, the last: timeout 2")
    assert not health.check_failed("timeout", 3)  # it is out already


def test_with_checks_that_fail_it_is_out_until_they_are_good(target: Target) -> None:
    target.health.check_failed("refused", 1)
    target.time.seconds += 1e6
    assert not target.health.due()
    assert not target.health.check_passed(2)
    target.health.check_failed("refused", 1)
    assert not target.health.check_passed(2)  # no two in a row
    assert target.health.check_passed(2)
    assert (target.health.due(), target.health.overdue()) == (True, 0.0)
    assert not target.health.check_passed(2), "it is due already: that is no news"
    target.probes()
    assert target.succeeds(RULES.probes)


def test_good_checks_shorten_the_time_out(target: Target) -> None:
    target.health.check_passed(2)
    target.health.check_passed(2)
    target.goes_out()
    assert not target.health.check_passed(2), "those before it went out do not count"
    assert not target.health.due()
    assert target.health.check_passed(2)
    assert (target.health.due(), target.health.overdue()) == (True, 0.0)


def test_checks_take_a_target_out_that_is_out_for_a_while_or_probing(target: Target) -> None:
    target.goes_out()
    assert target.health.check_failed("refused", 3)
    assert (target.health.reason, target.health.until) == ("the check failed: refused", inf)
    other = Target()
    other.goes_out()
    other.probes()
    assert other.health.check_failed("refused", 3)
    assert other.health.state == OUT


def test_the_reason_tells_once_that_checks_are_good_again(target: Target) -> None:
    target.health.check_failed("refused", 1)
    target.time.seconds += 5
    assert target.health.check_passed(1)
    reason = "checks are good again, after: the check failed: refused"
    assert (target.health.state, target.health.reason, target.health.since) == (OUT, reason, target.time.now())
    assert target.health.until == target.time.seconds
    target.time.seconds += 5
    assert not target.health.check_passed(1)
    assert (target.health.reason, target.health.overdue()) == (reason, 5.0)
    target.probes()
    assert target.health.reason == f"probing after: {reason}"


def test_without_checks_from_now_on_it_is_in_and_its_share_grows(target: Target) -> None:
    target.health.check_failed("refused", 1)
    target.health.unchecked()
    assert (target.health.checked, target.health.check_failing) == (False, False)
    assert (target.health.state, target.health.reason, target.health.share()) == (IN, "", 0.1)
    other = Target()
    other.goes_out()
    until = other.health.until
    other.health.unchecked()
    assert other.health.until == until


# --- drained, without rules, other rules ---


def test_it_is_drained_whatever_its_state(target: Target) -> None:
    target.health.drain()
    assert (target.health.drained_since, target.health.state) == (target.time.now(), IN)
    assert repr(target.health) == "<TargetHealth drained, in>"
    target.goes_out()
    assert repr(target.health) == "<TargetHealth drained, out: 3 failures in a row, the last: refused>"
    target.health.restore()
    assert (target.health.drained_since, target.health.state) == (0.0, OUT)


def test_without_rules_only_checks_and_people_change_anything() -> None:
    target = Target(None)
    assert (target.fails(100), target.overtaken(100), target.succeeds(), target.health.share()) == ("", "", False, 1.0)
    assert target.health.check_failed("refused", 1)
    assert target.health.check_passed(1)
    target.probes()
    assert target.succeeds()  # one request is enough
    assert target.health.state == IN
    assert target.health.share() == 1.0


def test_other_rules_leave_the_state(target: Target) -> None:
    target.goes_out()
    target.health.follow(replace(RULES, probes=1))
    assert target.health.state == OUT
    target.probes()
    assert target.succeeds()
    target.health.follow(None)
    assert (target.fails(100), target.health.share()) == ("", 1.0)
