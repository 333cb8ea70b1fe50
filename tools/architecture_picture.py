"""``python tools/architecture_picture.py``: draw docs/architecture.svg from the imports; ``--check`` compares instead.

Only the standard library is used, and the same sources give the same picture, byte for byte.

1. ``Layers.read``    the rows and what does no I/O, from ``.importlinter``
2. ``read_rooms``     the rooms of ``src/limen``, the number of their modules, and who imports whom
3. ``reduced``        an import that a longer way implies is not drawn
4. ``Layout``         a place for each room; an arrow that passes a row gets a place there as well, so it crosses no box
5. ``drawn``          the SVG
"""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Self

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"

# Pixels.
BOX_WIDTH, BOX_HEIGHT = 128, 46
LANE = 30  # what an arrow that passes a row takes of it
GAP, ROW = 26, 84
PORT = 20  # between two arrows that end at one box
LEFT, TOP, WIDTH = 20, 24, 860

Imports = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Layers:
    """What ``.importlinter`` says: the ``rows`` from top to bottom, which rooms are ``pure``, where the ``web`` ends."""

    rows: tuple[tuple[str, ...], ...]
    pure: frozenset[str]
    web: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file at ``path``."""
        config = ConfigParser()
        config.read_string(path.read_text(encoding="utf-8"))

        def lines(contract: str, key: str) -> list[str]:
            return config[f"importlinter:contract:{contract}"][key].split("\n")[1:]

        rows = tuple(tuple(name.strip() for name in row.split("|")) for row in lines("layers", "layers"))
        return cls(
            # ``__main__`` is a door to the command line, and no room.
            rows=tuple(row for row in rows if row != ("__main__",)),
            pure=frozenset(name.removeprefix("limen.") for name in lines("io", "source_modules")),
            web=frozenset(name.removeprefix("limen.") for name in lines("web", "source_modules")),
        )


def read_rooms(package: Path) -> tuple[dict[str, int], dict[str, frozenset[str]]]:
    """Return the number of modules of each room below ``package``, and the rooms that it imports itself."""
    sizes: dict[str, int] = {}
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        sizes[room] = sizes.get(room, 0) + (path.name != "__init__.py")
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        found.setdefault(room, set()).update(imported(tree, package.name))
    return sizes, {room: frozenset(names & sizes.keys()) - {room} for room, names in found.items()}


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield what directly below ``package`` a module imports, types included."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == package and rest:
                yield rest.partition(".")[0]


def reduced(imports: Imports) -> dict[str, frozenset[str]]:
    """Return the imports without those that follow from others (the transitive reduction); there must be no circle."""

    def reached(room: str) -> frozenset[str]:
        return imports[room].union(*(reached(other) for other in imports[room]))

    return {
        room: frozenset(names).difference(*(reached(other) for other in names)) if names else frozenset()
        for room, names in imports.items()
    }


@dataclass(slots=True)
class Place:
    """Where a room stands, or where an arrow passes a row: ``room`` is empty then. ``x`` is its middle."""

    room: str
    width: int
    x: float = 0.0

    def distance(self, other: "Place") -> float:
        """Return how far apart the middles of two neighbours must be."""
        return (self.width + other.width) / 2 + GAP


class Layout:
    """The places of all rooms; ``ways`` has for each arrow the places that it goes through, by row."""

    def __init__(self, rows: Sequence[Sequence[str]], imports: Imports) -> None:
        """Place what stands in ``rows``. Raises ValueError for a room that no row has, and for an import that goes up."""
        self.rows = [[Place(room, BOX_WIDTH) for room in row if room in imports] for row in rows]
        self.ways: list[tuple[int, list[Place]]] = []
        at = {place.room: (number, place) for number, row in enumerate(self.rows) for place in row}
        if missing := sorted(imports.keys() - at.keys()):
            raise ValueError(f".importlinter has no layer for {', '.join(missing)}")
        for room in sorted(imports, key=lambda name: at[name][0]):
            for other in sorted(imports[room]):
                (begin, upper), (end, lower) = at[room], at[other]
                if begin >= end:
                    raise ValueError(f"{room} imports {other}, which does not stand below it in .importlinter")
                passed = [Place("", LANE) for _ in range(begin + 1, end)]
                for number, place in enumerate(passed, start=begin + 1):
                    self.rows[number].append(place)
                self.ways.append((begin, [upper, *passed, lower]))
        self._above: dict[int, list[Place]] = {}
        self._below: dict[int, list[Place]] = {}
        for _, way in self.ways:
            for upper, lower in pairwise(way):
                self._below.setdefault(id(upper), []).append(lower)
                self._above.setdefault(id(lower), []).append(upper)
        for row in self.rows:
            spread(row, [0.0] * len(row))
        for _ in range(8):
            self._sort(self.rows, self._above)
            self._sort(self.rows[::-1], self._below)
        for _ in range(32):
            for row in self.rows:
                spread(row, [self._between(place) for place in row])

    def port(self, place: Place, other: Place) -> float:
        """Return where on the side of ``place`` the arrow to or from ``other`` is: each has its own."""
        near = self._above.get(id(place), [])
        if not any(one is other for one in near):
            near = self._below[id(place)]
        order = sorted(near, key=lambda one: one.x)
        number = next(number for number, one in enumerate(order) if one is other)
        return place.x + (number - (len(order) - 1) / 2) * PORT

    def _sort(self, rows: Sequence[list[Place]], near: Mapping[int, Sequence[Place]]) -> None:
        """Bring each row into the order of those ``near`` that stand in the row before it."""
        for row in rows:
            wanted = {id(place): mean([other.x for other in near.get(id(place), [place])]) for place in row}
            row.sort(key=lambda place: wanted[id(place)])
            spread(row, [wanted[id(place)] for place in row])

    def _between(self, place: Place) -> float:
        """Return the middle of all that ``place`` is joined to; arrows are straight where they pass rows."""
        near = [*self._above.get(id(place), ()), *self._below.get(id(place), ())]
        weighed = [other.x for other in near for _ in range(1 if place.room or other.room else 6)]
        return mean(weighed) if weighed else place.x


def spread(row: Sequence[Place], wanted: Sequence[float]) -> None:
    """Set ``x`` of each place as near to ``wanted`` as its neighbours allow, in the order of the row.

    This is the regression that keeps an order: neighbours that want the same room share what is between them.
    """
    offset = 0.0
    groups: list[tuple[float, int]] = []  # sum and number of what those that touch want, as if they had no width
    offsets: list[float] = []
    for number, place in enumerate(row):
        offset += row[number - 1].distance(place) if number else 0.0
        offsets.append(offset)
        groups.append((wanted[number] - offset, 1))
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1] = (groups[-1][0] + total, groups[-1][1] + count)
    shared = [total / count for total, count in groups for _ in range(count)]
    for place, own, before in zip(row, shared, offsets, strict=True):
        place.x = own + before


HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" \
aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="14">
  <!-- Drawn by tools/architecture_picture.py: `make access` -->
  <title id="title">The rooms of src/limen, and which imports which</title>
  <desc id="desc">{description}</desc>
  <defs>
    <marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path d="M0 0 10 5 0 10z" fill="#475569"/>
    </marker>
    <style>
      .box {{ fill: #ffffff; stroke: #475569; stroke-width: 1.5 }}
      .pure {{ fill: #e0e7ff; stroke: #4338ca; stroke-width: 2 }}
      .line {{ fill: none; stroke: #475569; stroke-width: 1.5; marker-end: url(#arrow) }}
      .name {{ font-weight: 600; fill: #0f172a; text-anchor: middle }}
      .note {{ fill: #475569; font-size: 12px; text-anchor: middle }}
      .text {{ fill: #475569; font-size: 12px }}
    </style>
  </defs>
  <rect width="{width}" height="{height}" fill="#f8fafc"/>
"""


