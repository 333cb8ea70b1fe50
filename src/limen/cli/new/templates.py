"""The templates of ``limen new``: ``string.Template`` in files whose names end with ``.tmpl``, package data of this package.

``$word`` is put in, ``$$`` is a dollar. ``NAME`` and ``PACKAGE`` in the path of a file are put in too, and ``DOT`` is a dot:
setuptools leaves hidden files out of a wheel. A folder is a set:
``service`` (of the service itself), ``routes`` (its module in the gateway), ``gateway`` and ``project``.
"""

import io
import re
import tokenize
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from string import Template

_FOLDER = Path(__file__).with_name("templates")
_SUFFIX = ".tmpl"

_STATEMENT = r"from [^\n(]+(?:\([^)]*\))?\n"
_IMPORT = re.compile(_STATEMENT)
_IMPORTS = re.compile(rf"^(?:{_STATEMENT})+", re.MULTILINE)

# Longer than any word of the templates, so that no part of one is taken for it.
_STAND_INS = {"name": "zzzzzzzzzzplural", "item": "zzzzzzzzzzsingular"}


def rendered(which: str, words: Mapping[str, str]) -> dict[PurePosixPath, str]:
    """Return the files of the set ``which`` by their paths. Raises KeyError where a template needs another word."""
    files: dict[PurePosixPath, str] = {}
    folder = _FOLDER / which
    for template in sorted(folder.rglob(f"*{_SUFFIX}")):
        path = template.relative_to(folder).as_posix().removesuffix(_SUFFIX)
        text = Template(template.read_text(encoding="utf-8")).substitute(words)
        path = path.replace("PACKAGE", words["package"]).replace("NAME", words["name"]).replace("DOT", ".")
        files[PurePosixPath(path)] = _with_imports_sorted(text) if path.endswith(".py") else text
    return files


@cache
def words_of_templates() -> frozenset[str]:
    """Return the names that the Python code of a service uses itself: a service called so would hide one of them."""
    stand_ins = _STAND_INS | {key.capitalize(): word.capitalize() for key, word in _STAND_INS.items()}
    words = stand_ins | {"NAME": "X", "an": "a", "package": "zzzz_package", "gateway": "zzzz_gateway"}
    words |= dict.fromkeys(("distribution", "install", "port", "workspace"), "")
    found: set[str] = set()
    for which in ("service", "routes"):
        for path, text in rendered(which, words).items():
            if path.suffix == ".py":
                tokens = tokenize.generate_tokens(io.StringIO(text).readline)
                found |= {token.string for token in tokens if token.type == tokenize.NAME}
    return frozenset(word for word in found if "zzzz" not in word.lower())


def install_from_wheels(root: str) -> str:
    """Return the command that installs a service where limen-kit comes from the wheels of the project at ``root``."""
    return f'python -m pip install --find-links {root}/wheels -e ".[test]"'


def install_from_workspace(root: str) -> str:
    """Return the same where the kit is in the project at ``root``."""
    return f'python -m pip install -e {root}/kit -e ".[test]"'


def _with_imports_sorted(text: str) -> str:
    """Return ``text`` with each block of ``from`` imports in order: where a package stands depends on its name."""
    return _IMPORTS.sub(lambda block: "".join(sorted(_IMPORT.findall(block[0]), key=_module)), text)


def _module(statement: str) -> str:
    return statement.split()[1]
