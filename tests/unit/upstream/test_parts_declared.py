"""What an upstream says of balancing, health, ejection, retries and hedging: what is refused, and with which words."""

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from limen import Ejection, Hash, Health, Hedge, LeastRequests, Limits, Retry, RoundRobin, Sticky, Timeouts, Upstream
from limen.exchange.request import Request
from limen.testing import make_request
from limen.upstream.balance import caller, client_address, cookie, cookie_value, header
from limen.upstream.declared import MOST_TARGETS
from targets import declared, urls

A, B = "http://10.0.0.1:8000", "http://10.0.0.2:8000"
TOO_LARGE = 10**400  # an integer that is no float


def named(of: Callable[..., object], name: str) -> Callable[[Any], object]:
    """Return what makes ``of`` with one setting."""
    return lambda value: of(**{name: value})


# --- numbers ---

# By declaration and setting: the least that is refused, the least and the most that are taken, the least above that.
WHOLE: dict[str, dict[str, tuple[float, float, float, float | None]]] = {
    "Ejection": dict.fromkeys(("faults", "errors", "overtaken", "volume", "probes"), (0, 1, 10**9, None)),
    "Retry": {"attempts": (0, 1, 10, 11), "least": (-1, 0, 10**9, None), "body": (-1, 0, 2**20, 2**20 + 1)},
    "Hedge": {"samples": (0, 1, 100_000, 100_001)},
    "Health": {"fall": (0, 1, 100, 101), "rise": (0, 1, 100, 101)},
    "Sticky": {"seconds": (0, 1, 10**9, None)},
}
FRACTIONS: dict[str, dict[str, tuple[float, float, float, float | None]]] = {
    "Ejection": {
        "share": (0.0, 0.01, 1, 1.01),
        "window": (0, 0.1, 1e6, None),
        "seconds": (0, 0.1, 10, None),
        "longest": (0, 2, 1e6, None),
        "most": (0, 0.01, 1, 1.01),
        "panic": (-0.1, 0, 1, 1.01),
        "slow_start": (-1, 0, 1e6, None),
    },
    "Retry": {"backoff": (-0.1, 0, 10, 10.1), "budget": (-0.1, 0, 1, 1.1), "timeout": (0, 0.001, 1e6, None)},
    "Hedge": {
        "factor": (0.9, 1, 1e6, None),
        "floor": (0, 0.001, 10, None),
        "ceiling": (0, 0.025, 1e6, None),
        "initial": (0, 0.001, 1e6, None),
    },
    "Health": dict.fromkeys(("interval", "unhealthy_interval", "timeout"), (0.04, 0.05, 3600, 3601)),
}
KINDS: dict[str, Callable[..., object]] = {
    "Ejection": Ejection,
    "Retry": Retry,
    "Hedge": Hedge,
    "Health": partial(Health, "/readyz"),
    "Sticky": Sticky,
}
NUMBERS = [
    pytest.param(kind, name, bounds, whole, id=f"{kind}.{name}")
    for whole, table in ((True, WHOLE), (False, FRACTIONS))
    for kind, settings in table.items()
    for name, bounds in settings.items()
]


@pytest.mark.parametrize(("kind", "name", "bounds", "whole"), NUMBERS)
def test_a_number_has_bounds_which_its_refusal_names(
    kind: str, name: str, bounds: tuple[float, float, float, float | None], whole: bool
) -> None:
    make = named(KINDS[kind], name)
    too_little, least, most, too_much = bounds
    for value in (least, most):
        assert getattr(make(value), name) == value
    given = re.escape(f"{kind}({name}={too_little!r}): must be ")
    with pytest.raises(ValueError, match=given + r"(at least|more than) [-\d.]+$"):
        make(too_little)
    if too_much is not None:
        with pytest.raises(
            ValueError, match=re.escape(f"{kind}({name}={too_much!r}): must be at most ") + r"[\de+.]+$"
        ):
            make(too_much)
    wrong = [True, "1", b"1", [1], *([] if name in ("timeout", "seconds") and kind in ("Retry", "Sticky") else [None])]
    for value in [*wrong, *([1.0] if whole else [])]:
        with pytest.raises(TypeError, match=re.escape(f"{kind}({name}={value!r}): must be a ") + "(whole )?number$"):
            make(value)
    if not whole:
        with pytest.raises(ValueError, match=re.escape(f"{kind}({name}=nan): must be ")):
            make(nan)
        with pytest.raises(ValueError, match=re.escape(f"{kind}({name}=inf): must be ")):
            make(inf)
    with pytest.raises(ValueError, match=re.escape(f"{kind}({name}=1000")):
        make(TOO_LARGE)


