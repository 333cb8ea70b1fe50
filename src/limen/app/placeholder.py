"""Tells a stub's body from one that does something: ``...``, a docstring or ``raise NotImplementedError`` alone."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

PLACEHOLDER = (
    "the function does nothing, as that of a stub, and there is no upstream=; name the service that answers, or write what "
    "the endpoint does"
)

SOCKET_PLACEHOLDER = "the function does nothing, and no service answers a WebSocket; write what the endpoint does"


def is_placeholder(function: Callable[..., Any]) -> bool:
    """Tell whether ``function`` has the body of a stub, and no other; False where its source is not at hand.

    Who means an endpoint that answers null says ``pass`` or ``return None``.
    """
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return False  # a decorator stands around it
    if {*function.__code__.co_names} - {"NotImplementedError"}:
        return False  # it names something
    try:
        source = textwrap.dedent(inspect.getsource(function))
        parsed = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return False
    if not isinstance(parsed, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    body = parsed.body[1:] if ast.get_docstring(parsed, clean=False) is not None else parsed.body
    return all(map(_says_nothing, body))


def _says_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(ast.Constant(value)):
            return value is ...
        case ast.Raise(ast.Name("NotImplementedError") | ast.Call(ast.Name("NotImplementedError"))):
            return True
        case _:
            return False
