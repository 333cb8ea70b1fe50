"""From ``module:attribute`` to the application, with every failure as one clear line."""

import contextlib
import gc
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import click

from limen.cli.place import described, place
from limen.errors import DeclarationError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from limen.app.gateway import Gateway


def load(spec: str) -> object:
    """Import an application, any that can be served. Raises ClickException."""
    found = _found(spec)
    if not callable(found):
        raise click.ClickException(f"{spec} is of type {type(found).__name__}, not an application; name one")
    return found


def is_gateway(app: object) -> "TypeGuard[Gateway]":
    """Tell whether ``app`` is one. Nothing is before ``limen.app.gateway`` is imported, and FastAPI with it: not here."""
    module = sys.modules.get("limen.app.gateway")
    return module is not None and isinstance(app, module.Gateway)


def load_gateway(spec: str) -> "Gateway":
    """Import ``spec`` and compile it. Raises ClickException, with all problems of a declaration."""
    app = _found(spec)
    if not is_gateway(app):
        raise click.ClickException(f"{spec} is of type {type(app).__name__}, not a limen.Gateway")
    try:
        app.compile()
    except DeclarationError as error:
        raise click.ClickException(str(error)) from error
    return app


@contextlib.contextmanager
def collector_rests() -> Generator[None]:
    """Look for no cycles while much is imported, of which nearly everything stays: a tenth of the time that it takes.

    An application that turns it off meanwhile, or sets thresholds of its own, is heard.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(0)
    try:
        yield
    finally:
        if gc.get_threshold()[0] == 0:
            gc.set_threshold(*thresholds)


def check_spec(spec: str) -> None:
    """See that there is such a module, without running any of it. Raises ClickException.

    Of a dotted name only the first part is looked for: the others are within a package, whose code may decide where.
    """
    module, _ = _parts(spec)
    name = module.partition(".")[0]
    if find_spec(name) is None:
        raise _missing(name, spec)


def _parts(spec: str) -> tuple[str, str]:
    """Return module and attribute; the current directory is importable from here on."""
    module, _, attribute = spec.partition(":")
    if not module or not attribute or module.endswith(".py"):
        raise click.UsageError(f"{spec!r} does not name an application; write module:attribute, such as shop.app:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    return module, attribute


def _missing(name: str, spec: str) -> click.ClickException:
    return click.ClickException(
        f"there is no module {name!r}; is it installed, and are you in its folder? (looking for {spec})"
    )


def _found(spec: str) -> object:
    """Import ``spec``; the current directory is importable. Raises ClickException."""
    module, attribute = _parts(spec)
    try:
        with collector_rests():
            found: object = import_module(module)
    except DeclarationError as error:
        raise click.ClickException(str(error) + place(error, "\n")) from error
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise _missing(error.name, spec) from error
        raise click.ClickException(f"{spec} cannot be imported: {described(error)}") from error
    except (Exception, SystemExit) as error:
        if _is_invalid(error):
            raise _invalid(spec, error) from error
        raise click.ClickException(f"{spec} cannot be imported: {described(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise click.ClickException(f"module {module!r} has no {attribute!r}; name the application in it")
        found = getattr(found, part)
    return found


def _is_invalid(error: BaseException) -> "TypeGuard[ValidationError]":
    """Tell whether ``error`` is pydantic's; as with ``is_gateway``."""
    module = sys.modules.get("pydantic")
    return module is not None and isinstance(error, module.ValidationError)


def _invalid(spec: str, error: "ValidationError") -> click.ClickException:
    # A settings model, most likely. Never print its input: it may be a secret.
    wrong = "; ".join(
        f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors(include_input=False)
    )
    at = place(error, " ", source=False)
    return click.ClickException(f"{spec} cannot start with these settings ({error.title}): {wrong}{at}")
