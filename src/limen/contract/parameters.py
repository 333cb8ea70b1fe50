"""Declared parameters: those of the path, the query, the headers and the cookies, and the fields of a form.

Every value that a service may read is checked: each one of a parameter that is repeatable. Where one value is expected, a
second one is refused, because services differ in which of them they read.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

from limen.contract.checker import Checker
from limen.contract.violations import Violations, violation
from limen.errors import Invalid

ParameterLocation = Literal["path", "query", "header", "cookie", "form"]
ParameterValues = Mapping[str, Sequence[str]]
"""The values of each name, decoded, in the order in which they came. Header names are in lower case."""


@dataclass(frozen=True, slots=True)
class GroupField:
    """A field of a model that reads a group of parameters. One that is ``repeatable`` reads every value.

    ``names`` pairs each name in the request with the one by which the model reads it. With ``empty_is_missing``, an empty
    text counts as no value.
    """

    names: tuple[tuple[str, str], ...]
    repeatable: bool = False
    empty_is_missing: bool = False


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """The fields of a model that reads all parameters of one location.

    ``extra`` is the model's setting for names that it does not have. An ``optional`` group may lack all of its names.
    """

    fields: tuple[GroupField, ...]
    extra: Literal["ignore", "allow", "forbid"] = "ignore"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter. If it is ``repeatable``, it reads every value; if ``empty_is_missing``, an empty one is none.

    ``aliases`` are its further names. ``group`` is there if a model reads all parameters of the location. ``convert`` is that
    of a converter in the path, such as ``{id:int}``: the type reads what it returns. It raises ValueError.
    """

    name: str
    location: ParameterLocation
    adapter: TypeAdapter[object]
    required: bool
    repeatable: bool = False
    aliases: tuple[str, ...] = ()
    group: ParameterGroup | None = None
    empty_is_missing: bool = False
    convert: Callable[[str], object] | None = None
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the checker."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    @property
    def names(self) -> frozenset[str] | None:
        """The names that are read. None is every name, for a model that does not ignore extra ones."""
        return self.declared_names if self.group is None or self.group.extra == "ignore" else None

    @property
    def declared_names(self) -> frozenset[str]:
        """The names that are declared."""
        if self.group is None:
            return frozenset((self.name, *self.aliases))
        return frozenset(name for one in self.group.fields for name, _ in one.names)

    def check(self, values: ParameterValues) -> Violations | None:
        """Return what is wrong with this parameter, given the values of its location; None if it fits."""
        if self.group is not None:
            return self._check_group(self.group, values)
        name = self.name
        if self.aliases:
            present = [one for one in (name, *self.aliases) if one in values]
            if len(present) > 1:
                return Violations((self._several_names(present),))
            name = present[0] if present else name
        sent = values.get(name)
        if not sent:
            return self._missing()
        if self.repeatable:
            value: object = list(sent)
        elif len(sent) > 1:
            return Violations((self._repeated(name),))
        elif self.empty_is_missing and not sent[0]:
            return self._missing()
        else:
            value = sent[0]
            if self.convert is not None:
                try:
                    value = self.convert(sent[0])
                except ValueError:
                    return Violations((violation((self._path_root, name), "Input should fit the path", "path"),))
        checked = self.checker.check_python(value, (self._path_root, name), len(sent))
        return checked if isinstance(checked, Violations) else None

    def _check_group(self, group: ParameterGroup, values: ParameterValues) -> Violations | None:
        members: dict[str, object] = {}  # what the model reads
        sent_names: dict[str, str] = {}
        ambiguous: list[Invalid] = []
        declared: set[str] = set()
        for field_ in group.fields:
            present = [pair for pair in field_.names if pair[0] in values]
            declared.update(name for name, _ in present)
            if not present:
                continue
            name, key = present[0]
            sent = values[name]
            if len(present) > 1:
                ambiguous.append(self._several_names([name for name, _ in present]))
            elif field_.repeatable:
                members[key] = list(sent)
            elif len(sent) > 1:
                ambiguous.append(self._repeated(name))
            elif sent[0] or not field_.empty_is_missing:
                members[key] = sent[0]
            if name != key:
                sent_names[key] = name
        if group.optional and not declared and (group.extra == "ignore" or not values):
            return self._missing()
        for name, sent in values.items():
            if name not in declared:
                members[name] = sent[0] if len(sent) == 1 else list(sent)
                if len(sent) > 1 and self.location == "cookie" and group.extra != "ignore":
                    ambiguous.append(self._repeated(name))  # of cookies, FastAPI reads the last
        if ambiguous:
            return Violations(tuple(ambiguous))
        checked = self.checker.check_python(members, (self._path_root,), sum(map(len, values.values())))
        if not isinstance(checked, Violations):
            return None
        return replace(checked, listed=tuple(_with_sent_name(one, sent_names) for one in checked.listed))

    @property
    def _path_root(self) -> str:
        return "body" if self.location == "form" else self.location

    def _missing(self) -> Violations | None:
        if not self.required:
            return None
        return Violations((Invalid((self._path_root, self.name), "Field required", "missing"),))

    def _repeated(self, name: str) -> Invalid:
        return violation((self._path_root, name), "Input should come once", "repeated")

    def _several_names(self, names: Sequence[str]) -> Invalid:
        return violation(
            (self._path_root, names[0]), f"Input should have one of its names, not {' and '.join(names)}", "repeated"
        )


def _with_sent_name(error: Invalid, sent_names: Mapping[str, str]) -> Invalid:
    """Return a violation with the name that the client sent, where the model has another."""
    if len(error.loc) > 1 and (name := sent_names.get(str(error.loc[1]))) is not None:
        return replace(error, loc=(error.loc[0], name, *error.loc[2:]))
    return error


class _AnyName:
    def __contains__(self, _: object) -> bool:
        return True


def names_read_from(params: Sequence[Parameter], location: ParameterLocation) -> Container[str]:
    """Return the names that ``params`` read from ``location``."""
    names: set[str] = set()
    for param in params:
        if param.location == location:
            if param.names is None:
                return _AnyName()
            names |= param.names
    return frozenset(names)
