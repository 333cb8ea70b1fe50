"""The lines of the audit log: no value can end its field or begin another."""

import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limen_accounts import audit

_FIELD = re.compile(r'([a-z][a-z0-9_]*)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')


def logged_line(caplog: pytest.LogCaptureFixture, name: str, **fields: str | int) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "limen_accounts.audit"):
        audit.event(name, **fields)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("limen_accounts.audit", "INFO")
    return record.getMessage()


def parse(text: str) -> list[tuple[str, str]]:
    """Parse a whole line as logfmt."""
    pairs: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        pair = _FIELD.match(text, position)
        assert pair is not None, text[position:]
        pairs.append((pair[1], json.loads(pair[2]) if pair[2].startswith('"') else pair[2]))
        position = pair.end()
    return pairs


def test_an_event_is_one_line_in_the_order_of_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    line = logged_line(caplog, "login_succeeded", account=1, address="2001:db8::1", session="a-b_C")
    assert line == "event=login_succeeded account=1 address=2001:db8::1 session=a-b_C"


@pytest.mark.parametrize(
    "value",
    [
        "x event=login_succeeded account=1",
        'x" account="1',
        "x\nevent=login_succeeded",
        "x\r\u2028\u2029\x85\x0b\x0c\x1bevent=login_succeeded",
        "back\\slash\\",
        "=",
        "",
        "\ud800",
        "\u202egnirts",
        "é",
        "%s %(name)s",
    ],
)
def test_no_value_leaves_its_field(caplog: pytest.LogCaptureFixture, value: str) -> None:
    line = logged_line(caplog, "refreshed", agent=value, account=7)
    assert line.isascii()
    assert line.isprintable()
    assert parse(line) == [("event", "refreshed"), ("agent", value), ("account", "7")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is cleared for each example
@given(value=st.text(max_size=256), after=st.integers())
def test_every_value_can_be_read_back(caplog: pytest.LogCaptureFixture, value: str, after: int) -> None:
    line = logged_line(caplog, "refreshed", agent=value, account=after)
    assert line.isascii()
    assert line.isprintable()
    assert parse(line) == [("event", "refreshed"), ("agent", value), ("account", str(after))]


def test_long_values_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    assert parse(logged_line(caplog, "refreshed", agent="\n" * 5000)) == [("event", "refreshed"), ("agent", "\n" * 256)]


@pytest.mark.parametrize(
    ("name", "field"), [("Login", "a"), ("two words", "a"), ("", "a"), ("login", "event"), ("login", "a=b"), ("x", "")]
)
def test_bad_names_are_refused(name: str, field: str) -> None:
    with pytest.raises(ValueError, match="audit event"):
        audit.event(name, **{field: "x"})


def test_a_pseudonym_is_equal_for_equal_texts_and_reveals_nothing_else() -> None:
    assert audit.pseudonym("hunter2") == audit.pseudonym("hunter2") != audit.pseudonym("hunter3")
    assert re.fullmatch("[0-9a-f]{12}", audit.pseudonym("\ud800"))
