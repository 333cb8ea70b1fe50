"""Who may call, in the form of the article: the decoder, the checker and the header generator, on Limen's rules.

All three see the payload of the token. If the route has a decoder of its own, that is what the decoder returned. Otherwise
it is the claims of the token, in which ``id`` and ``user_type`` are always those of the caller as the gateway knows it: what
an outside issuer writes there may be anybody.
"""

import contextlib
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from inspect import isawaitable
from typing import Any, Final

from limen.auth.decoder import TokenDecoder
from limen.auth.rules import Params, Rule, role, signed_in
from limen.compat.mistakes import Mistake
from limen.compat.names import function, label
from limen.exchange.principal import Principal
from limen.http.declared import field_name, kept_of_requests
from limen.observe.redaction import logger

_log = logger("limen.compat")

Payload = dict[str, Any]
Identity = Mapping[str, Callable[[Principal], str | None]]
PayloadOf = Callable[[Principal], Payload]


class Default(Enum):
    """What stands for a parameter that is not given. In the original these were functions of the user's own project."""

    AUTH = "auth= of the gateway"
    ADMIN = "role('admin')"
    IDENTITY = "identity= of the gateway"


def payload_as_decoded(principal: Principal) -> Payload:
    """Return what the route's own decoder returned."""
    return dict(principal.claims)


def payload_of_caller(principal: Principal) -> Payload:
    """Return the claims of a token that the gateway has verified, with the id and the roles of the caller."""
    payload = dict(principal.claims)
    if str(payload.get("id")) != principal.id:
        payload["id"] = principal.id
    payload["user_type"] = ",".join(sorted(principal.roles))
    return payload


def decoder(value: object) -> TokenDecoder | None:
    """Return the method for ``authentication_token_decoder``; None for the gateway's own. Raises Mistake."""
    parameter = "authentication_token_decoder"
    if value is Default.AUTH:
        return None
    if not value:
        raise Mistake(
            f"{parameter}={value!r} decodes nothing; name a function, or leave it out for auth= of the gateway"
        )
    return TokenDecoder(function(parameter, value, takes="the Authorization header or None"))


def rule(value: object, payload_of: PayloadOf) -> Rule:
    """Return the rule for ``service_authorization_checker``: without one, everybody with a good token. Raises Mistake."""
    if value is Default.ADMIN:
        return role("admin")
    if not value:
        return signed_in
    check = function("service_authorization_checker", value, takes="the payload of the token")
    shown = label(value)

    def test(principal: Principal, params: Params) -> bool:
        try:
            answer = check(payload_of(principal))
            if isawaitable(answer):
                raise TypeError("a coroutine is always true")
            return bool(answer)
        except Exception as error:
            # Mostly a claim that the token does not have. Who cannot be judged is not admitted.
            _log.warning("%s raised %s, and refuses the caller", shown, type(error).__name__)
            return False

    return Rule(shown, test)


def identity(value: object, payload_of: PayloadOf) -> Identity | None:
    """Return the headers for ``service_header_generator``; None for the gateway's own. Raises Mistake."""
    if value is Default.IDENTITY:
        return None
    if not value:
        return {}
    generate = function("service_header_generator", value, takes="the payload of the token")
    hashable = getattr(generate, "__hash__", None) is not None
    make = _identity if hashable else _identity.__wrapped__
    return make(generate, label(value), payload_of)


class _MadeUpPayload(Payload):
    """A payload that has every claim, to see which headers are made of it."""

    def __missing__(self, name: str) -> str:
        return "1"

    def get(self, name: str, default: object = None) -> Any:
        return self[name]


_MADE_UP: Final = _MadeUpPayload(id=1, user_type="admin", exp=4_102_444_800)


class _Answering(Payload):
    """A payload that has one answer for every claim, or lacks each that is asked for."""

    def __init__(self, answer: object, user_type: str) -> None:
        super().__init__(id=1, user_type=user_type, exp=4_102_444_800)
        self._answer = answer

    def __missing__(self, name: str) -> object:
        if self._answer is None:
            raise KeyError(name)
        return self._answer

    def get(self, name: str, default: object = None) -> Any:
        return self[name] if name in self or self._answer is not None else default


_PROBES: Final = tuple(
    _Answering(answer, user_type)
    for answer in ("1", True, False, 1, 0, "", ["1"], None)
    for user_type in ("admin", "default", "")
)


@cache
def _identity(generate: Callable[[Payload], object], shown: str, payload_of: PayloadOf) -> Identity:
    """Return one mapping for each generator: a caller caches the lines of each.

    The names have to be known before the first request, so that clients cannot send these headers themselves.
    """
    names = _header_names(generate, shown)
    memo_key = object()

    def headers(principal: Principal) -> Mapping[str, object]:
        known: Mapping[str, object] | None = principal.memo.get(memo_key)
        if known is None:
            known = principal.memo[memo_key] = _lower(generate(payload_of(principal)))
            if strange := known.keys() - names:
                _log.error(
                    "%s makes the header %r for some callers only, so that others could send it themselves; let it make the "
                    "same headers for every payload, with None for one that is not to be sent",
                    *(shown, min(strange)),
                )
                raise LookupError("a header that was not declared")
        return known

    def tell(name: str) -> Callable[[Principal], str | None]:
        def value(principal: Principal) -> str | None:
            text = headers(principal).get(name)
            if text is not None and not isinstance(text, str):
                raise TypeError(f"the header {name!r} is no text")
            return text

        return value

    return {name: tell(name) for name in sorted(names)}


def _header_names(generate: Callable[[Payload], object], shown: str) -> frozenset[str]:
    parameter = f"service_header_generator={shown}"
    made: dict[str, object] = {}
    for payload in _PROBES:  # a header may be made for some callers only
        with contextlib.suppress(Exception):
            made |= _lower(generate(payload))
    try:
        made |= _lower(generate(_MadeUpPayload(_MADE_UP)))
    except Exception as error:
        raise Mistake(
            f"{parameter} raised {type(error).__name__} for a made-up payload, in which every claim is a text: which headers "
            "it makes has to be known before the first request; let it make them of any payload, or leave it out and say "
            "Gateway(identity={...})"
        ) from None
    for name, value in made.items():
        try:
            why = kept_of_requests(field_name(name))
        except ValueError as error:
            raise Mistake(f"{parameter}: {error}") from None
        if why is not None:
            raise Mistake(f"{parameter} makes the header {name!r}, which {why}; choose another name")
        if value is not None and not isinstance(value, str):
            raise Mistake(f"{parameter}: the header {name!r} is {type(value).__name__}, and has to be text; use str()")
    return frozenset(made)


def _lower(made: object) -> Mapping[str, object]:
    if not isinstance(made, Mapping):
        raise TypeError("a header generator returns a dict")
    headers: Mapping[object, object] = made  # pyright: ignore[reportUnknownVariableType] - each is looked at
    return {str(name).lower(): value for name, value in headers.items()}