def test_every_number_is_in_the_table() -> None:
    for kind in (Ejection, Retry, Hedge, Health, Sticky):
        known = {*WHOLE.get(kind.__name__, ()), *FRACTIONS.get(kind.__name__, ())}
        assert {one.name for one in fields(kind)} - known <= {"path", "statuses", "cookie"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Ejection(seconds=5, longest=4),
            "Ejection(seconds=5, longest=4): longest bounds seconds; make it the larger",
        ),
        (lambda: Hedge(floor=2, ceiling=1), "Hedge(floor=2, ceiling=1): ceiling must not be less than floor"),
        (lambda: Timeouts(deadline=0), "Timeouts(deadline=0): seconds must be more than 0; None is no bound"),
        (lambda: Timeouts(connect=TOO_LARGE), "seconds must be finite; None is no bound"),
        (lambda: Limits(lifetime=-1), "Limits(lifetime=-1): must be at least 0"),
        (lambda: Limits(lifetime=inf), "Limits(lifetime=inf): must be finite"),
        (lambda: Limits(waiting=TOO_LARGE), "must be finite"),
    ],
)
def test_settings_that_bound_each_other(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


# --- statuses and the path ---


@pytest.mark.parametrize(
    ("kind", "value", "error", "message"),
    [
        ("Retry", 503, TypeError, "Retry(statuses=503): write a list, such as [503]"),
        ("Retry", "503", TypeError, "Retry(statuses='503'): write a list, such as [503]"),
        ("Retry", {503}, TypeError, "Retry(statuses={503}): write a list"),
        ("Retry", ["503"], TypeError, "Retry(statuses=...'503'...): must be a whole number"),
        ("Retry", [499], ValueError, "Retry(statuses=...499...): must be at least 500"),
        ("Retry", [503, 600], ValueError, "Retry(statuses=...600...): must be at most 599"),
        ("Health", None, TypeError, "Health(statuses=None): write a list"),
        ("Health", [True], TypeError, "Health(statuses=...True...): must be a whole number"),
        ("Health", [199], ValueError, "Health(statuses=...199...): must be at least 200"),
        ("Health", [600], ValueError, "Health(statuses=...600...): must be at most 599"),
    ],
)
def test_statuses(kind: str, value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        named(KINDS[kind], "statuses")(value)


def test_statuses_are_kept_as_they_are_not_changed_later() -> None:
    given = [503]
    retry, health = Retry(statuses=given), Health("/", statuses=given)
    given.append(500)
    assert retry.statuses == health.statuses == (503,)
    assert Retry(statuses=[]).statuses == ()


@pytest.mark.parametrize("path", ["", "readyz", "/a b", "/a#b", "http://a/", "/\n", "/ü", None, 5, b"/"])
def test_the_path_of_a_check(path: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Health({path!r}): the path begins with '/', such as")):
        Health(path)


def test_which_answers_of_a_check_are_good() -> None:
    assert [status for status in (199, 200, 204, 299, 300, 404, 503) if Health("/?full=1").good(status)] == [
        200,
        204,
        299,
    ]
    assert [status for status in (200, 401, 503) if Health("/", statuses=[401]).good(status)] == [401]


# --- balancing ---


@pytest.mark.parametrize("kind", [LeastRequests, RoundRobin, Hash])
def test_weights(kind: type[Any]) -> None:
    given = (client_address,) if kind is Hash else ()
    make: Callable[..., object] = partial(kind, *given)
    name = kind.__name__
    for wrong, error, message in (
        (5, TypeError, f"{name}(weights=5): write a mapping, such as {{'http://orders-1:8000': 2}}"),
        ([A], TypeError, f"{name}(weights=[{A!r}]): write a mapping"),
        ({A: "2"}, TypeError, f"{name}(weights={{{A!r}: '2'}}): must be a number"),
        ({A: True}, TypeError, f"{name}(weights={{{A!r}: True}}): must be a number"),
        ({A: 0}, ValueError, f"{name}(weights={{{A!r}: 0}}): must be more than 0"),
        ({A: -1}, ValueError, f"{name}(weights={{{A!r}: -1}}): must be more than 0"),
        ({A: nan}, ValueError, f"{name}(weights={{{A!r}: nan}}): must be more than 0"),
        ({A: inf}, ValueError, f"{name}(weights={{{A!r}: inf}}): must be finite"),
        ({A: 1_000_001}, ValueError, f"{name}(weights={{{A!r}: 1000001}}): must be at most 1e+06"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            make(weights=wrong)
    weights = {A: 2.5}
    made = kind(*given, weights=weights)
    weights[A] = 7
    assert made.weights == {A: 2.5}, "what is declared does not change"
    unknown = (
        f"upstream 'svc': {name}(weights={{'http://else': ...}}): there is no such target; write it as in targets="
    )
    with pytest.raises(ValueError, match=re.escape(unknown)):
        declared(2, balance=kind(*given, weights={"http://else": 2}))
    assert declared(2, balance=made).balance == made


async def later(request: Request) -> str:
    return "key"


@pytest.mark.parametrize("by", ["x-tenant", None, 5, header, cookie, later])
def test_a_key_is_a_plain_function(by: Any) -> None:
    with pytest.raises(TypeError, match=r"Hash\(.*\): give a plain function of the request, such as client_address"):
        Hash(by)


@pytest.mark.parametrize("name", ["", "a b", "a:", "ü", 5, None])
def test_a_key_of_a_header_or_cookie_has_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"header({name!r}): {name!r} is no name of a header, such as")):
        header(name)
    if name != "":
        with pytest.raises(
            ValueError, match=re.escape(f"cookie({name!r}): a cookie's name is a token, such as 'session'")
        ):
            cookie(name)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "ü", "x" * 65, 5, None, b"a"])
def test_a_session_has_a_cookie_with_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Sticky(cookie={name!r}): a cookie's name is a token, such as")):
        Sticky(cookie=name)


def test_keys() -> None:
    request = make_request(
        headers=[
            ("X-Tenant", "t1"),
            ("x-tenant", "t2"),
            ("Cookie", "a=1; session = s ; b"),
            ("cookie", "session=other"),
        ],
        client="192.0.2.7",
    )
    assert client_address(request) == "192.0.2.7"
    assert caller(request) is None
    assert (header("X-TENANT")(request), header("x-else")(request)) == ("t1", None)
    assert (cookie("session")(request), cookie("b")(request), cookie("Session")(request)) == ("s", None, None)
    assert cookie_value(request, b"a") == b"1"


# --- the whole ---


@pytest.mark.parametrize("part", ["timeouts", "limits", "tls", "balance", "health", "ejection", "retry", "hedge"])
def test_a_part_of_a_wrong_type_is_named_with_what_it_may_be(part: str) -> None:
    for wrong in (5, "/readyz", Retry, Timeouts() if part != "timeouts" else Limits()):
        with pytest.raises(TypeError, match=re.escape(f"upstream 'svc': {part}={wrong!r}: write ") + r"\w+\(\.\.\.\)"):
            declared(2, **{part: wrong})
    if part in ("timeouts", "limits", "balance"):
        with pytest.raises(TypeError, match=f"upstream 'svc': {part}=None: write "):
            declared(2, **{part: None})
    else:
        assert getattr(declared(2, **{part: None}), part) is None


@pytest.mark.parametrize("name", [None, 5, b"svc"])
def test_a_name_is_text(name: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"upstream {name!r}: a name is letters, digits, '-' and '_'")):
        Upstream(name, [A])


