"""The login throttle: counting only, with a number as the clock."""

import collections
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from limen_accounts.failure_counters import FailureCounter, ThrottleLimits
from limen_accounts.login_throttle import Attempt, LoginThrottle, address_key

HOME, OTHER = "192.0.2.1", "198.51.100.7"


def begin(throttle: LoginThrottle, account: str, address: str | None, now: float) -> Attempt:
    attempt = throttle.attempt(account, address, now)
    assert isinstance(attempt, Attempt), f"has to wait {attempt} s"
    return attempt


def fail(throttle: LoginThrottle, account: str, address: str | None, now: float) -> None:
    throttle.failed(begin(throttle, account, address, now), now)


def wait(throttle: LoginThrottle, account: str, address: str | None, now: float) -> float:
    """Return how long an attempt would have to wait; one that has to gets a place in line."""
    attempt = throttle.attempt(account, address, now)
    if isinstance(attempt, Attempt):
        throttle.cancelled(attempt, now)
        return 0
    return attempt


def fail_repeatedly(throttle: LoginThrottle, account: str, address: str | None, times: int) -> float:
    """Fail ``times`` times, each as soon as allowed; return the time of the last failure."""
    now = 0.0
    for _ in range(times):
        now += wait(throttle, account, address, now)
        fail(throttle, account, address, now)
    return now


def test_the_first_failures_of_an_account_are_free_and_then_the_delay_doubles_up_to_its_bound() -> None:
    throttle, now = LoginThrottle(ThrottleLimits(forget_after=1e9)), 0.0
    delays: list[float] = []
    for number in range(20):
        # Each from another address: only the account's failures count.
        fail(throttle, "ada", f"192.0.2.{number}", now)
        delays.append(wait(throttle, "ada", f"192.0.2.{number + 1}", now))
        now += delays[-1]
    assert delays == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]


def test_failures_of_an_address_count_whatever_the_account() -> None:
    throttle = LoginThrottle()
    for number in range(21):
        fail(throttle, f"user{number}", HOME, 0)
    assert wait(throttle, "somebody else", HOME, 0) == 1
    assert wait(throttle, "somebody else", OTHER, 0) == 0
    assert wait(throttle, "user0", None, 0) == 0


def test_waiting_and_refused_attempts_count_for_nothing_but_a_place_in_line() -> None:
    throttle = LoginThrottle()
    now = fail_repeatedly(throttle, "ada", HOME, 7)
    assert throttle.attempt("ada", OTHER, now) == 2
    before = repr(throttle)
    for _ in range(50):
        assert throttle.attempt("ada", OTHER, now) == 2
        assert throttle.attempt("ada", HOME, now + 0.5) == 1.5 + 120
    assert repr(throttle) == before
    assert wait(throttle, "ada", OTHER, now + 2) == 0
    assert wait(throttle, "nobody tried", "203.0.113.9", now) == 0
    assert repr(throttle) == before
    # ``wait`` changes nothing either.
    assert throttle.wait("ada", OTHER, now) == 2
    assert throttle.wait("ada", OTHER, now + 2) == throttle.wait("bob", None, now) == 0
    assert repr(throttle) == before


def test_of_many_attempts_at_once_only_the_free_ones_begin() -> None:
    throttle = LoginThrottle()
    attempt = [throttle.attempt("ada", f"192.0.2.{number}", 0) for number in range(100)]
    started = [attempt for attempt in attempt if isinstance(attempt, Attempt)]
    assert len(started) == 6
    assert {attempt for attempt in attempt if not isinstance(attempt, Attempt)} == {1.0}
    for attempt in started:
        throttle.failed(attempt, 0)
    assert wait(throttle, "ada", HOME, 0) == 1


def test_beyond_the_free_ones_they_go_one_at_a_time() -> None:
    throttle = LoginThrottle()
    now = fail_repeatedly(throttle, "ada", HOME, 8) + 4
    first = begin(throttle, "ada", HOME, now)
    assert throttle.attempt("ada", OTHER, now) == 1
    throttle.failed(first, now)
    assert throttle.attempt("ada", OTHER, now) == 8
    # Whoever had the turn and was wrong stands behind those who waited.
    assert throttle.attempt("ada", HOME, now) == 8 + 120


