"""The policies of one group, before they are checked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class GroupPolicies:
    """What ``policies=`` of a group with ``prefix`` was given. Each group is one object, whatever its prefix is."""

    prefix: str
    given: object
