"""Readiness waits for checks of what is declared, and for nothing else."""

from limen.runtime.checked_targets import CheckedTargets
from limen.runtime.readiness import Readiness
from limen.upstream.declared import Upstream
from limen.upstream.health import Health
from limen.upstream.live import LiveUpstream


def live(name: str, count: int, health: Health | None) -> LiveUpstream:
    return LiveUpstream(Upstream(name, [f"http://10.0.0.{number}" for number in range(1, count + 1)], health=health))


def test_it_says_how_many_targets_of_which_upstream_are_missing() -> None:
    readiness = Readiness()
    checked = CheckedTargets(readiness)
    orders, users = live("orders", 3, Health("/")), live("users", 1, Health("/"))
    checked.require({"orders": orders, "users": users, "plain": live("plain", 2, None)})
    assert readiness.reasons() == (
        "upstream orders: 3 of 3 targets were not checked yet",
        "upstream users: 1 of 1 targets was not checked yet",
    )
    orders.checked(orders.targets[0], "")
    orders.checked(orders.targets[1], "an answer of 503")
    users.checked(users.targets[0], "")
    assert readiness.reasons() == ("upstream orders: 1 of 3 targets was not checked yet",)
    checked.require({"users": users})
    assert readiness.reasons() == ()
    checked.require({"users": live("users", 2, Health("/"))})
    assert readiness.reasons() == (), "one that was ready stays so, whatever targets come"
    checked.require({})
    checked.require({"users": live("users", 2, Health("/"))})
    assert readiness.reasons() == ("upstream users: 2 of 2 targets were not checked yet",)
    checked.require({})
    assert readiness.reasons() == ()
    assert repr(readiness) == "<Readiness serving checks=[]>"
