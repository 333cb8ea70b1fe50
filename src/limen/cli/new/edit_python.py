"""The gateway's modules with one more service: found by their syntax trees, changed as text, so comments and forms stay.

What is looked for is what the shop's gateway has, and what ``limen new project`` makes:

- a function with lines such as ``suppliers.declare(app, Upstream("suppliers", settings.suppliers_service_url))``
- a class with fields such as ``suppliers_service_url: Addresses``
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from limen.cli.new.lines import joined, split
from limen.cli.new.plan import CannotEdit

_WIDTH = 120
_FIELD = "_service_url"


@dataclass(frozen=True, slots=True)
class _Declared:
    """A line that declares the routes of a service: its statement, the module that it calls, and what it calls it with.

    ``upstream`` is the last ``Upstream(NAME, settings.NAME_service_url)`` of the same function.
    """

    statement: ast.Expr
    module: str
    app: ast.expr
    upstream: ast.Call
    address: ast.Attribute


def declares(text: str) -> bool:
    """Tell whether ``text`` has a function that declares the routes of services."""
    try:
        return any(_declarations(ast.parse(text)))
    except SyntaxError:
        return False


def add_routes(text: str, name: str, *, package: str, title: str) -> str:
    """Return the gateway's module with the routes of ``name``: the import, a tag where there are tags, and the line.

    ``package`` is that of the modules of routes, ``title`` what the tag says. Raises CannotEdit.
    """
    by_hand = (
        f"from {package} import {name}\n\n"
        f'{name}.declare(app, Upstream("{name}", settings.{name}{_FIELD}))  # where the others are declared'
    )
    tree = _parse(text, by_hand)
    found = list(_declarations(tree))
    if not found:
        raise CannotEdit(
            'it has no line such as notes.declare(app, Upstream("notes", settings.notes_service_url))', by_hand
        )
    last = found[-1].statement
    end = last.end_lineno or last.lineno
    modules = {one.module for one in found}
    edits = [
        _import(tree, package, name, by_hand),
        *_tag(tree, modules, name, title),
        (end, end, _declaration(found[-1], name)),
    ]
    lines = split(text)
    # From the end to the beginning, so that the numbers of lines stay true.
    for first, behind, new in sorted(edits, reverse=True):
        lines[first:behind] = new
    return _checked(lines, by_hand)


def add_setting(text: str, name: str) -> str:
    """Return the gateway's settings with the address of ``name``, after those of the others. Raises CannotEdit."""
    by_hand = f"    {name}{_FIELD}: Addresses  # in the class Settings"
    fields = [
        field
        for one in ast.walk(_parse(text, by_hand))
        if isinstance(one, ast.ClassDef)
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id.endswith(_FIELD)
    ]
    if not fields:
        raise CannotEdit(f"no class has a field whose name ends with {_FIELD}", by_hand)
    last = fields[-1]
    lines = split(text)
    line = f"{' ' * last.col_offset}{name}{_FIELD}: {ast.unparse(last.annotation)}"
    end = last.end_lineno or last.lineno
    lines[end:end] = [line]
    return _checked(lines, by_hand)


def missing_names(text: str, names: tuple[str, ...]) -> list[str]:
    """Return which of ``names`` the module ``text`` does not define or import at its top."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return list(names)
    there = {name for statement in tree.body for name in _defined(statement)}
    return [name for name in names if name not in there]


def _defined(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
            yield from (alias.asname or alias.name for alias in aliases)
        case _:
            pass


def _declarations(tree: ast.Module) -> Iterator[_Declared]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        upstreams = [found for node in ast.walk(function) if (found := _upstream(node)) is not None]
        for statement in function.body if upstreams else ():
            match statement:
                case ast.Expr(
                    value=ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr="declare"), args=[app, *_])
                ):
                    yield _Declared(statement, module, app, *max(upstreams, key=lambda found: found[0].lineno))
                case _:
                    pass


def _upstream(node: ast.AST) -> tuple[ast.Call, ast.Attribute] | None:
    match node:
        case ast.Call(func=ast.Name(id="Upstream"), args=[ast.Constant(), ast.Attribute() as address, *_]):
            return (node, address) if address.attr.endswith(_FIELD) else None
        case _:
            return None


def _declaration(like: _Declared, name: str) -> list[str]:
    """Return the lines that declare ``name`` as ``like`` is: with the same application, settings and timeouts."""
    options = "".join(
        f", {option.arg}={option.value.id}"
        for option in like.upstream.keywords
        if option.arg == "timeouts" and isinstance(option.value, ast.Name)
    )
    upstream = f'Upstream("{name}", {ast.unparse(like.address.value)}.{name}{_FIELD}{options})'
    indent = " " * like.statement.col_offset
    arguments = f"{ast.unparse(like.app)}, {upstream}"
    whole = f"{indent}{name}.declare({arguments})"
    return [whole] if len(whole) <= _WIDTH else [f"{indent}{name}.declare(", f"{indent}    {arguments}", f"{indent})"]


_Edit = tuple[int, int, list[str]]


def _import(tree: ast.Module, package: str, name: str, by_hand: str) -> _Edit:
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == package and not statement.level:
            aliases = [ast.unparse(alias) for alias in statement.names]
            names = sorted({*aliases, name})
            line = f"from {package} import {', '.join(names)}"
            wrapped = [f"from {package} import (", *(f"    {one}," for one in names), ")"]
            end = statement.end_lineno or statement.lineno
            return statement.lineno - 1, end, [line] if len(line) <= _WIDTH else wrapped
    raise CannotEdit(f"it has no line from {package} import ...", by_hand)


def _tag(tree: ast.Module, modules: Collection[str], name: str, title: str) -> Iterator[_Edit]:
    """Yield the edit that describes the tag, after the last one of another service; none where tags are not described."""
    found = [
        element
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List)
        for element in statement.value.elts
        if isinstance(element, ast.Dict) and _tag_name(element) in modules
    ]
    if found:
        end = found[-1].end_lineno or found[-1].lineno
        indent = " " * found[-1].col_offset
        yield end, end, [f'{indent}{{"name": "{name}", "description": "{title}"}},']


def _tag_name(element: ast.Dict) -> object:
    match element:
        case ast.Dict(keys=[ast.Constant(value="name"), *_], values=[ast.Constant(value=name), *_]):
            return name
        case _:
            return None


def _parse(text: str, by_hand: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise CannotEdit(f"it is not Python (line {error.lineno}: {error.msg})", by_hand) from error


def _checked(lines: list[str], by_hand: str) -> str:
    text = joined(lines)
    _parse(text, by_hand)
    return text
