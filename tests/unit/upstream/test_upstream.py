"""Services, timeouts and limits: what is accepted and what is refused."""

import re
from datetime import timedelta
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from limen import Limits, Timeouts, Upstream


def test_defaults() -> None:
    upstream = Upstream("users", ["http://a:1", "unix:/b"])
    assert upstream.targets == ("http://a:1", "unix:/b")
    assert [target.url for target in upstream.addresses] == ["http://a:1", "unix:/b"]
    assert upstream.timeouts == Timeouts(connect=2, first_byte=30, idle=30, total=None)
    assert upstream.limits == Limits(connections=128, waiting=256, keepalive=4, head=65536)
    assert upstream.tls is None
    assert "addresses" not in repr(upstream)


def test_equal_declarations_are_equal() -> None:
    assert Upstream("a", ["http://a"]) == Upstream("a", ("http://a",))
    assert Upstream("a", ["http://a"]) != Upstream("a", ["http://b"])
    assert Upstream("a", ["http://a"]) != Upstream("a", ["http://a"], limits=Limits(waiting=0))


@pytest.mark.parametrize("name", ["users", "users-2", "my_users", "U1"])
def test_names(name: str) -> None:
    assert Upstream(name, ["http://a"]).name == name


@pytest.mark.parametrize("name", ["", "-", "a b", "a.b", "a/b", "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="a name is letters, digits, '-' and '_'"):
        Upstream(name, ["http://a"])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("http://a", "targets is a list of addresses, such as"),
        ([], "targets is a list of addresses, such as"),
        (["http://a", "a"], "upstream 'users': target 'a' must begin with http://"),
        (["http://a", "http://a"], "upstream 'users': a target is named twice"),
        (["http://a", "http://A:80/"], "upstream 'users': a target is named twice"),
    ],
)
def test_bad_targets(targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Upstream("users", targets)


@pytest.mark.parametrize("name", ["connect", "first_byte", "idle", "total"])
def test_times_are_more_than_nothing(name: str) -> None:
    for value in (0, -1, nan, -inf):
        with pytest.raises(
            ValueError, match=rf"Timeouts\({name}={value!r}\): seconds must be more than 0; None is no bound"
        ):
            Timeouts(**{name: value})
    with pytest.raises(ValueError, match=rf"Timeouts\({name}=inf\): seconds must be finite; None is no bound"):
        Timeouts(**{name: inf})
    for value in (0.001, 5, None):
        assert getattr(Timeouts(**{name: value}), name) == value


@pytest.mark.parametrize("name", ["connect", "first_byte", "idle", "total"])
@pytest.mark.parametrize("value", [True, "2", b"2", timedelta(seconds=2), Decimal(2), [2]])
def test_times_are_numbers(name: str, value: Any) -> None:
    with pytest.raises(
        TypeError, match=re.escape(f"Timeouts({name}={value!r}): seconds are a number, such as 2.5, or None")
    ):
        Timeouts(**{name: value})


@pytest.mark.parametrize(("name", "least"), [("connections", 1), ("waiting", 0), ("keepalive", 0), ("head", 1024)])
def test_limits_leave_something(name: str, least: int) -> None:
    for value in (least - 1, *((nan,) if name == "keepalive" else ())):
        wrong: Any = {name: value}
        with pytest.raises(ValueError, match=rf"Limits\({name}={value!r}\): must be at least {least}"):
            Limits(**wrong)
    for value in (True, "9", None, *(() if name == "keepalive" else (9.5, inf))):
        odd: Any = {name: value}
        kind = "a number of seconds" if name == "keepalive" else "a whole number"
        with pytest.raises(TypeError, match=re.escape(f"Limits({name}={value!r}): must be {kind}")):
            Limits(**odd)
    right: Any = {name: least}
    assert getattr(Limits(**right), name) == least
