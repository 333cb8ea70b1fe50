"""``limen matrix``: prints who may call what, writes it to a file for review, or compares it with that file."""

import difflib
import json
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import click

from limen.app.gateway import Gateway
from limen.cli.load import load_gateway
from limen.routing.table import ANY, WEBSOCKET
from limen.runtime.local_route import LocalEntry
from limen.runtime.matrix import Matrix, MatrixRow, Ruled
from limen.runtime.matrix import matrix as compute_matrix

Format = Literal["text", "markdown", "json"]

_BY_SUFFIX: dict[str, Format] = {".md": "markdown", ".json": "json"}

FASTAPI = "FastAPI"
GATEWAY = "gateway"
BAR = r"\|"

LEGEND: tuple[str, ...] = (
    "anonymous: nobody has said who they are; a token that is expired or not genuine is answered as none",
    "signed in: who has none of the roles and scopes named here; the others have what they are named after, and no more",
    "owner X: whose id is the path parameter X; - where the rule does not read it",
    "allowed, or the status that refuses; ? where a function decides by what only a real caller has",
    "FastAPI: an endpoint of the gateway's own; one without allow= has no rule and is not judged",
    "gateway: its own health endpoint, which has no rule",
    "dependencies of a route may refuse besides; limen routes names them",
    "HEAD is answered as GET; OPTIONS of a path with rules tells everybody its methods",
)
API_KEY_NOTE = "API key: where AUTH takes keys, one that has roles is answered as a token with them"


def matrix(spec: str, *, form: Format | None, output: Path | None, check: Path | None) -> None:
    """Print the matrix of the gateway at ``spec``, write it to ``output``, or compare it with the file ``check``.

    ``form`` None means the format that the file's suffix says, and text without a file. A difference is status 1.
    """
    if output is not None and check is not None:
        raise click.UsageError("--output writes the file and --check compares it: give one of the two")
    file = output or check
    form = form or ("text" if file is None else _BY_SUFFIX.get(file.suffix, "text"))
    text = FORMS[form](matrix_of(load_gateway(spec)))
    if output is not None:
        write(output, text)
    elif check is not None:
        _compare(spec, form, check, text)
    else:
        click.echo(text, nl=False)


def matrix_of(app: Gateway) -> Matrix:
    """Return the matrix of ``app``, which must compile."""
    active = app.active_config()
    auth = active.runtime.auth
    ruled = [Ruled.of(route) for route in app.declared()]
    local = app.local_endpoints()
    ruled += [Ruled(_methods(one), one.path, FASTAPI, one.allow, one.auth) for one in local if one.allow is not None]
    unruled = [MatrixRow(_methods(one), one.path, FASTAPI) for one in local if one.allow is None]
    unruled += [MatrixRow(("GET",), one.path, GATEWAY) for one in active.table.health]
    return compute_matrix(ruled, auth, unruled)


def _methods(entry: LocalEntry) -> tuple[str, ...]:
    """Return the methods for a table; HEAD comes with GET."""
    if entry.methods in ((ANY,), (WEBSOCKET,)):
        return ("ANY",)
    return tuple(sorted(set(entry.methods) - ({"HEAD"} if "GET" in entry.methods else set[str]())))


def text(matrix: Matrix) -> str:
    """Return a table for the terminal."""
    rows = [_head(matrix), *(_cells(matrix, row) for row in matrix.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *_notes(matrix)]) + "\n"


def markdown(matrix: Matrix) -> str:
    """Return a page to be committed. Columns are not aligned, so that a change of one route changes one line."""
    head, *rows = [_head(matrix), *(_cells(matrix, row) for row in matrix.rows)]
    lines = [_line(map(_escape, head)), _line(["---"] * len(head))]
    lines += [_line([verbs, _code(path), service, _code(allow), *rest]) for verbs, path, service, allow, *rest in rows]
    intro = "Made by `limen matrix`, which asks the rules themselves. A change here is a change of who may call what."
    items = [f"- {_escape(line)}." for line in _notes(matrix)]
    return "\n".join(["# Who may call what", "", intro, "", *lines, "", *items]) + "\n"


def as_json(matrix: Matrix) -> str:
    """Return a JSON document."""
    names = [caller.name for caller in matrix.callers]
    document = {
        "routes": [
            {
                "methods": list(row.methods),
                "path": row.path,
                "service": row.service,
                "allow": row.allow or None,
                "auth": row.auth or None,
                "verdicts": dict(zip(names, row.verdicts, strict=True)) if row.verdicts else None,
            }
            for row in matrix.rows
        ],
        "functions": dict(matrix.functions),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FORMS: dict[Format, Callable[[Matrix], str]] = {"text": text, "markdown": markdown, "json": as_json}


def write(file: Path, text: str) -> None:
    """Write ``file`` atomically. Raises ClickException."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


def _compare(spec: str, form: Format, file: Path, text: str) -> None:
    command = shlex.join(["limen", "matrix", spec, "--format", form, "--output", str(file)])
    try:
        committed = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise click.ClickException(f"{file} is not there; write it with: {command}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{file} cannot be read: {type(error).__name__}; write it with: {command}"
        ) from error
    if committed == text:
        click.echo(f"{file}: it is as the rules are.")
        return
    lines = difflib.unified_diff(
        committed.splitlines(), text.splitlines(), str(file), f"limen matrix {spec}", lineterm=""
    )
    click.echo("\n".join(lines))
    raise click.ClickException(f"{file} is not as the rules are; if it should be, write it with: {command}")


def _head(matrix: Matrix) -> list[str]:
    return ["METHOD", "PATH", "SERVICE", "ALLOW", "AUTH", *(caller.name for caller in matrix.callers)]


def _cells(matrix: Matrix, row: MatrixRow) -> list[str]:
    cells = [" ".join(row.methods), row.path, row.service, row.allow, row.auth]
    return [*cells, *(row.verdicts or [""] * len(matrix.callers))]


def _notes(matrix: Matrix) -> list[str]:
    notes: list[str] = [*LEGEND]
    if any(caller.credential == "key" for caller in matrix.callers):
        notes.append(API_KEY_NOTE)
    for name, read in matrix.functions:
        also = f", and it reads {read}" if read else ""
        notes.append(f"{name} is a function: roles and scopes that it looks for have no column{also}")
    return notes


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def _code(cell: str) -> str:
    return f"`{cell}`" if cell else ""


def _escape(text: str) -> str:
    """Escape characters of Markdown: tags (the name of a lambda is ``<lambda>``) and emphasis."""
    for mark in "\\<*_`":
        text = text.replace(mark, f"\\{mark}")
    return text
