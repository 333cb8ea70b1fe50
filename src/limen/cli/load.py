"""From ``module:attribute`` to the application, with every failure as one clear line."""

import os
import sys
import sysconfig
import traceback
from importlib import import_module
from pathlib import Path

import click
from pydantic import ValidationError

from limen.errors import DeclarationError
from limen.gateway import Gateway

# Whose lines nobody who declares a gateway can mend: Python's, what is installed, and limen's own.
_LIBRARIES = (
    "<",  # what is frozen into Python, and what dataclasses write
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)


def load(spec: str) -> object:
    """Import an application, any that can be served. Raises ClickException."""
    found = _found(spec)
    if not callable(found):
        raise click.ClickException(f"{spec} is of type {type(found).__name__}, not an application; name one")
    return found


def load_gateway(spec: str) -> Gateway:
    """Import ``spec`` and compile it. Raises ClickException, with all problems of a declaration."""
    app = _found(spec)
    if not isinstance(app, Gateway):
        raise click.ClickException(f"{spec} is of type {type(app).__name__}, not a limen.Gateway")
    try:
        app.compile()
    except DeclarationError as error:
        raise click.ClickException(str(error)) from error
    return app


def _found(spec: str) -> object:
    """Import ``spec``; the current directory is importable. Raises ClickException."""
    module, _, attribute = spec.partition(":")
    if not module or not attribute or module.endswith(".py"):
        raise click.UsageError(f"{spec!r} does not name an application; write module:attribute, such as shop.app:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = import_module(module)
    except DeclarationError as error:
        raise click.ClickException(str(error)) from error
    except ValidationError as error:
        # A settings model, most likely. Never print its input: it may be a secret.
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}"
            for e in error.errors(include_input=False)
        )
        raise click.ClickException(f"{spec} cannot start with these settings ({error.title}): {wrong}") from error
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise click.ClickException(
                f"there is no module {error.name!r}; is it installed, and are you in its folder? (looking for {spec})"
            ) from error
        raise click.ClickException(_where(spec, error)) from error
    except Exception as error:
        raise click.ClickException(_where(spec, error)) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise click.ClickException(f"module {module!r} has no {attribute!r}; name the application in it")
        found = getattr(found, part)
    return found


def _where(spec: str, error: Exception) -> str:
    """Say what is wrong and where: at the last line that is the user's, not at one of a library that it calls."""
    all_frames = traceback.extract_tb(error.__traceback__)
    wrong = f"{type(error).__name__}: {error}"
    if isinstance(error, KeyError) and all_frames[-1].filename in ("<frozen os>", os.__file__):
        wrong = f"{error.args[0]} is not set in the environment"
    frames = [frame for frame in all_frames if "importlib" not in frame.filename]
    frames = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{spec} cannot be imported: {wrong}{place}"
