"""``route``: the decorator of the article, with its twelve parameters. It declares a stub, as ``app.get(...)`` would."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from limen.app.options import RouteOptions, Verbs
from limen.auth.rules import anyone
from limen.compat import access, services
from limen.compat.access import Default
from limen.compat.handler import check_payload, stub_of
from limen.compat.mistakes import Mistake, Mistakes
from limen.compat.names import label, resolve
from limen.errors import DeclarationError
from limen.upstream.declared import Upstream

Handler = TypeVar("Handler", bound=Callable[..., Any])
Named = str | Callable[..., Any]

_VERBS = ("get", "post", "put", "patch", "delete")


def route(
    request_method: Callable[..., Any],
    path: str,
    status_code: int,
    payload_key: str | None,
    service_url: str | Upstream,
    authentication_required: bool = False,
    post_processing_func: Named | None = None,
    authentication_token_decoder: Named | Default = Default.AUTH,
    service_authorization_checker: Named | Default | None = Default.ADMIN,
    service_header_generator: Named | Default | None = Default.IDENTITY,
    response_model: Any = None,
    response_list: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare a route in the form of the article. The handler is never run; ``Request`` and ``Response`` in it are ignored.

    - ``request_method``: ``app.get``, ``.post``, ``.put``, ``.patch`` or ``.delete`` of a ``Gateway`` or a group.
    - ``path``: the public path, and that at the service.
    - ``status_code``: the documented status of success; ``post_processing_func`` gets answers of this status only.
    - ``payload_key``: the argument of the handler that is the body. None refuses requests with a body (413).
    - ``service_url``: the address of the service. A path in it comes before ``path``. An ``Upstream`` may be given instead.
    - ``authentication_required``: whether there is a caller at all. Without, the next three but one have no meaning.
    - ``post_processing_func``: a function from the decoded answer to what the client gets instead; it may be async.
    - ``authentication_token_decoder``: a function from the ``Authorization`` header, or None, to the payload; whatever it
      raises is a 401 (``limen.auth.TokenDecoder``). Unless given, ``auth=`` of the gateway.
    - ``service_authorization_checker``: a function from the payload to whether the caller may call; None admits everybody
      with a good token. Unless given, ``role("admin")``.
    - ``service_header_generator``: a function from the payload to the headers that tell the service who calls; None sends
      none. It is called once at declaration, with a made-up payload. Unless given, ``identity=`` of the gateway.
    - ``response_model``: the type of the answer. Unless given, the return annotation of the handler, if it has one.
    - ``response_list``: whether the answer is a list of those.

    Functions and models may be given as dotted names, such as ``"auth.is_admin_user"``, which are resolved now.

    Mistakes are reported by the next ``compile``, all together. Raises DeclarationError for a ``request_method`` that
    belongs to no gateway.
    """
    owner, verb = _registrar(request_method)

    def decorate(handler: Handler) -> Handler:
        mistakes = Mistakes()
        options = RouteOptions()
        prefix = ""
        if (found := mistakes.collect(services.service, service_url)) is not None:
            options["upstream"], prefix = found
        if mistakes.collect(_check_status, status_code):
            options["status_code"] = status_code
        if post_processing_func and (after := mistakes.collect(_post_processing, post_processing_func)) is not None:
            options["after"] = after
        three = (authentication_token_decoder, service_authorization_checker, service_header_generator)
        if mistakes.collect(_needs_caller, authentication_required, *three):
            _add_access(options, mistakes, *three)
        else:
            options["allow"] = anyone
        mistakes.collect(_add_model, options, response_model, response_list)
        stub = mistakes.collect(stub_of, handler)
        if stub is not None and mistakes.collect(check_payload, stub, path, payload_key) is False:
            options["max_body"] = 0  # what is not declared never reached a service
        if prefix:
            options["rewrite"] = services.rewrite(prefix, owner.full_path(path))
        if mistakes.found or stub is None:
            for mistake in mistakes.found:
                owner.report(f"{verb.upper()} {owner.full_path(path)}: {mistake}")
        else:
            request_method(path, **options)(stub)
        return handler

    return decorate


def _registrar(method: object) -> tuple[Verbs, str]:
    owner: object = getattr(method, "__self__", None)
    name = getattr(method, "__name__", "")
    if not isinstance(owner, Verbs) or name not in _VERBS:
        raise DeclarationError(
            [
                f"request_method={label(method)} belongs to no gateway; give app.get, app.post, app.put, app.patch or "
                "app.delete of a Gateway, or of a group (app.group(prefix)) in place of a router"
            ]
        )
    return owner, name


def _check_status(status: object) -> bool:
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise Mistake(f"status_code={status!r} is no status of an answer, such as 200")
    return True


def _post_processing(value: object) -> Callable[..., Any]:
    # The hook of a route says by itself which arguments it may take.
    found = resolve("post_processing_func", value)
    if not callable(found):
        raise Mistake(f"post_processing_func={label(value)} is {type(found).__name__}, and no function")
    return found


def _needs_caller(required: object, decode: object, check: object, generate: object) -> bool:
    if not isinstance(required, bool):
        raise Mistake(f"authentication_required={required!r} is neither True nor False")
    given = {
        "authentication_token_decoder": decode,
        "service_authorization_checker": check,
        "service_header_generator": generate,
    }
    if not required and (idle := [name for name, value in given.items() if value and not isinstance(value, Default)]):
        raise Mistake(
            f"{idle[0]}={label(given[idle[0]])} has no effect while anyone may call; say authentication_required=True, or "
            "leave it out"
        )
    return required


def _add_access(options: RouteOptions, mistakes: Mistakes, decode: object, check: object, generate: object) -> None:
    payload_of = access.payload_of_caller if decode is Default.AUTH else access.payload_as_decoded
    method = mistakes.collect(access.decoder, decode)
    allow = mistakes.collect(access.rule, check, payload_of)
    identity = mistakes.collect(access.identity, generate, payload_of)
    if allow is not None:
        options["allow"] = allow
    if method is not None:
        options["auth"] = method
    if identity is not None:
        options["identity"] = identity


def _add_model(options: RouteOptions, value: object, several: object) -> None:
    if not value:
        if several:
            raise Mistake("response_list=True is a list of nothing; give response_model=, or leave it out")
        return
    model = resolve("response_model", value)
    try:
        if inspect.isroutine(model):  # pydantic would read its signature as a type
            raise TypeError
        TypeAdapter(model)
    except (PydanticUserError, TypeError):
        raise Mistake(
            f"response_model={label(value)} is {type(model).__name__}, and no type of an answer; name a pydantic model"
        ) from None
    options["response_model"] = list[model] if several else model
