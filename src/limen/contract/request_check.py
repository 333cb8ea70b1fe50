"""A request against the contract of its route: what its head says of a body, its parameters, its declared body."""

import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from limen.contract.contract import Contract
from limen.contract.form_body import FormBody
from limen.contract.json_body import JsonBody
from limen.contract.parameters import ParameterLocation, ParameterValues
from limen.contract.text_body import TextBody
from limen.contract.urlencoded import ambiguous_names, group_values, parse_pairs
from limen.contract.violations import MOST_LISTED, Violations, violation
from limen.errors import Fault, Invalid, Kind
from limen.fairness.validations import FULL, LIGHT, NOT_DONE, MostValues, NotDone, Validations, heavy
from limen.http.headers import Head, Headers, to_upstream

# In the quotes of a cookie's value: a byte by its number, or any character.
_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")

# Parameters in one query, and cookies in one request, where any are declared.
MOST_FIELDS: Final = 1000

# What a head says of the body that follows it.
_OF_FRAMING: Final = frozenset((b"content-length", b"expect", b"transfer-encoding"))


class BodyFraming:
    """What a head says of the body: its ``length`` if known, and whether there is one at all.

    No dataclass: compiled, making one of those takes 3,100 instructions, and this 200.
    """

    __slots__ = ("framed", "length")

    def __init__(self, length: int | None, *, framed: bool) -> None:
        """Keep what was read."""
        self.length = length
        self.framed = framed


_NO_BODY: Final = BodyFraming(None, framed=False)
"""What nearly every head says. It is shared: nobody changes the framing of a body that is not there."""


def read_framing(head: Head, contract: Contract, max_body: int | None) -> BodyFraming | Fault:
    """Read what the head says of the body; a Fault for too much, and for an expectation that is not ours."""
    if head.none(_OF_FRAMING):
        return _NO_BODY
    if any(value.lower() != b"100-continue" for value in head.all(b"expect")):
        return Fault(Kind.EXPECTATION_FAILED)
    given = head.all(b"content-length")
    length = int(given[0]) if given and given[0].isdigit() else None
    if max_body is not None and length is not None and length > max_body:
        return too_large(max_body)
    framed = bool(length) or bool(head.all(b"transfer-encoding"))
    streamed = contract.streamed
    if framed and streamed is not None:
        kinds = head.all(b"content-type")
        if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != streamed.encode():
            return Fault(Kind.MEDIA_TYPE, f"This route takes {streamed}.")
    return BodyFraming(length, framed=framed)


def too_large(max_body: int | None) -> Fault:
    """Return the fault of a body that passes the bound of its route."""
    return Fault(Kind.BODY_TOO_LARGE, f"The request body may have {max_body} bytes on this route.")


