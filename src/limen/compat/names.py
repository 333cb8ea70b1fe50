"""Functions and models by their dotted names, such as ``auth.is_admin_user``: resolved when a route is declared.

What a name leads to may be given in its place.
"""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from limen.auth.rules import is_async
from limen.compat.mistakes import Mistake


def resolve(parameter: str, value: object) -> Any:
    """Return what ``value`` names; anything but a text is returned as it is.

    Raises Mistake for a name that leads nowhere. What a module raises when it is imported is raised as it is, with its lines.
    """
    if not isinstance(value, str):
        return value
    parts = value.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise Mistake(
            f"{parameter}={value!r} is no dotted name; write module.attribute, such as 'auth.is_admin_user', or give what "
            "it names instead of the name"
        )
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            found: object = import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that it imports in turn
            continue
        for part in parts[end:]:
            found = _attribute(parameter, value, found, part)
        return found
    raise Mistake(
        f"{parameter}={value!r}: there is no module {parts[0]!r}; correct the name, or put the folder of your project on the "
        "path (limen serve looks where it is started)"
    )


def function(parameter: str, value: object, *, takes: str) -> Callable[..., Any]:
    """Return the function that ``value`` names, or is. ``takes`` says what its one argument is.

    Raises Mistake for what is no function of one argument, and for an async one: a coroutine that nobody awaits is true, and
    would admit everybody.
    """
    found = resolve(parameter, value)
    shown = label(value)
    if not callable(found):
        raise Mistake(f"{parameter}={shown} is {type(found).__name__}, and no function; name a function of {takes}")
    if is_async(found):
        raise Mistake(f"{parameter}={shown} is async, and nothing waits for it; make it def")
    try:
        signature = inspect.signature(found)
    except ValueError:  # many functions in C have no signature
        return found
    try:
        signature.bind(None)
    except TypeError:
        raise Mistake(f"{parameter}={shown} must take one argument, {takes}") from None
    return found


def label(value: object) -> str:
    """Return how ``value`` is called in messages, and in what ``limen routes`` shows."""
    if isinstance(value, str):
        return value
    return getattr(value, "__name__", None) or type(value).__name__


def _attribute(parameter: str, value: str, found: object, name: str) -> object:
    try:
        return getattr(found, name)
    except AttributeError:
        pass
    owner = getattr(found, "__name__", type(found).__name__)
    if getattr(getattr(found, "__spec__", None), "_initializing", False):
        raise Mistake(
            f"{parameter}={value!r}: {owner} is still being imported, because it imports this module in turn; move the "
            "routes, or what it needs of them, to a module of their own"
        )
    close = get_close_matches(name, dir(found), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "correct the name, or give what it names instead of the name"
    raise Mistake(f"{parameter}={value!r}: {owner} has no {name!r}; {hint}")
