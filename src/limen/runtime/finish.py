"""What happens to a success answer before the client gets it: checked, given to ``after``, checked again."""

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from limen.declare.contract import invalid, no_constant, written
from limen.declare.route import After, Route
from limen.errors import Fault, Invalid, Kind
from limen.runtime.plan import Finished, Hook

_log = logging.getLogger("limen.hooks")

_ANYTHING: TypeAdapter[object] = TypeAdapter(Any)


def finisher(route: Route) -> Hook | None:
    """Return the hook of ``route``, or None when its answers pass through unread.

    Raises TypeError when ``after`` cannot be called with the service's answer.
    """
    answer = route.contract.answer
    if route.after is not None:
        return _after(route.name, route.after, answer, silent=route.status == 204)
    return None if answer is None else _checked(answer)


def _checked(answer: TypeAdapter[object]) -> Hook:
    def check(content: bytes) -> Finished:
        try:
            value = answer.validate_json(content)
        except ValidationError as error:
            return _broken(invalid(error, ()))
        made = written(answer, value, ())
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
        raise ValueError(f"what it made is no JSON: {_places(content)}")

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
        except ValidationError as error:
            return _broken(invalid(error, ()))
        except ValueError as error:
            return Fault(Kind.UPSTREAM_CONTRACT, cause=f"the answer is not JSON: {error}")
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
    adapter: TypeAdapter[object] = TypeAdapter(annotation)
    return adapter.validate_json


def _decoded(content: bytes) -> object:
    return json.loads(content, parse_constant=no_constant)


def _name(after: After) -> str:
    return getattr(after, "__name__", type(after).__name__)


def _broken(found: Iterable[Invalid]) -> Fault:
    return Fault(Kind.UPSTREAM_CONTRACT, cause=_places(found))


def _places(found: Iterable[Invalid]) -> str:
    return "; ".join(f"{'.'.join(map(str, one.loc)) or 'answer'}: {one.msg}" for one in found)
