"""Owners whom strangers' guesses do not keep out: turns by address, devices and sessions. Counting only, without HTTP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen_accounts.device_tokens import device_of, issue_device_token
from limen_accounts.failure_counters import ThrottleLimits
from limen_accounts.login_throttle import Attempt, LoginThrottle
from limen_accounts.waiting_lines import MAX_LINES, MAX_PLACES, WaitingLine, WaitingLines

HOME, OTHER = "192.0.2.1", "198.51.100.7"


def fail(throttle: LoginThrottle, attempt: Attempt | float, now: float) -> None:
    assert isinstance(attempt, Attempt), f"has to wait {attempt} s"
    throttle.failed(attempt, now)


def under_attack(now: float = 0.0) -> LoginThrottle:
    """Return a throttle in which ``ada`` is delayed for a quarter of an hour."""
    throttle = LoginThrottle(ThrottleLimits(account_failures=1, first_delay=900, forget_after=1e9))
    for _ in range(2):
        fail(throttle, throttle.attempt("ada", OTHER, now), now)
    return throttle


@pytest.mark.parametrize("guessers", [1, 10, 50])
def test_an_owner_at_a_new_address_has_a_turn_however_often_guessers_ask(guessers: int) -> None:
    throttle, now, guesses = LoginThrottle(), 0.0, 0
    while now < 86_400:
        attempt = throttle.attempt("ada", f"203.0.113.{guesses % guessers}", now)
        if isinstance(attempt, Attempt):
            throttle.failed(attempt, now)
            guesses += 1
        # The owner comes once in half a minute; the guesser asks ten times as often, and always first.
        if now >= 3600 and now % 30 == 0 and isinstance(throttle.attempt("ada", HOME, now), Attempt):
            break
        now += 3
    assert now <= 3600 + 3600


def test_whoever_does_not_come_loses_the_turn() -> None:
    throttle = under_attack()
    assert throttle.attempt("ada", HOME, 1) == 899
    # 898 and a turn; but no answer says more than the longest delay.
    assert throttle.attempt("ada", "203.0.113.5", 2) == 900
    assert throttle.attempt("ada", "203.0.113.5", 900) == 120
    assert throttle.attempt("ada", "203.0.113.5", 1019) == 1
    assert isinstance(throttle.attempt("ada", "203.0.113.5", 1020), Attempt)


def test_a_right_password_gives_the_next_one_the_turn_at_once() -> None:
    throttle = under_attack()
    for address in (HOME, "203.0.113.5"):
        throttle.attempt("ada", address, 1)
    attempt = throttle.attempt("ada", HOME, 900)
    assert isinstance(attempt, Attempt)
    throttle.succeeded(attempt, 901)
    assert isinstance(throttle.attempt("ada", "203.0.113.5", 902), Attempt)


def test_an_attempt_without_a_check_keeps_its_turn() -> None:
    throttle = under_attack()
    throttle.attempt("ada", HOME, 1)
    attempt = throttle.attempt("ada", HOME, 900)
    assert isinstance(attempt, Attempt)
    throttle.cancelled(attempt, 901)
    assert throttle.attempt("ada", OTHER, 901) != 0
    assert isinstance(throttle.attempt("ada", HOME, 902), Attempt)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 50)), max_size=60))
def test_in_a_line_at_most_one_may_try_at_any_time(steps: list[tuple[str, float]]) -> None:
    line, now = WaitingLine(10), 0.0
    for address, pause in steps:
        now += pause
        first = line.wait(address, 20, now)
        if now < 20:
            assert first >= 20 - now
        elif first == 0:
            # Of those who wait nobody else may; asking again changes nothing.
            assert line.wait(address, 20, now) == 0
        else:
            assert any(line.wait(other, 20, now) == 0 for other in "abcde")


def test_lines_and_their_places_are_bounded() -> None:
    lines = WaitingLines(10)
    for number in range(MAX_LINES + 5):
        lines.wait(f"user{number}", HOME, 100, 0)
    assert len(lines) == MAX_LINES
    line = WaitingLine(10)
    waits = [line.wait(f"a{number}", 100, 0) for number in range(MAX_PLACES + 5)]
    assert waits[-5:] == [100 + MAX_PLACES * 10] * 5
    assert len(repr(line).split(",")) == MAX_PLACES


def test_strangers_do_not_delay_a_known_device_which_is_throttled_alone() -> None:
    throttle = under_attack()
    for address in (HOME, OTHER):
        throttle.succeeded(_begun(throttle.attempt("ada", address, 1, device="d")), 1)
    throttle = LoginThrottle()
    for _ in range(6):
        fail(throttle, throttle.attempt("ada", HOME, 0, device="d"), 0)
    assert throttle.attempt("ada", HOME, 0, device="d") == 1
    # Neither other devices nor other accounts of that device wait for it.
    assert isinstance(throttle.attempt("ada", HOME, 0, device="e"), Attempt)
    assert isinstance(throttle.attempt("bob", OTHER, 0, device="d"), Attempt)


def test_guesses_with_known_devices_count_at_the_address() -> None:
    throttle = LoginThrottle()
    for number in range(21):
        fail(throttle, throttle.attempt(f"user{number}", HOME, 0, device=f"d{number}"), 0)
    assert throttle.attempt("eve", HOME, 0) == 1


def test_a_session_has_a_counter_of_its_own_and_makes_its_address_known() -> None:
    throttle = under_attack()
    for _ in range(2):
        fail(throttle, throttle.attempt_in_session("s", "ada", HOME, 1), 1)
    assert throttle.attempt_in_session("s", "ada", HOME, 1) == 900
    assert throttle.attempt("ada", HOME, 1) != 0
    throttle.succeeded(_begun(throttle.attempt_in_session("t", "ada", HOME, 1)), 1)
    # The password was right there: a login from that address is the owner's.
    assert isinstance(throttle.attempt("ada", HOME, 1), Attempt)


def _begun(attempt: Attempt | float) -> Attempt:
    assert isinstance(attempt, Attempt)
    return attempt


def test_a_device_token_is_of_one_account_and_one_password() -> None:
    token = issue_device_token(7, "hash")
    device = device_of(token, 7, "hash")
    assert device is not None
    assert issue_device_token(7, "hash", device) == token
    assert issue_device_token(7, "hash") != token
    for account_id, hashed in ((8, "hash"), (7, "another"), (7, None)):
        assert device_of(token, account_id, hashed) is None
    for other in ("", "device_", token + "a", token[:-1], token + "\n", token.upper(), "device_" + "a" * 65):
        assert device_of(other, 7, "hash") is None
    assert "hash" not in token
