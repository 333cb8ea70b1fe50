"""The processes of a topology: the targets of each service, with their names, ports and addresses.

All of it follows from the file and the options, and nothing from the machine: an address stays what it is, whatever else
listens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """One process of ``service``. Its ``name`` is the service's, or ``service-1`` and so on if there are several."""

    name: str
    service: str
    port: int

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"


class NoPortLeft(ValueError):
    """There is no free number above the port of a service. The message names the place in the file."""


def target_names(service: str, targets: int) -> list[str]:
    """Return the names of the targets of a service."""
    return [service] if targets == 1 else [f"{service}-{number}" for number in range(1, targets + 1)]


def place(
    names: Mapping[str, Sequence[str]], ports: Mapping[str, int], chosen: Mapping[str, int]
) -> dict[str, tuple[Target, ...]]:
    """Give each target its port; ``names`` are those of the targets by service, ``ports`` those of the services.

    1. A target in ``chosen`` has that port.
    2. The first target of a service has the service's.
    3. Every further one has the next number that nothing else in the topology has. So a service can get a second target, or
       a new neighbour, without a change of any other port in the file.

    Raises NoPortLeft.
    """
    first = {targets[0]: ports[service] for service, targets in names.items()}
    given = {**first, **chosen}
    taken = set(given.values())
    placed: dict[str, tuple[Target, ...]] = {}
    for service, targets in names.items():
        found: list[Target] = []
        for name in targets:
            port = given.get(name)
            if port is None:
                port = next(number for number in count(ports[service] + 1) if number not in taken)
                if port > LAST_PORT:
                    raise NoPortLeft(
                        f"services.{service}.targets: no port above {ports[service]} is left for {name}; "
                        f"choose one for it: --port {name}=PORT"
                    )
                taken.add(port)
            found.append(Target(name, service, port))
        placed[service] = tuple(found)
    return placed


def references(targets: Mapping[str, Sequence[Target]]) -> dict[str, str]:
    """Return what ``${...}`` may name of the targets, with its text.

    ``${name.urls}`` are all addresses of a service, with commas between. ``${name.url}`` and ``${name.port}`` name one
    target: a service that has several has neither, since all but one would be left out without a word.
    """
    known = {f"{service}.urls": ",".join(each.url for each in these) for service, these in targets.items()}
    for these in targets.values():
        for target in these:
            known |= {f"{target.name}.url": target.url, f"{target.name}.port": str(target.port)}
    return known
