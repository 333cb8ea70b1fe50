"""What happens to a success answer before the client gets it: checked, given to ``after``, checked again.

A large answer waits for its turn of the event loop (``validations``).
"""

import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from limen.declare.checker import Checker
from limen.declare.contract import written
from limen.declare.misfits import Misfits
from limen.declare.route import After, Route
from limen.declare.strict_json import no_constant
from limen.errors import Fault, Kind
from limen.runtime.plan import Finished, Hook
from limen.runtime.validations import FULL, MostValues, Validations, heavy

_log = logging.getLogger("limen.hooks")

_ANYTHING: TypeAdapter[object] = TypeAdapter(Any)


def finisher(route: Route, validations: Validations) -> Hook | None:
    """Return the hook of ``route``, or None when its answers pass through unread. Large ones wait in ``validations``.

    Raises TypeError when ``after`` cannot be called with the service's answer.
    """
    answer = route.contract.answer
    if route.after is not None:
        hook = _after(route.name, route.after, answer, silent=route.status == 204)
    elif answer is not None:
        hook = _checked(answer)
    else:
        return None
    return _in_turn(hook, validations, MostValues.of(route.max_answer))


def _in_turn(hook: Hook, validations: Validations, most: MostValues) -> Hook:
    def bounded(content: bytes) -> Finished | Awaitable[Finished]:
        if most.passed(content):
            return Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most}")
        return hook(content)

    async def later(asked: Awaitable[Finished | Awaitable[Finished]]) -> Finished:
        made = await asked
        return made if isinstance(made, bytes | Fault) else await made

    def finish(content: bytes) -> Finished | Awaitable[Finished]:
        if not heavy(content):
            return hook(content)
        asked = validations.ask(len(content), partial(bounded, content))
        return FULL if asked is None else later(asked)

    return finish


def _checked(answer: TypeAdapter[object]) -> Hook:
    checker = Checker(answer)

    def check(content: bytes) -> Finished:
        value = checker.json(content, ())
        made = value if isinstance(value, Misfits) else written(answer, value, ())
        return made if isinstance(made, bytes) else _broken(made)

    return check


def _after(name: str, after: After, answer: TypeAdapter[object] | None, *, silent: bool) -> Hook:
    read = _reader(after)

    def write(made: object) -> bytes:
        if silent and made is None:
            return b""  # no JSON is empty: the client gets 204
        if answer is None:
            content = written(_ANYTHING, made, (), unset=True)
        else:
            content = written(answer, answer.validate_python(made, from_attributes=True), (), unset=True)
        if isinstance(content, bytes):
            return content
        raise ValueError(f"what it made is no JSON: {content.line()}")

    def failed(error: Exception) -> Fault:
        # The hook is the user's code: whatever it raises becomes one answer and one log entry.
        _log.error("the after hook of %s failed", name, exc_info=error)
        return Fault(Kind.HOOK_FAILED, cause=f"the after hook of {name} raised {type(error).__name__}")

    async def later(made: Awaitable[object]) -> Finished:
        try:
            return write(await made)
        except Exception as error:
            return failed(error)

    def finish(content: bytes) -> Finished | Awaitable[Finished]:
        try:
            given = read(content)
        except ValueError as error:
            return Fault(Kind.UPSTREAM_CONTRACT, cause=f"the answer is not JSON: {error}")
        if isinstance(given, Misfits):
            return _broken(given)
        try:
            made = after(given)
            return later(made) if inspect.isawaitable(made) else write(made)
        except Exception as error:
            return failed(error)

    return finish


def _reader(after: After) -> Callable[[bytes], object]:
    """Return what turns the answer's content into the hook's argument: its annotation decides."""
    parameters = [
        p
        for p in inspect.signature(after).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
    ]
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    if not parameters or len(required) > 1:
        raise TypeError(f"after={_name(after)} must take one argument, the service's decoded answer")
    hints: dict[str, Any] = get_type_hints(after if inspect.isroutine(after) else type(after).__call__)
    annotation = hints.get(parameters[0].name, Any)
    if annotation in (Any, object):
        return _decoded
    return partial(_fitting, Checker(TypeAdapter(annotation)))


def _fitting(checker: Checker, content: bytes) -> object | Misfits:
    return checker.json(content, ())


def _decoded(content: bytes) -> object:
    return json.loads(content, parse_constant=no_constant)


def _name(after: After) -> str:
    return getattr(after, "__name__", type(after).__name__)


def _broken(found: Misfits) -> Fault:
    return Fault(Kind.UPSTREAM_CONTRACT, cause=found.line())