def test_a_success_does_not_reset_the_failures_of_others() -> None:
    throttle = LoginThrottle()
    for _ in range(5):
        fail(throttle, "ada", OTHER, 0)
    throttle.succeeded(begin(throttle, "ada", HOME, 0), 0)
    fail(throttle, "ada", OTHER, 0)
    assert wait(throttle, "ada", OTHER, 0) == 1
    # A login with the guesser's own account does not reset the address either.
    for number in range(14):
        fail(throttle, f"user{number}", OTHER, 1)
    throttle.succeeded(begin(throttle, "own", OTHER, 1), 1)
    fail(throttle, "user98", OTHER, 1)
    assert wait(throttle, "user99", OTHER, 1) == 1


def test_many_right_logins_in_turn_are_never_delayed() -> None:
    throttle = LoginThrottle()
    for number in range(500):
        throttle.succeeded(begin(throttle, "ada", HOME, 0), 0)
        throttle.succeeded(begin(throttle, f"user{number}", HOME, 0), 0)


def test_failures_elsewhere_do_not_delay_a_known_owner() -> None:
    throttle = LoginThrottle()
    throttle.succeeded(begin(throttle, "ada", HOME, 0), 0)
    now = fail_repeatedly(throttle, "ada", OTHER, 30)
    assert wait(throttle, "ada", OTHER, now) == 900
    assert wait(throttle, "ada", "203.0.113.5", now) == 900
    assert wait(throttle, "ada", HOME, now) == 0
    throttle.succeeded(begin(throttle, "ada", HOME, now), now)
    # A guesser at the same address, who tries other accounts, does not delay the owner either.
    for number in range(21):
        fail(throttle, f"user{number}", HOME, now)
    assert wait(throttle, "bob", HOME, now) == 1
    assert wait(throttle, "ada", HOME, now) == 0


def test_at_a_known_address_guessing_is_throttled_as_much() -> None:
    throttle = LoginThrottle()
    throttle.succeeded(begin(throttle, "ada", HOME, 0), 0)
    for _ in range(6):
        fail(throttle, "ada", HOME, 0)
    assert wait(throttle, "ada", HOME, 0) == 1
    assert wait(throttle, "ada", OTHER, 0) == 0
    # The failures count for the address too, so many known accounts do not multiply its free failures.
    for number in range(15):
        fail(throttle, f"user{number}", HOME, 0)
    assert wait(throttle, "user99", HOME, 0) == 1


def test_failures_are_forgotten_one_by_one() -> None:
    throttle = LoginThrottle()
    last = fail_repeatedly(throttle, "ada", HOME, 16)
    # At the maximum delay, a guesser has one try per quarter of an hour, for ever.
    now = last
    for _ in range(10):
        now += wait(throttle, "ada", HOME, now)
        fail(throttle, "ada", HOME, now)
    assert 400 < (now - last) / 10 <= 900
    # After the last try, others wait a quarter of an hour at most; some hours later, all failures are forgotten.
    assert wait(throttle, "ada", OTHER, now) <= 900
    now += 5 * 3600
    for _ in range(6):
        assert wait(throttle, "ada", OTHER, now) == 0
        fail(throttle, "ada", OTHER, now)
    assert wait(throttle, "ada", OTHER, now) == 1


def test_cancelled_attempts_do_not_count() -> None:
    throttle = LoginThrottle()
    for _ in range(100):
        throttle.cancelled(begin(throttle, "ada", HOME, 0), 0)
    assert repr(throttle) == "<LoginThrottle accounts=0 addresses=0 known=0 pairs=0>"


def test_a_counter_shows_its_numbers() -> None:
    counter, limits = FailureCounter(10), ThrottleLimits()
    for _ in range(6):
        counter.fail(5, limits, 11)
    assert repr(counter) == "<FailureCounter failures=6 pending=0 until=12>"


