"""Delays against guessing: counting only, with a clock that is a number."""

import collections
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shop_users.guessing import Attempt, Counter, Guessing, Limits, address_key

HOME, OTHER = "192.0.2.1", "198.51.100.7"


def begun(guessing: Guessing, account: str, address: str | None, now: float) -> Attempt:
    found = guessing.attempt(account, address, now)
    assert isinstance(found, Attempt), f"has to wait {found} s"
    return found


def fail(guessing: Guessing, account: str, address: str | None, now: float) -> None:
    guessing.failed(begun(guessing, account, address, now), now)


def wait(guessing: Guessing, account: str, address: str | None, now: float) -> float:
    """Return how long an attempt would have to wait, and leave no trace."""
    found = guessing.attempt(account, address, now)
    if isinstance(found, Attempt):
        guessing.dropped(found, now)
        return 0
    return found


def failed_often(guessing: Guessing, account: str, address: str | None, times: int) -> float:
    """Fail as soon as allowed, so often; return the time of the last failure."""
    now = 0.0
    for _ in range(times):
        now += wait(guessing, account, address, now)
        fail(guessing, account, address, now)
    return now


def test_the_first_failures_of_an_account_are_free_and_then_the_delay_doubles_up_to_its_bound() -> None:
    guessing, now = Guessing(Limits(forget=1e9)), 0.0
    delays: list[float] = []
    for number in range(20):
        # Each from somewhere else: it is the account that counts.
        fail(guessing, "ada", f"192.0.2.{number}", now)
        delays.append(wait(guessing, "ada", HOME, now))
        now += delays[-1]
    assert delays == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]


def test_failures_of_an_address_count_whatever_the_account() -> None:
    guessing = Guessing()
    for number in range(21):
        fail(guessing, f"user{number}", HOME, 0)
    assert wait(guessing, "somebody else", HOME, 0) == 1
    assert wait(guessing, "somebody else", OTHER, 0) == 0
    assert wait(guessing, "user0", None, 0) == 0


def test_asking_and_being_refused_cost_nothing_and_keep_nothing() -> None:
    guessing = Guessing()
    now = failed_often(guessing, "ada", HOME, 7)
    before = repr(guessing)
    for _ in range(50):
        assert guessing.attempt("ada", OTHER, now) == 2
        assert guessing.attempt("ada", HOME, now + 0.5) == 1.5
    assert repr(guessing) == before
    assert wait(guessing, "ada", OTHER, now + 2) == 0
    assert wait(guessing, "nobody tried", "203.0.113.9", now) == 0
    assert repr(guessing) == before
    # Nor does asking without wanting to begin.
    assert guessing.wait("ada", OTHER, now) == 2
    assert guessing.wait("ada", OTHER, now + 2) == guessing.wait("bob", None, now) == 0
    assert repr(guessing) == before


def test_of_many_attempts_at_once_only_the_free_ones_begin() -> None:
    guessing = Guessing()
    found = [guessing.attempt("ada", f"192.0.2.{number}", 0) for number in range(100)]
    started = [one for one in found if isinstance(one, Attempt)]
    assert len(started) == 6
    assert {one for one in found if not isinstance(one, Attempt)} == {1.0}
    for one in started:
        guessing.failed(one, 0)
    assert wait(guessing, "ada", HOME, 0) == 1


def test_beyond_the_free_ones_they_go_one_at_a_time() -> None:
    guessing = Guessing()
    now = failed_often(guessing, "ada", HOME, 8) + 4
    first = begun(guessing, "ada", HOME, now)
    assert guessing.attempt("ada", OTHER, now) == 1
    guessing.failed(first, now)
    assert guessing.attempt("ada", OTHER, now) == 8


def test_a_success_takes_nothing_back_of_what_others_failed() -> None:
    guessing = Guessing()
    for _ in range(5):
        fail(guessing, "ada", OTHER, 0)
    guessing.succeeded(begun(guessing, "ada", HOME, 0), 0)
    fail(guessing, "ada", OTHER, 0)
    assert wait(guessing, "ada", OTHER, 0) == 1
    # Nor does a login of the guesser's own clear the address.
    for number in range(14):
        fail(guessing, f"user{number}", OTHER, 1)
    guessing.succeeded(begun(guessing, "own", OTHER, 1), 1)
    fail(guessing, "user98", OTHER, 1)
    assert wait(guessing, "user99", OTHER, 1) == 1


def test_many_right_logins_in_turn_are_never_held_back() -> None:
    guessing = Guessing()
    for number in range(500):
        guessing.succeeded(begun(guessing, "ada", HOME, 0), 0)
        guessing.succeeded(begun(guessing, f"user{number}", HOME, 0), 0)


def test_nobody_elsewhere_holds_back_an_owner_who_is_known() -> None:
    guessing = Guessing()
    guessing.succeeded(begun(guessing, "ada", HOME, 0), 0)
    now = failed_often(guessing, "ada", OTHER, 30)
    assert wait(guessing, "ada", OTHER, now) == 900
    assert wait(guessing, "ada", "203.0.113.5", now) == 900
    assert wait(guessing, "ada", HOME, now) == 0
    guessing.succeeded(begun(guessing, "ada", HOME, now), now)
    # Nor a guesser behind the same address, who tries other accounts.
    for number in range(21):
        fail(guessing, f"user{number}", HOME, now)
    assert wait(guessing, "bob", HOME, now) == 1
    assert wait(guessing, "ada", HOME, now) == 0


