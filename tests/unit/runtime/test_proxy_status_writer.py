"""What a gateway tells of itself beside a fault, and to whom it names the target."""

import logging
from typing import Any, cast

import pytest

from limen import Gateway, Principal, ProxyStatus, anyone, owner, role, signed_in
from limen.errors import Fault, Kind
from limen.http.headers import Headers
from limen.runtime.proxy_status import ProxyStatusWriter

ADA = Principal("7", frozenset({"admin"}), frozenset())
BOB = Principal("8", frozenset(), frozenset())
DOWN = Fault(Kind.UPSTREAM_REFUSED)
NOTHING: tuple[int, Headers] = (0, [])


def lines(
    declared: ProxyStatus,
    fault: Fault = DOWN,
    *,
    principal: Principal | None = None,
    target: str = "http://orders-1:8000",
    answered: tuple[int, Headers] = NOTHING,
) -> list[bytes]:
    made = ProxyStatusWriter(declared).lines(
        fault, principal=principal, params={"id": "8"}, target=target, answered=answered
    )
    assert {name for name, _ in made} <= {b"proxy-status"}
    return [value for _, value in made]


PLAIN = b"limen; error=destination_unavailable"
TOLD = PLAIN + b'; next-hop="orders-1:8000"'


@pytest.mark.parametrize(
    ("declared", "principal", "told"),
    [
        (ProxyStatus(), ADA, False),
        (ProxyStatus(next_hop=role("admin")), ADA, True),
        (ProxyStatus(next_hop=role("admin")), BOB, False),
        (ProxyStatus(next_hop=role("admin")), None, False),
        (ProxyStatus(next_hop=signed_in), BOB, True),
        (ProxyStatus(next_hop=signed_in), None, False),
        (ProxyStatus(next_hop=owner("id")), BOB, True),
        (ProxyStatus(next_hop=owner("id")), ADA, False),
        (ProxyStatus(next_hop=lambda caller: caller.id == "7"), ADA, True),
        (ProxyStatus(next_hop=anyone), None, True),
    ],
)
def test_the_target_is_named_to_whom_the_rule_admits(
    declared: ProxyStatus, principal: Principal | None, *, told: bool
) -> None:
    assert lines(declared, principal=principal) == [TOLD if told else PLAIN]


@pytest.mark.parametrize(
    ("target", "hop"),
    [
        ("https://10.0.0.7", b'"10.0.0.7"'),
        ("http://[::1]:80", b'"[::1]:80"'),
        ("unix:/run/o.sock", b'"unix:/run/o.sock"'),
        ('unix:/run/"ö".sock', b'"unix:/run/\\"\\\\xf6\\".sock"'),
    ],
)
def test_any_target_can_be_named(target: str, hop: bytes) -> None:
    assert lines(ProxyStatus(next_hop=anyone), target=target) == [PLAIN + b"; next-hop=" + hop]


def test_no_target_is_named_where_none_was_asked() -> None:
    assert lines(ProxyStatus(next_hop=anyone), target="-") == [PLAIN]


def test_a_rule_that_fails_tells_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(caller: Principal) -> bool:
        raise RuntimeError(f"a secret of {caller.id}")

    with caplog.at_level(logging.ERROR, "limen.proxy_status"):
        assert lines(ProxyStatus(next_hop=broken), principal=ADA) == [PLAIN]
    assert "ProxyStatus(next_hop=broken) failed" in caplog.text
    assert "a secret of 7" not in caplog.text


def test_the_members_of_the_answer_stay_before_ours() -> None:
    answered: tuple[int, Headers] = (200, [(b"proxy-status", b"cache"), (b"etag", b'"1"'), (b"proxy-status", b"mesh")])
    contract = Fault(Kind.UPSTREAM_CONTRACT)
    assert lines(ProxyStatus(), contract, answered=answered) == [b"cache", b"mesh", b"limen; received-status=200"]
    too_large = Fault(Kind.UPSTREAM_TOO_LARGE)
    assert lines(ProxyStatus(next_hop=role("admin")), too_large, principal=ADA, answered=(206, [])) == [
        b'limen; error=http_response_body_size; next-hop="orders-1:8000"; received-status=206'
    ]


def test_nothing_is_said_where_there_is_nothing_to_say() -> None:
    assert lines(ProxyStatus(next_hop=anyone), Fault(Kind.UPSTREAM_CONTRACT)) == []
    writer = ProxyStatusWriter(ProxyStatus())
    assert writer.lines_of(Fault(Kind.CLIENT_CLOSED)) == []
    assert writer.lines_of(Fault(Kind.URI_TOO_LONG)) == [(b"proxy-status", b"limen; error=http_request_error")]


@pytest.mark.parametrize("name", ["", "caf\u00e9", "a\r\nb"])
def test_a_name_that_would_break_the_field_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"ProxyStatus\(name=.*must be printable ASCII"):
        ProxyStatus(name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": b"limen"}, r"ProxyStatus\(name=b'limen'\): must be a text"),
        ({"next_hop": "admin"}, r"ProxyStatus\(next_hop=\): 'admin' is no rule: use anyone"),
    ],
)
def test_what_is_no_name_and_no_rule_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ProxyStatus(**values)


def test_a_gateway_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match=r"Gateway\(proxy_status='edge'\): write ProxyStatus\(name=...\), or None"):
        Gateway(proxy_status=cast("ProxyStatus", "edge"))


def test_a_writer_shows_who_speaks_and_who_learns_the_target() -> None:
    assert repr(ProxyStatusWriter(ProxyStatus("edge"))) == "<ProxyStatusWriter edge next_hop=nobody>"
    assert repr(ProxyStatusWriter(ProxyStatus(next_hop=role("a")))) == "<ProxyStatusWriter limen next_hop=role(a)>"
