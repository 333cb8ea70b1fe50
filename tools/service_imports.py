"""``python tools/service_imports.py``: who imports whom among the distributions here; services are found in ``shop/``.

import-linter would need a list of their names: a service imports the kit and libraries made with it, the gateway imports
limen, and neither imports another service. What is inside ``limen`` and ``limen_kit`` is the matter of ``.importlinter``.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
GATEWAY = "shop/gateway"

# The libraries by package, and which others each may import.
LIBRARIES: Mapping[str, frozenset[str]] = {
    "limen": frozenset(),
    "limen_kit": frozenset(),
    "limen_accounts": frozenset({"limen_kit"}),
}
FOR_THE_GATEWAY = frozenset({"limen"})
FOR_SERVICES = frozenset({"limen_kit", "limen_accounts"})


def packages(root: Path) -> dict[str, Path]:
    """Return the folder of every package of this repository by its name."""
    places = [*root.glob("src/*"), *root.glob("*/src/*"), *root.glob("shop/*/src/*")]
    return {place.name: place for place in sorted(places) if (place / "__init__.py").is_file()}


def violations(root: Path) -> Iterator[str]:
    """Yield a line for every import that must not be."""
    found = packages(root)
    for package, folder in found.items():
        allowed = _allowed(package, folder.relative_to(root)) | {package}
        for path in sorted(folder.rglob("*.py")):
            for line, name in imported(path.read_text(encoding="utf-8")):
                if name in found and name not in allowed:
                    may = ", ".join(sorted(allowed - {package})) or "none of the others"
                    yield f"{path.relative_to(root)}:{line}: {package} imports {name}; it may import {may}"


def imported(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the package of every import of the module ``text``, those for types and inside functions too."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.partition(".")[0]) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]
            case _:
                pass


def _allowed(package: str, folder: Path) -> frozenset[str]:
    if package in LIBRARIES:
        return LIBRARIES[package]
    return FOR_THE_GATEWAY if folder.is_relative_to(GATEWAY) else FOR_SERVICES


def main() -> int:
    """Print what must not be; return 1 if there is any."""
    found = list(violations(ROOT))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