def test_where_the_owner_is_known_guessing_costs_as_much() -> None:
    guessing = Guessing()
    guessing.succeeded(begun(guessing, "ada", HOME, 0), 0)
    for _ in range(6):
        fail(guessing, "ada", HOME, 0)
    assert wait(guessing, "ada", HOME, 0) == 1
    assert wait(guessing, "ada", OTHER, 0) == 0
    # They count for the address, so that many known accounts there are not many times the free failures.
    for number in range(15):
        fail(guessing, f"user{number}", HOME, 0)
    assert wait(guessing, "user99", HOME, 0) == 1


def test_failures_are_forgotten_one_by_one() -> None:
    guessing = Guessing()
    last = failed_often(guessing, "ada", HOME, 16)
    # At the bound, a guesser has one try each quarter of an hour, for ever.
    now = last
    for _ in range(10):
        now += wait(guessing, "ada", HOME, now)
        fail(guessing, "ada", HOME, now)
    assert 400 < (now - last) / 10 <= 900
    # Whoever comes when that has stopped waits a quarter of an hour at most, and finds all forgotten some hours later.
    assert wait(guessing, "ada", OTHER, now) <= 900
    now += 5 * 3600
    for _ in range(6):
        assert wait(guessing, "ada", OTHER, now) == 0
        fail(guessing, "ada", OTHER, now)
    assert wait(guessing, "ada", OTHER, now) == 1


def test_what_was_not_looked_at_does_not_count() -> None:
    guessing = Guessing()
    for _ in range(100):
        guessing.dropped(begun(guessing, "ada", HOME, 0), 0)
    assert repr(guessing) == "<Guessing accounts=0 addresses=0 pairs=0 known=0>"


def test_a_counter_shows_its_numbers() -> None:
    counter, limits = Counter(10), Limits()
    for _ in range(6):
        counter.fail(5, limits, 11)
    assert repr(counter) == "<Counter failures=6 pending=0 until=12>"


def test_memory_is_bounded() -> None:
    guessing = Guessing(Limits(places=10))
    for number in range(200):
        guessing.succeeded(begun(guessing, f"owner{number}", f"198.51.100.{number}", 0), 0)
        fail(guessing, f"owner{number}", f"198.51.100.{number}", 0)
        fail(guessing, f"user{number}", f"192.0.2.{number}", 0)
    assert repr(guessing) == "<Guessing accounts=10 addresses=10 pairs=10 known=10>"
    # An attempt whose counter had to go ends as any other.
    early = begun(guessing, "early", HOME, 0)
    for number in range(20):
        fail(guessing, f"user{number}", f"192.0.2.{number}", 0)
    guessing.failed(early, 0)
    assert wait(guessing, "early", HOME, 0) == 0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2.7:80", None),
        ("192.0.2.07", None),
    ],
)
def test_what_one_client_has_is_one_key(text: str, key: str | None) -> None:
    assert address_key(text) == key


@pytest.mark.parametrize(
    "wrong",
    [{"account": -1}, {"address": -1}, {"places": 0}, {"first": 0.0}, {"first": 2.0, "bound": 1.0}, {"forget": 0.0}],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Limits"):
        Limits(**wrong)  # pyright: ignore[reportArgumentType] - the names decide, and pyright sees one type for all


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=60))
def test_no_pattern_of_tries_beats_the_bound(pauses: list[float]) -> None:
    """However a guesser times them, tries of one account are its free ones and one for each quarter of an hour."""
    guessing, now, tries = Guessing(), 0.0, 0
    for pause in pauses:
        now += pause
        if isinstance(found := guessing.attempt("ada", None, now), Attempt):
            guessing.failed(found, now)
            tries += 1
        else:
            assert 0 < found <= 900
    # 6 until the first delay, 10 while the delay grows to its bound; then as many as are forgotten.
    assert tries <= 16 + 1 + ceil(now / 900) * 2


class Guessers(RuleBasedStateMachine):
    """Attempts of any kind, in any order: what is true of them at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(account=2, address=4, bound=60, forget=60)
        self.guessing = Guessing(self.limits)
        self.now = 0.0
        self.running: list[Attempt] = []

    @rule(account=st.sampled_from("abcdef"), address=st.sampled_from([None, *"123456"]))
    def begin(self, account: str, address: str | None) -> None:
        found = self.guessing.attempt(account, address, self.now)
        if isinstance(found, Attempt):
            self.running.append(found)
        else:
            assert 0 < found <= self.limits.bound

    @precondition(lambda self: bool(self.running))
    @rule(which=st.integers(0), how=st.sampled_from(["failed", "succeeded", "dropped"]))
    def end(self, which: int, how: str) -> None:
        attempt = self.running.pop(which % len(self.running))
        getattr(self.guessing, how)(attempt, self.now)

    @rule(seconds=st.floats(0, 200))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def everybody_may_try_after_the_bound(self) -> None:
        for attempt in self.running:
            self.guessing.dropped(attempt, self.now)
        self.running.clear()
        self.now += self.limits.bound
        for account in "abcdef":
            assert wait(self.guessing, account, "1", self.now) == 0

    @invariant()
    def no_more_run_at_once_than_are_free_and_one(self) -> None:
        pairs = collections.Counter((one.account, one.address) for one in self.running if one.known)
        accounts = collections.Counter(one.account for one in self.running if not one.known)
        addresses = collections.Counter(
            one.address for one in self.running if not one.known and one.address is not None
        )
        assert max([*pairs.values(), *accounts.values(), 0]) <= self.limits.account + 1
        assert max([*addresses.values(), 0]) <= self.limits.address + 1


TestGuessers = Guessers.TestCase