def check_parameters(
    contract: Contract, params: Mapping[str, str], query: bytes, head: Head, strip: frozenset[bytes]
) -> Fault | None:
    """Check declared parameters; None when all fit. ``strip`` names header lines that the service does not get."""
    if not contract.params:
        return None
    in_query, in_header, in_cookie = contract.needs("query"), contract.needs("header"), contract.needs("cookie")
    if in_query and query.count(b"&") + query.count(b";") >= MOST_FIELDS:
        return _too_many_fields("query")
    if in_cookie and sum(value.count(b";") for value in head.all(b"cookie")) >= MOST_FIELDS:
        return _too_many_fields("cookie")
    given: dict[ParameterLocation, ParameterValues] = {"path": {name: (value,) for name, value in params.items()}}
    if in_query:
        read = list(parse_pairs(query.decode("latin-1")))
        if strange := [one for one in ambiguous_names(read, contract.query_names, "query") if one is not None]:
            return _unfit(Violations(tuple(strange[:MOST_LISTED]), max(0, len(strange) - MOST_LISTED)))
        given["query"] = group_values(read)
    if in_header or in_cookie:
        # As the service gets them: what a client's Connection names does not pass.
        lines = to_upstream(head.lines, strip=strip)
        if in_header:
            given["header"] = _multi((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines)
        if in_cookie:
            given["cookie"] = cookies = _cookies(lines)
            for text in cookies.get("", ()):
                if text in contract.cookie_names:  # some services take it for a name with an empty value
                    bare = violation(
                        ("cookie", text), "Input should have a value, even an empty one, after =", "ambiguous"
                    )
                    return _unfit(Violations((bare,)))
    violations = contract.check(given)
    return None if violations is None else _unfit(violations)


def check_body(
    body: JsonBody | FormBody | TextBody, content: bytes, head: Head, max_body: int | None, validations: Validations
) -> bytes | Fault | Awaitable[bytes | Fault] | None:
    """Check a declared body; return the content that the service gets. None when there is none, and need not be.

    Only a large one has to wait for its turn: then the result is one to wait for.
    """
    if not content and not body.required:
        return None
    if content and any(value.lower() != b"identity" for value in head.all(b"content-encoding")):
        return Fault(Kind.MEDIA_TYPE, f"This route takes {body.media_type} without a content coding.")
    kinds = head.all(b"content-type")
    if content and not _described(body, kinds):
        return Fault(Kind.MEDIA_TYPE, f"This route takes {body.media_type}.")
    # Of a form, escapes are what takes time.
    if not (heavy(content) if body.json else len(content) + 8 * content.count(b"%") > LIGHT):
        read = body.read(content)
        if isinstance(read, Violations):
            return _unfit(read)
        return read if content else None  # a form may have no fields, and then there is no content
    work: Callable[[], bytes | Fault | NotDone] = partial(_read_on, _reading(body, content, max_body))
    asked: Awaitable[bytes | Fault] | None = validations.ask(len(content), work)
    return FULL if asked is None else asked


def _described(body: JsonBody | FormBody | TextBody, kinds: Sequence[bytes]) -> bool:
    """Tell whether the values of ``Content-Type`` say that this is the declared body."""
    if not any(kinds) and len(kinds) <= 1:
        return body.untyped
    return len(kinds) == 1 and body.accepts(kinds[0])


def _reading(
    body: JsonBody | FormBody | TextBody, content: bytes, max_body: int | None
) -> Generator[None, None, bytes | Violations]:
    most = MostValues.of(max_body or 0)
    if body.json and most.passed(content):
        return Violations((Invalid(("body",), f"Input may hold {most}", "too_many_values"),))
    return (yield from body.read_in_steps(content))


def _read_on(reading: Generator[None, None, bytes | Violations]) -> bytes | Fault | NotDone:
    try:
        next(reading)
    except StopIteration as done:
        read: bytes | Violations = done.value
        return _unfit(read) if isinstance(read, Violations) else read
    return NOT_DONE


def _unfit(violations: Violations) -> Fault:
    return Fault(Kind.INVALID_REQUEST, errors=violations.listed, more=violations.omitted)


def _too_many_fields(where: ParameterLocation) -> Fault:
    return _unfit(Violations((Invalid((where,), f"There may be at most {MOST_FIELDS} of these", "too_long"),)))


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _cookies(lines: Headers) -> dict[str, list[str]]:
    # As Starlette reads them, but for a name that comes twice: there, the last one counts. A text without ``=`` has no name.
    chunks = (
        chunk.partition("=") if "=" in chunk else ("", "", chunk)
        for name, value in lines
        if name == b"cookie"
        for chunk in value.decode("latin-1").split(";")
        if chunk.strip()
    )
    return _multi((name.strip(), _unquoted(value.strip())) for name, _, value in chunks)


def _unquoted(value: str) -> str:
    """Return a cookie's value as Python reads it, whose own reader takes the square of the time on older versions."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(_unescaped, value[1:-1])


def _unescaped(found: "re.Match[str]") -> str:
    octal: str | None = found[1]
    return chr(int(octal, 8)) if octal is not None else found[2]
