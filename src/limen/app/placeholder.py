"""Tells a stub's body from one that does something: ``...`` or a docstring, and nothing else."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

PLACEHOLDER = (
    "the function does nothing, as that of a stub, and there is no upstream=; name the service that answers, or write what "
    "the endpoint does"
)


def is_placeholder(function: Callable[..., Any]) -> bool:
    """Tell whether ``function`` has ``...`` or a docstring alone for a body; False where its source is not at hand.

    Who means an endpoint that answers null says ``pass`` or ``return None``.
    """
    if not inspect.isfunction(function) or function.__code__.co_names or hasattr(function, "__wrapped__"):
        return False  # it names something, or a decorator stands around it
    try:
        source = textwrap.dedent(inspect.getsource(function))
        parsed = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return False
    if not isinstance(parsed, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    body = parsed.body[1:] if ast.get_docstring(parsed, clean=False) is not None else parsed.body
    return all(
        isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and one.value.value is ... for one in body
    )
