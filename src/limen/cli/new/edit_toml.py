"""limen.toml with one more service. Text is added, so comments and order stay; the result is parsed and compared."""

import re
import tomllib
from typing import Any

from limen.cli.new.lines import joined, split
from limen.cli.new.plan import CannotEdit

_TABLE = re.compile(r"\[[^\]]*\]\s*(#.*)?")


def add_service(text: str, name: str, entry: str, *, gateway: str, variable: str, beside: str | None) -> str:
    """Return ``text`` with the table ``entry`` before that of ``gateway``, and the address of ``name`` in its environment.

    ``beside`` is a service next to which the banner names the new one, if it names that. Raises CannotEdit.
    """
    address = f'{variable} = "${{{name}.urls}}"'
    by_hand = f"{entry}\n[services.{gateway}.env]\n{address}\n"
    lines = split(text)
    lines = _with_banner(lines, name, beside)
    lines = _with_address(lines, gateway, address, by_hand)
    place = _table(lines, f"services.{gateway}")
    if place is None:
        raise CannotEdit(f"it has no line [services.{gateway}]", by_hand)
    while place and lines[place - 1].startswith("#"):
        place -= 1
    lines[place:place] = [*split(entry.rstrip()), ""]
    changed = joined(lines)
    if not _is_as_meant(text, changed, name, entry, gateway, variable):
        raise CannotEdit("the text would not mean what it should", by_hand)
    return changed


def _table(lines: list[str], name: str) -> int | None:
    return next((number for number, line in enumerate(lines) if line.split("#")[0].strip() == f"[{name}]"), None)


def _with_address(lines: list[str], gateway: str, address: str, by_hand: str) -> list[str]:
    place = _table(lines, f"services.{gateway}.env")
    if place is not None:
        end = next((n for n in range(place + 1, len(lines)) if _TABLE.fullmatch(lines[n])), len(lines))
        last = max(n for n in range(place, end) if lines[n].strip() and not lines[n].startswith("#"))
        return [*lines[: last + 1], address, *lines[last + 1 :]]
    start = _table(lines, f"services.{gateway}")
    if start is None:
        raise CannotEdit(f"it has no line [services.{gateway}]", by_hand)
    end = next((n for n in range(start + 1, len(lines)) if _TABLE.fullmatch(lines[n])), len(lines))
    for number in range(start + 1, end):
        if found := re.fullmatch(r"env\s*=\s*\{(.*)\}\s*", lines[number]):
            inside = ", ".join(filter(None, (found[1].strip(), address)))
            return [*lines[:number], f"env = {{ {inside} }}", *lines[number + 1 :]]
    raise CannotEdit(f"it has no table [services.{gateway}.env]", by_hand)


def _with_banner(lines: list[str], name: str, beside: str | None) -> list[str]:
    """Name the service in the banner after ``beside``, if that is there: to read, and of no other use."""
    reference = f"${{{beside}.urls}}"
    inside = False
    for number, line in enumerate(lines):
        opens = re.match(r'banner\s*=\s*"""', line) is not None
        if (inside or opens) and reference in line:
            with_both = line.replace(reference, f"{reference}  ${{{name}.urls}}", 1)
            return [*lines[:number], with_both, *lines[number + 1 :]]
        inside = opens or (inside and '"""' not in line)
    return lines


def _is_as_meant(before: str, after: str, name: str, entry: str, gateway: str, variable: str) -> bool:
    try:
        wanted: dict[str, Any] = tomllib.loads(before)
        found: dict[str, Any] = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return False
    wanted["services"] |= tomllib.loads(entry)["services"]
    wanted["services"][gateway].setdefault("env", {})[variable] = f"${{{name}.urls}}"
    for document in (wanted, found):  # how the service is named to whoever reads
        document.get("up", {}).pop("banner", None)
    return wanted == found and list(found["services"]).index(name) < list(found["services"]).index(gateway)