def drawn(layers: Layers, sizes: Mapping[str, int], imports: Imports) -> str:
    """Return the picture."""
    layout = Layout(layers.rows, reduced(imports))
    tops = [TOP + number * ROW for number in range(len(layout.rows))]
    height = tops[-1] + BOX_HEIGHT + 46
    middles = [place.x for row in layout.rows for place in row]
    shift = WIDTH / 2 - (min(middles) + max(middles)) / 2

    def x(place: Place) -> int:
        return round(place.x + shift)

    described = "; ".join(
        f"{room} imports {', '.join(sorted(imports[room])) or 'none of them'}"
        for row in layers.rows
        for room in row
        if room in imports
    )
    lines = [HEAD.format(width=WIDTH, height=height, description=f"From top to bottom: {described}.")]
    for begin, way in layout.ways:
        at = [layout.port(way[0], way[1]), *(place.x for place in way[1:-1]), layout.port(way[-1], way[-2])]
        xs = [round(one + shift) for one in at]
        path = f"M{xs[0]} {tops[begin] + BOX_HEIGHT}"
        for number, (before, after) in enumerate(pairwise(xs), start=begin):
            last = number == begin + len(way) - 2
            bottom, top = tops[number] + BOX_HEIGHT, tops[number + 1] - (2 if last else 0)
            middle = (bottom + top) // 2
            path += f"C{before} {middle} {after} {middle} {after} {top}"
            path += "" if last else f"V{top + BOX_HEIGHT}"
        lines.append(f'  <path d="{path}" class="line"/>\n')
    for top, row in zip(tops, layout.rows, strict=True):
        for place in sorted((place for place in row if place.room), key=x):
            kind = "pure" if place.room in layers.pure else "box"
            count = sizes[place.room]
            lines.append(
                f'  <rect x="{x(place) - BOX_WIDTH // 2}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" '
                f'class="{kind}"/>\n'
                f'  <text x="{x(place)}" y="{top + 20}" class="name">{place.room}</text>\n'
                f'  <text x="{x(place)}" y="{top + 37}" class="note">{count} module{"" if count == 1 else "s"}</text>\n'
            )
    below = min(number for number, row in enumerate(layers.rows) if layers.web.intersection(row))
    edge = tops[below] - (ROW - BOX_HEIGHT) // 2
    lines.append(
        f'  <path d="M{LEFT} {edge}H{WIDTH - LEFT}" fill="none" stroke="#94a3b8" stroke-width="1.5" '
        'stroke-dasharray="6 5"/>\n'
        f'  <text x="{LEFT}" y="{edge - 7}" class="text">FastAPI, Starlette and uvicorn: above this line alone</text>\n'
        f'  <rect x="{LEFT}" y="{height - 28}" width="22" height="14" rx="4" class="pure"/>\n'
        f'  <text x="{LEFT + 30}" y="{height - 17}" class="text">nothing in the room does I/O. An arrow is an import; '
        "what follows from other arrows is not drawn.</text>\n"
        "</svg>\n"
    )
    return "".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or compare it; return 1 where it is not the one of the imports."""
    parser = argparse.ArgumentParser(prog="architecture_picture.py", description="The picture of docs/architecture.md.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check: bool = parser.parse_args(arguments).check
    text = drawn(Layers.read(ROOT / ".importlinter"), *read_rooms(ROOT / "src" / "limen"))
    if not check:
        PICTURE.write_text(text, encoding="utf-8", newline="\n")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != text:
        print(f"docs/{PICTURE.name} is not what src/limen imports: run `make access`, look at it, and commit it")  # noqa: T201 - a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
