"""Tables in Markdown: found in a page by their heading, and written back. Nothing of Limen is known here."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

_BAR = re.compile(r"(?<!\\)\|")
_HEADING = re.compile(r"#+ .*")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the heading that it stands under, the number of its first line, and its cells without the blanks around."""

    heading: str
    line: int
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def end(self) -> int:
        """The number of the line after its last one."""
        return self.line + 2 + len(self.rows)

    def column(self, name: str) -> int:
        """Return the place of the column ``name``. Raises ValueError that says which table has none."""
        if name not in self.head:
            raise ValueError(f"the table under {self.heading!r} has no column {name!r}")
        return self.head.index(name)


@dataclass(frozen=True, slots=True)
class Filled:
    """A page as it should be, and what no tool can mend: one line each."""

    text: str
    problems: tuple[str, ...] = ()


Keys = Callable[[Table, Sequence[str]], Sequence[str]]
"""What a row of a table is of."""


def tables(text: str) -> list[Table]:
    """Return the tables of a page in order. Raises ValueError where a row has more or fewer cells than the head."""
    lines = text.splitlines()
    found: list[Table] = []
    heading, number = "", 0
    while number < len(lines):
        if _HEADING.fullmatch(lines[number]):
            heading = lines[number]
        if not lines[number].startswith("|"):
            number += 1
            continue
        end = number
        while end < len(lines) and lines[end].startswith("|"):
            end += 1
        head, _, *rows = map(_cells, lines[number:end])
        for place, row in enumerate(rows, start=number + 3):
            if len(row) != len(head):
                raise ValueError(f"line {place}: {len(row)} cells under a head of {len(head)}")
        found.append(Table(heading, number, head, tuple(rows)))
        number = end
    return found


def under(text: str, heading: str) -> Table:
    """Return the first table below ``heading``. Raises ValueError where there is none."""
    for table in tables(text):
        if table.heading == heading:
            return table
    raise ValueError(f"there is no table under {heading!r}")


def replaced(text: str, table: Table, rows: Iterable[Sequence[str]]) -> str:
    """Return ``text`` with other rows in ``table``; head and rule stay as they are."""
    lines = text.splitlines()
    lines[table.line + 2 : table.end] = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def filled(text: str, found: Iterable[Table], keys: Keys, values: Mapping[str, Mapping[str, str]]) -> Filled:
    """Fill the tables ``found`` of the page ``text``: ``values`` has, for each key, the cells of some columns.

    ``keys`` are those of one row. Where it has several, their cells are joined, alike ones once. Rows of unknown keys, keys
    that come twice and keys without a row are problems.
    """
    problems: list[str] = []
    missing = dict(values)
    for table in found:
        rows = [list(row) for row in table.rows]
        for row in rows:
            names = keys(table, row)
            where = f"{table.heading}, {row[0]}"
            if not names:
                problems.append(f"{where}: the row is of nothing; name the setting")
            for name in names:
                if name not in values:
                    problems.append(f"{where}: there is no {name} in the code; correct it, or take the row out")
                elif missing.pop(name, None) is None:
                    problems.append(f"{where}: another row is of {name} too; take one out")
            cells = [values[name] for name in names if name in values]
            for column in {column: None for each in cells for column in each}:
                row[table.column(column)] = ", ".join(dict.fromkeys(each[column] for each in cells))
        text = replaced(text, table, rows)
    problems += [f"no row is of {name}; add one where it belongs, with any {_all(missing[name])}" for name in missing]
    return Filled(text, tuple(problems))


def _all(cells: Mapping[str, str]) -> str:
    return " and ".join(cells)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _BAR.split(line.strip())[1:-1])
