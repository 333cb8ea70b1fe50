"""Importing the application at ``module:attribute``, with every failure as one clear line."""

import contextlib
import gc
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import click

from limen.cli.source_location import describe, source_location
from limen.errors import DeclarationError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from limen.app.gateway import Gateway


def load(spec: str) -> object:
    """Import an ASGI application. Raises ClickException."""
    app = _import(spec)
    if not callable(app):
        raise click.ClickException(f"{spec} is of type {type(app).__name__}, not an application; name one")
    return app


def is_gateway(app: object) -> "TypeGuard[Gateway]":
    """Tell whether ``app`` is a Gateway, without importing ``limen.app.gateway`` and FastAPI: no app is before that."""
    module = sys.modules.get("limen.app.gateway")
    return module is not None and isinstance(app, module.Gateway)


def import_gateway(spec: str) -> "Gateway":
    """Import ``spec``, and compile nothing. Raises ClickException."""
    app = _import(spec)
    if not is_gateway(app):
        raise click.ClickException(f"{spec} is of type {type(app).__name__}, not a limen.Gateway")
    return app


def load_gateway(spec: str) -> "Gateway":
    """Import ``spec`` and compile it. Raises ClickException, with all problems of a declaration."""
    app = import_gateway(spec)
    try:
        app.compile()
    except DeclarationError as error:
        raise click.ClickException(str(error)) from error
    return app


@contextlib.contextmanager
def collector_paused() -> Generator[None]:
    """Pause the garbage collector during imports, of which nearly everything stays: that is a tenth of their time.

    If an application disables it meanwhile, or sets thresholds of its own, that stays in effect.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(0)
    try:
        yield
    finally:
        if gc.get_threshold()[0] == 0:
            gc.set_threshold(*thresholds)


def check_spec(spec: str) -> None:
    """Check that the module exists, without running any of it. Raises ClickException.

    Only the first part of a dotted name is checked: the others are within a package, whose code may decide where.
    """
    module, _ = _split(spec)
    name = module.partition(".")[0]
    if find_spec(name) is None:
        raise _missing_module(name, spec)


def _split(spec: str) -> tuple[str, str]:
    """Return module and attribute; the current directory is importable from here on."""
    module, _, attribute = spec.partition(":")
    if not module or not attribute or module.endswith(".py"):
        raise click.UsageError(f"{spec!r} does not name an application; write module:attribute, such as shop.app:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    return module, attribute


def _missing_module(name: str, spec: str) -> click.ClickException:
    return click.ClickException(
        f"there is no module {name!r}; is it installed, and are you in its folder? (looking for {spec})"
    )


def _import(spec: str) -> object:
    """Import ``spec``; the current directory is importable. Raises ClickException."""
    module, attribute = _split(spec)
    try:
        with collector_paused():
            value: object = import_module(module)
    except DeclarationError as error:
        raise click.ClickException(str(error) + source_location(error, "\n")) from error
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise _missing_module(error.name, spec) from error
        raise click.ClickException(f"{spec} cannot be imported: {describe(error)}") from error
    except (Exception, SystemExit) as error:
        if _is_validation_error(error):
            raise _invalid_settings(spec, error) from error
        raise click.ClickException(f"{spec} cannot be imported: {describe(error)}") from error
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise click.ClickException(f"module {module!r} has no {attribute!r}; name the application in it")
        value = getattr(value, part)
    return value


def _is_validation_error(error: BaseException) -> "TypeGuard[ValidationError]":
    """Tell whether ``error`` is a ValidationError, without importing pydantic."""
    module = sys.modules.get("pydantic")
    return module is not None and isinstance(error, module.ValidationError)


def _invalid_settings(spec: str, error: "ValidationError") -> click.ClickException:
    # Of a settings model, most likely. Its input is never printed: it may be a secret.
    problems = "; ".join(
        f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors(include_input=False)
    )
    location = source_location(error, " ", source=False)
    return click.ClickException(f"{spec} cannot start with these settings ({error.title}): {problems}{location}")
