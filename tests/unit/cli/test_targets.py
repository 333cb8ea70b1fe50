"""Which process of a topology has which name, port and address."""

import pytest

from limen.cli.targets import LAST_PORT, NoPortLeft, Target, place, references, target_names


def placed(services: dict[str, tuple[int, int]], **chosen: int) -> dict[str, int]:
    """Return the ports by the name of the target; ``services`` are port and number of targets by name."""
    names = {name: target_names(name, number) for name, (_, number) in services.items()}
    ports = {name: port for name, (port, _) in services.items()}
    found = place(names, ports, {name.replace("_", "-"): port for name, port in chosen.items()})
    return {target.name: target.port for targets in found.values() for target in targets}


def test_one_target_has_the_name_and_the_port_of_its_service() -> None:
    assert placed({"users": (8011, 1), "orders": (8012, 1)}) == {"users": 8011, "orders": 8012}


def test_further_targets_have_the_next_numbers_that_nothing_else_has() -> None:
    shop = {"users": (8011, 1), "orders": (8012, 3), "suppliers": (8013, 2), "gateway": (8001, 1)}
    assert placed(shop) == {
        "users": 8011,
        "orders-1": 8012,
        "orders-2": 8014,
        "orders-3": 8015,
        "suppliers-1": 8013,
        "suppliers-2": 8016,
        "gateway": 8001,
    }


def test_a_declared_port_is_never_given_to_another_wherever_it_stands() -> None:
    assert placed({"a": (5, 2), "b": (6, 1)}) == {"a-1": 5, "a-2": 7, "b": 6}
    assert placed({"b": (6, 1), "a": (5, 2)}) == {"a-1": 5, "a-2": 7, "b": 6}


def test_a_chosen_port_moves_its_target_alone() -> None:
    assert placed({"a": (5, 3)}, a_2=90) == {"a-1": 5, "a-2": 90, "a-3": 6}
    assert placed({"a": (5, 3)}, a_1=90) == {"a-1": 90, "a-2": 6, "a-3": 7}
    assert placed({"a": (5, 2), "b": (9, 1)}, b=6) == {"a-1": 5, "a-2": 7, "b": 6}


def test_a_port_above_the_last_one_is_refused() -> None:
    assert placed({"a": (LAST_PORT - 1, 2)}) == {"a-1": LAST_PORT - 1, "a-2": LAST_PORT}
    with pytest.raises(
        NoPortLeft, match=r"services\.a\.targets: no port above 65534 is left for a-3; .*--port a-3=PORT"
    ):
        placed({"a": (LAST_PORT - 1, 3)})


def test_references_name_all_targets_or_one() -> None:
    targets = {"a": (Target("a", "a", 5),), "b": (Target("b-1", "b", 6), Target("b-2", "b", 7))}
    assert references(targets) == {
        "a.url": "http://127.0.0.1:5",
        "a.urls": "http://127.0.0.1:5",
        "a.port": "5",
        "b.urls": "http://127.0.0.1:6,http://127.0.0.1:7",
        "b-1.url": "http://127.0.0.1:6",
        "b-1.port": "6",
        "b-2.url": "http://127.0.0.1:7",
        "b-2.port": "7",
    }