@pytest.mark.parametrize("targets", [5, None, b"http://a", {A}, {A: 1}, [5], [A, None], [b"http://a"], iter([A]), ()])
def test_targets_are_a_list_of_addresses(targets: Any) -> None:
    with pytest.raises(ValueError, match=re.escape("upstream 'svc': targets is a list of addresses, such as")):
        Upstream("svc", targets)


def test_there_is_a_most_of_targets() -> None:
    many = [f"http://target-{number}" for number in range(MOST_TARGETS + 1)]
    assert len(Upstream("svc", many[:-1]).addresses) == MOST_TARGETS
    with pytest.raises(ValueError, match="upstream 'svc': there are 1001 targets, and 1000 is the most"):
        Upstream("svc", many)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"retry": None}, "retry=None allows none"),
        ({"retry": Retry(attempts=1)}, "Retry(attempts=1) allows none"),
        ({"balance": Sticky()}, "Sticky() keeps sessions at one target"),
    ],
)
def test_a_hedge_that_would_never_be_used_is_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"hedge= makes second attempts, and {why}; leave one of the two out")
    ):
        declared(2, hedge=Hedge(factor=2), **parts)
    assert declared(2, **parts).hedge == Hedge()  # the default says nothing
    assert declared(2, hedge=None, **parts).hedge is None


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0.5, ValueError, "resolve_every=0.5: must be at least 1"),
        (nan, ValueError, "resolve_every=nan: must be at least 1"),
        (inf, ValueError, "resolve_every=inf: must be finite"),
        ("30", TypeError, "resolve_every='30': must be a number"),
        (None, TypeError, "resolve_every=None: must be a number"),
    ],
)
def test_how_often_names_are_looked_up(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(f"upstream 'svc': {message}")):
        declared(2, resolve_every=value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no name of a header"),
        ("x y", "is no name of a header"),
        (5, "is no name of a header"),
        ("Host", "is that of the service"),
        ("content-length", "frames the message"),
        ("connection", "belongs to one connection"),
        ("x_deadline", "has '_'"),
        ("X-Forwarded-For", "says where a request comes from"),
        ("x-request-id", "is the id of the request"),
    ],
)
def test_the_header_of_the_deadline(name: Any, why: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"upstream 'svc': deadline_header={name!r}") + f".*{re.escape(why)}"
    ):
        declared(2, deadline_header=name)
    assert declared(2, deadline_header="X-Deadline").deadline_header == "X-Deadline"


