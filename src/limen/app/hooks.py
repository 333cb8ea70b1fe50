"""``after`` hooks as users write them: functions that may take a ``Response`` and the caller, and raise ``HTTPException``."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from starlette.exceptions import HTTPException
from starlette.responses import Response

from limen.app.http_exceptions import detail_of, has_content
from limen.contract.after import AfterHook, AfterResult
from limen.exchange.principal import Principal

_HookFunction = Callable[..., object] | Callable[..., Awaitable[object]]


def after_hook(function: _HookFunction, *, public: bool) -> AfterHook:
    """Return ``function`` as the hook of a route. A ``public`` route has no caller.

    The first argument is the service's answer: decoded JSON, or what the annotation makes of it. Arguments annotated with
    ``Response`` or ``Principal`` are recognized at any position. Raises TypeError for any others.
    """
    name = _name(function)
    hints = _hints(name, function)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # many functions in C have no signature
        raise TypeError(f"after={name} does not tell what it takes; wrap it in a function") from None
    answer: inspect.Parameter | None = None
    responses: list[str] = []
    callers: list[str] = []
    for one in parameters.values():
        hint: Any = _without_metadata(hints.get(one.name, Any))
        if _is_response(hint):
            if hint not in (Response, Response | None):
                raise TypeError(
                    f"after={name} takes a {getattr(hint, '__name__', hint)}; take a Response, to set status and headers"
                )
            responses.append(one.name)
        elif _is_principal(hint):
            if public and hint is Principal:
                raise TypeError(f"after={name} takes a Principal, and anyone may call; take a Principal | None")
            callers.append(one.name)
        elif answer is None and one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD):
            answer = one
        elif one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise TypeError(
                f"after={name} must take one argument, the service's decoded answer, and perhaps a Response and a Principal; "
                f"{one.name} is none of these"
            )
    if answer is None:
        raise TypeError(f"after={name} must take one argument, the service's decoded answer")
    if answer.kind is answer.VAR_POSITIONAL and (responses or callers):
        raise TypeError(f"after={name} must take the service's answer as an argument of its own, not as *{answer.name}")
    positional = [one for one in (*responses, *callers) if parameters[one].kind is inspect.Parameter.POSITIONAL_ONLY]
    if positional:
        raise TypeError(f"after={name} takes {positional[0]} by position alone; take it by its name")
    run = _runner(name, function, answer, responses, callers)
    return AfterHook(name, hints.get(answer.name, Any), run)


def _runner(
    name: str, function: _HookFunction, answer: inspect.Parameter, responses: list[str], callers: list[str]
) -> Callable[[object, Principal | None], AfterResult | Awaitable[AfterResult]]:
    by_name = answer.kind is answer.POSITIONAL_OR_KEYWORD and bool(responses or callers)

    async def run_async(returned: Awaitable[object], response: Response | None) -> AfterResult:
        try:
            return _to_result(name, await returned, response)
        except HTTPException as error:
            return _to_problem(name, error)

    def run(value: object, caller: Principal | None) -> AfterResult | Awaitable[AfterResult]:
        given: dict[str, object] = dict.fromkeys(callers, caller)
        response: Response | None = None
        if responses:
            response = Response()
            del response.headers["content-length"]
            cast("Any", response).status_code = None  # until the hook says another
            given |= dict.fromkeys(responses, response)
        try:
            returned = function(**{answer.name: value}, **given) if by_name else function(value, **given)
        except HTTPException as error:
            return _to_problem(name, error)
        return run_async(returned, response) if inspect.isawaitable(returned) else _to_result(name, returned, response)

    return run


def _to_result(name: str, returned: object, response: Response | None) -> AfterResult:
    if not isinstance(returned, Response):
        if response is None:
            return AfterResult(returned)
        return AfterResult(returned, response.status_code, tuple(response.raw_headers))
    content: Any = getattr(returned, "body", None)
    if not isinstance(content, bytes | memoryview) or returned.background is not None:
        raise TypeError(
            f"{name} returned a {type(returned).__name__} without content of its own, or with tasks of its own"
        )
    # As in FastAPI's own endpoints, headers of the injected Response are kept.
    more = () if response is None else tuple(response.raw_headers)
    lines = tuple(line for line in returned.raw_headers if line[0] != b"content-length")
    return AfterResult(None, returned.status_code, (*more, *lines), content=_as_bytes(content))


def _as_bytes(content: Any) -> bytes:
    return bytes(content)


def _to_problem(name: str, error: HTTPException) -> AfterResult:
    lines = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in (error.headers or {}).items())
    if not has_content(error):
        return AfterResult(None, error.status_code, lines, content=b"")
    return AfterResult(None, error.status_code, lines, problem=detail_of(error, f"the after hook {name}"))


def _name(function: object) -> str:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return getattr(function, "__name__", type(function).__name__)


def _hints(name: str, function: object) -> Mapping[str, Any]:
    """Return the annotations of the arguments of the function that is called in the end."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    given = {key: value for key, value in getattr(function, "__annotations__", {}).items() if key != "return"}
    names: dict[str, Any] = getattr(inspect.unwrap(cast("Any", function)), "__globals__", {})
    try:
        return get_type_hints(SimpleNamespace(__annotations__=given), names, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"after={name} needs {error.name!r}, which is not defined when it is declared; import it outside of "
            "`if TYPE_CHECKING:`, at the top of the module, or define it above the stub"
        ) from None


def _without_metadata(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_response(hint: object) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(part is not NoneType and _is_response(part) for part in get_args(hint))
    return isinstance(hint, type) and issubclass(hint, Response)


def _is_principal(hint: object) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return all(part in (Principal, NoneType) for part in get_args(hint))
    return hint is Principal