def test_memory_is_bounded() -> None:
    throttle = LoginThrottle(ThrottleLimits(max_counters=10))
    for number in range(200):
        throttle.succeeded(begin(throttle, f"owner{number}", f"198.51.100.{number}", 0), 0)
        fail(throttle, f"owner{number}", f"198.51.100.{number}", 0)
        fail(throttle, f"user{number}", f"192.0.2.{number}", 0)
    assert repr(throttle) == "<LoginThrottle accounts=10 addresses=10 known=10 pairs=10>"
    # An attempt whose counter was evicted ends like any other.
    early = begin(throttle, "early", HOME, 0)
    for number in range(20):
        fail(throttle, f"user{number}", f"192.0.2.{number}", 0)
    throttle.failed(early, 0)
    assert wait(throttle, "early", HOME, 0) == 0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2.7:80", None),
        ("192.0.2.07", None),
    ],
)
def test_the_addresses_of_one_client_have_one_key(text: str, key: str | None) -> None:
    assert address_key(text) == key


@pytest.mark.parametrize(
    "invalid",
    [
        {"account_failures": -1},
        {"address_failures": -1},
        {"max_counters": 0},
        {"first_delay": 0.0},
        {"first_delay": 2.0, "max_delay": 1.0},
        {"forget_after": 0.0},
        {"turn": 0.0},
    ],
)
def test_limits_that_make_no_sense_are_refused(invalid: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="ThrottleLimits"):
        ThrottleLimits(**invalid)  # pyright: ignore[reportArgumentType] - the names decide, and pyright sees one type for all


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=60))
def test_no_timing_of_tries_beats_the_limit(pauses: list[float]) -> None:
    """However they are timed, tries of one account are the free ones and about one per quarter of an hour."""
    throttle, now, tries = LoginThrottle(), 0.0, 0
    for pause in pauses:
        now += pause
        if isinstance(attempt := throttle.attempt("ada", None, now), Attempt):
            throttle.failed(attempt, now)
            tries += 1
        else:
            assert 0 < attempt <= 900
    # 6 until the first delay, 10 while the delay grows to its maximum; then as many as are forgotten.
    assert tries <= 16 + 1 + ceil(now / 900) * 2


class ThrottleMachine(RuleBasedStateMachine):
    """Attempts of any kind, in any order, and the invariants that always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = ThrottleLimits(account_failures=2, address_failures=4, max_delay=60, forget_after=60, turn=10)
        self.throttle = LoginThrottle(self.limits)
        self.now = 0.0
        self.open_attempts: list[Attempt] = []

    @rule(account=st.sampled_from("abcdef"), address=st.sampled_from([None, *"123456"]))
    def begin(self, account: str, address: str | None) -> None:
        attempt = self.throttle.attempt(account, address, self.now)
        if isinstance(attempt, Attempt):
            self.open_attempts.append(attempt)
        else:
            assert 0 < attempt <= self.limits.max_delay

    @precondition(lambda self: bool(self.open_attempts))
    @rule(index=st.integers(0), outcome=st.sampled_from(["failed", "succeeded", "cancelled"]))
    def end(self, index: int, outcome: str) -> None:
        attempt = self.open_attempts.pop(index % len(self.open_attempts))
        getattr(self.throttle, outcome)(attempt, self.now)

    @rule(seconds=st.floats(0, 200))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def everybody_may_try_after_the_bound(self) -> None:
        for attempt in self.open_attempts:
            self.throttle.cancelled(attempt, self.now)
        self.open_attempts.clear()
        # The delay, and a turn for each of the seven addresses that may stand in a line.
        self.now += self.limits.max_delay + 7 * self.limits.turn
        for account in "abcdef":
            assert wait(self.throttle, account, "1", self.now) == 0

    @invariant()
    def no_more_run_at_once_than_are_free_and_one(self) -> None:
        pairs = collections.Counter(
            (attempt.account, attempt.address) for attempt in self.open_attempts if attempt.known is not None
        )
        accounts = collections.Counter(attempt.account for attempt in self.open_attempts if attempt.known is None)
        addresses = collections.Counter(
            attempt.address for attempt in self.open_attempts if attempt.known is None and attempt.address is not None
        )
        assert max([*pairs.values(), *accounts.values(), 0]) <= self.limits.account_failures + 1
        assert max([*addresses.values(), 0]) <= self.limits.address_failures + 1


TestThrottle = ThrottleMachine.TestCase