WHOLE_PARTS: list[dict[str, Any]] = [
    {},
    {"balance": RoundRobin(weights={A: 2})},
    {"balance": Hash(header("x-tenant"), weights={B: 2})},
    {"balance": Hash(client_address)},
    {"balance": Sticky(cookie="s", seconds=60)},
    {"health": Health("/readyz", statuses=[200, 204])},
    {"ejection": Ejection(faults=5), "retry": Retry(statuses=[503]), "hedge": Hedge(factor=2)},
    {"ejection": None, "retry": None, "hedge": None, "deadline_header": None, "resolve_every": 5},
    {"timeouts": Timeouts(deadline=2), "limits": Limits(lifetime=None)},
]


@pytest.mark.parametrize("parts", WHOLE_PARTS)
def test_an_upstream_is_hashable_comparable_and_frozen(parts: dict[str, Any]) -> None:
    one, other = declared(2, **parts), declared(2, **parts)
    assert (one, hash(one)) == (other, hash(other))
    assert (replace(one), replace(one, name="else")) == (one, replace(other, name="else"))
    assert [declared(2, **which) == one for which in WHOLE_PARTS].count(True) == 1
    with pytest.raises(FrozenInstanceError):
        one.retry = None  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in parts.items():
        assert getattr(one, name) == value
    assert replace(one, targets=urls(3)).addresses != one.addresses
