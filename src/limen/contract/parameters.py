"""Declared parameters: those of the path, the query, the headers and the cookies, and the fields of a form.

Whatever a service reads has been checked: each value of a parameter that takes several. Where one value is expected, a second
one is refused, because services differ in which of them they read.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

from limen.contract.checker import Checker
from limen.contract.violations import Violations, violation
from limen.errors import Invalid

Where = Literal["path", "query", "header", "cookie", "form"]
Given = Mapping[str, Sequence[str]]
"""The values of each name, decoded, in the order in which they came; names of headers are in lower case."""


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a model that takes a group of parameters; ``many`` takes every value.

    ``names`` has for each name of the request the one by which the model takes it.
    """

    names: tuple[tuple[str, str], ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The fields of a model that takes all parameters of one place.

    ``extra`` is the model's word for names that it does not have; ``optional`` allows that none of its names is there.
    """

    members: tuple[Member, ...]
    extra: Literal["ignore", "allow", "forbid"] = "ignore"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Param:
    """One declared parameter. ``many`` takes every value, ``others`` are its further names, ``group`` is that of a model."""

    name: str
    where: Where
    adapter: TypeAdapter[object]
    required: bool
    many: bool = False
    others: tuple[str, ...] = ()
    group: Group | None = None
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks values."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    @property
    def names(self) -> frozenset[str] | None:
        """The names that are read; None is every name, with a model that does not ignore those that it does not have."""
        return self.own_names if self.group is None or self.group.extra == "ignore" else None

    @property
    def own_names(self) -> frozenset[str]:
        """The names that are declared."""
        if self.group is None:
            return frozenset((self.name, *self.others))
        return frozenset(name for member in self.group.members for name, _ in member.names)

    def check(self, given: Given) -> Violations | None:
        """Return what is wrong with this parameter among the ``given`` values of its place; None when it fits."""
        if self.group is not None:
            return self._check_group(self.group, given)
        name = self.name
        if self.others:
            present = [one for one in (name, *self.others) if one in given]
            if len(present) > 1:
                return Violations((self._several_names(present),))
            name = present[0] if present else name
        found = given.get(name)
        if not found:
            return self._missing()
        if self.many:
            value: object = list(found)
        elif len(found) > 1:
            return Violations((self._repeated(name),))
        elif self.where == "form" and not found[0]:
            return self._missing()
        else:
            value = found[0]
        checked = self.checker.check_python(value, (self._at, name), len(found))
        return checked if isinstance(checked, Violations) else None

    def _check_group(self, group: Group, given: Given) -> Violations | None:
        values: dict[str, object] = {}
        sent_as: dict[str, str] = {}
        unclear: list[Invalid] = []
        own: set[str] = set()
        for member in group.members:
            present = [one for one in member.names if one[0] in given]
            own.update(name for name, _ in present)
            if not present:
                continue
            name, key = present[0]
            found = given[name]
            if len(present) > 1:
                unclear.append(self._several_names([one for one, _ in present]))
            elif member.many:
                values[key] = list(found)
            elif len(found) > 1:
                unclear.append(self._repeated(name))
            elif found[0] or self.where != "form":
                values[key] = found[0]
            if name != key:
                sent_as[key] = name
        if group.optional and not own and (group.extra == "ignore" or not given):
            return self._missing()
        for name, found in given.items():
            if name not in own:
                values[name] = found[0] if len(found) == 1 else list(found)
                if len(found) > 1 and self.where == "cookie" and group.extra != "ignore":
                    unclear.append(self._repeated(name))  # of cookies, FastAPI reads the last
        if unclear:
            return Violations(tuple(unclear))
        checked = self.checker.check_python(values, (self._at,), sum(map(len, given.values())))
        if not isinstance(checked, Violations):
            return None
        return replace(checked, listed=tuple(_as_sent(one, sent_as) for one in checked.listed))

    @property
    def _at(self) -> str:
        return "body" if self.where == "form" else self.where

    def _missing(self) -> Violations | None:
        if not self.required:
            return None
        return Violations((Invalid((self._at, self.name), "Field required", "missing"),))

    def _repeated(self, name: str) -> Invalid:
        return violation((self._at, name), "Input should come once", "repeated")

    def _several_names(self, names: Sequence[str]) -> Invalid:
        return violation(
            (self._at, names[0]), f"Input should have one of its names, not {' and '.join(names)}", "repeated"
        )


def _as_sent(one: Invalid, sent_as: Mapping[str, str]) -> Invalid:
    if len(one.loc) > 1 and (name := sent_as.get(str(one.loc[1]))) is not None:
        return replace(one, loc=(one.loc[0], name, *one.loc[2:]))
    return one


class _Every:
    def __contains__(self, _: object) -> bool:
        return True


def names_of(params: Sequence[Param], where: Where) -> Container[str]:
    """Return the names that ``params`` read from ``where``."""
    found: set[str] = set()
    for param in params:
        if param.where == where:
            if param.names is None:
                return _Every()
            found |= param.names
    return frozenset(found)
