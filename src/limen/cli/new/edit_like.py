"""Files that name a service beside others, with one more: what they say of ``model``, they say of the new one too.

So these edits know nothing of a project's own ways: its Dockerfiles, its networks and its pages are followed as they are.
"""

import re
from collections.abc import Iterable

from limen.cli.new.lines import joined, split
from limen.cli.new.plan import CannotEdit

_ROUTES_HEAD = re.compile(r"\|\s*method\s*\|\s*path\s*\|\s*service\s*\|\s*who may call\s*\|", re.IGNORECASE)
_LIST = re.compile(r"\[[^\[\]]*\]")
_COMMENT = re.compile(r"(^|\s)#.*")  # of YAML

_COMPOSE = """\
services:
  {name}:  # built and hardened as the others
    networks: [{name}]  # the gateway's too
    environment:
      DATABASE_URL: ${{{NAME}_DATABASE_URL:-sqlite://{name}.sqlite3}}
      IDENTITY_KEYS: http://gateway:8000/.well-known/jwks.json
    volumes: ["{name}:/data"]
  gateway:
    environment:
      {NAME}_SERVICE_URL: http://{name}:8000
networks:
  {name}: {{ internal: true }}
volumes:
  {name}: {{}}
"""


def renamed(text: str, model: str, name: str) -> str:
    """Return ``text`` with ``name`` in place of ``model`` wherever that is a word, or a part between ``_`` or ``-``."""
    for old, new in ((model, name), (model.upper(), name.upper())):
        text = _word(old).sub(new, text)
    return text


def add_to_compose(text: str, model: str | None, name: str) -> str:
    """Return a compose file with ``name`` wherever ``model`` is. Raises CannotEdit where one place is not understood."""
    by_hand = _COMPOSE.format(name=name, NAME=name.upper())
    if model is None:
        raise CannotEdit(
            "no service beside it has the same dependencies and settings, so there is none to follow", by_hand
        )
    lines = split(text)
    done: list[str] = []
    number = 0
    while number < len(lines):
        end = _block_end(lines, number, model)
        block = lines[number:end]
        if end > number + 1 or _is_entry(block[0], model):
            done += block
            if len(block) > 1:
                done.append("")
            done += [renamed(line, model, name) for line in block]
        elif _names(_COMMENT.sub("", block[0]), model):
            done.append(_with_list_entry(block[0], model, name, number + 1, by_hand))
        else:
            done += block
        number = end
    changed = joined(done)
    if changed == text:
        raise CannotEdit(f"it does not name {model}, which is a service like {name}", by_hand)
    return changed


def _block_end(lines: list[str], start: int, model: str) -> int:
    """Return the line after the block of ``model`` or its database that begins at ``start``; the next line for any other."""
    if not re.fullmatch(rf"  {re.escape(model)}(-db)?:", lines[start].rstrip()):
        return start + 1
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith("   ")):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return end


def _is_entry(line: str, model: str) -> bool:
    """Tell whether a line is of ``model`` alone: an entry of a mapping with its name, or a variable with its address."""
    return re.match(rf"\s+({re.escape(model)}(-db)?|{re.escape(model.upper())}_\w+):", line) is not None


def _with_list_entry(line: str, model: str, name: str, number: int, by_hand: str) -> str:
    found = _LIST.search(line)
    if found is None or not _names(found[0], model) or len(_word(model).findall(_COMMENT.sub("", line))) != 1:
        raise CannotEdit(f"line {number} names {model} in a way that is not understood: {line.strip()}", by_hand)
    return line[: found.start()] + _word(model).sub(f"{model}, {name}", found[0]) + line[found.end() :]


def add_to_page(text: str, model: str, name: str, ports: tuple[int, int]) -> str:
    """Return a page whose tables and commands have the variables of ``name`` beside those of ``model``.

    ``ports`` are those of the model and of the new service.
    """

    def own(found: str) -> str:
        return renamed(found, model, name).replace(f":{ports[0]}", f":{ports[1]}")

    variable = re.compile(rf"\b{re.escape(model.upper())}_(?:SERVICE|DATABASE)_URL\b")
    done: list[str] = []
    for line in split(text):
        if not variable.search(line):
            done.append(line)
        elif len(re.findall(r"`[A-Z_]+_URL`", line)) > 1:  # one row of several
            done.append(re.sub(rf"`{variable.pattern}`", lambda found: f"{found[0]}, {own(found[0])}", line))
        elif line.startswith(("|", "export ")):
            done += [line, own(line)]
        else:
            done.append(re.sub(rf"{variable.pattern}=\S+", lambda found: f"{found[0]} {own(found[0])}", line))
    return joined(done)


def add_to_routes_table(text: str, rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Return a page with ``rows`` at the end of its table of public routes; as it was, if it has none."""
    lines = split(text)
    head = next((number for number, line in enumerate(lines) if _ROUTES_HEAD.fullmatch(line.strip())), None)
    if head is None:
        return text
    end = head
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    lines[end:end] = [f"| {' | '.join(row)} |" for row in rows]
    return joined(lines)


def add_to_access_page(text: str, page: str, name: str) -> str:
    """Return the page of who may call what with the rows of ``name``, which are taken from ``page``, its new version.

    Other rows stay: with other settings than those of limen.toml, a gateway may have others. If the columns change, since
    there are other rules, the page is replaced.
    """
    there = set(split(text))
    head = next((line for line in split(page) if line.startswith("| METHOD |")), "")
    if head not in there:
        return page
    return joined(line for line in split(page) if line in there or f"| {name} |" in line)


def _names(text: str, model: str) -> bool:
    return _word(model).search(text) is not None


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])")
