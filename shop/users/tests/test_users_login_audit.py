"""The lines that tell what happened: whatever is in a field, it stays in it."""

import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shop_users import audit

_FIELD = re.compile(r'([a-z][a-z0-9_]*)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')


def line(caplog: pytest.LogCaptureFixture, name: str, **fields: str | int) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "shop_users.audit"):
        audit.event(name, **fields)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("shop_users.audit", "INFO")
    return record.getMessage()


def read(text: str) -> list[tuple[str, str]]:
    """Read a line as other programs do, to its end."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        pair = _FIELD.match(text, at)
        assert pair is not None, text[at:]
        found.append((pair[1], json.loads(pair[2]) if pair[2].startswith('"') else pair[2]))
        at = pair.end()
    return found


def test_an_event_is_one_line_in_the_order_of_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    got = line(caplog, "login_succeeded", account=1, address="2001:db8::1", session="a-b_C")
    assert got == "event=login_succeeded account=1 address=2001:db8::1 session=a-b_C"


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
    got = line(caplog, "refreshed", agent=value, account=7)
    assert got.isascii()
    assert got.isprintable()
    assert read(got) == [("event", "refreshed"), ("agent", value), ("account", "7")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is cleared for each example
@given(value=st.text(max_size=256), after=st.integers())
def test_every_value_can_be_read_back(caplog: pytest.LogCaptureFixture, value: str, after: int) -> None:
    got = line(caplog, "refreshed", agent=value, account=after)
    assert got.isascii()
    assert got.isprintable()
    assert read(got) == [("event", "refreshed"), ("agent", value), ("account", str(after))]


def test_long_values_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    assert read(line(caplog, "refreshed", agent="\n" * 5000)) == [("event", "refreshed"), ("agent", "\n" * 256)]


@pytest.mark.parametrize(
    ("name", "field"), [("Login", "a"), ("two words", "a"), ("", "a"), ("login", "event"), ("login", "a=b"), ("x", "")]
)
def test_names_are_words(name: str, field: str) -> None:
    with pytest.raises(ValueError, match="audit event"):
        audit.event(name, **{field: "x"})


def test_a_disguise_tells_equal_from_different_and_nothing_else() -> None:
    assert audit.disguised("hunter2") == audit.disguised("hunter2") != audit.disguised("hunter3")
    assert re.fullmatch("[0-9a-f]{12}", audit.disguised("\ud800"))
