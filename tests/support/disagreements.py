"""Where Limen and another reader of the same bytes part ways, and why: each class is a predicate, and each has its
paragraph in ``tests/differential/disagreements.md``. What no class explains fails the test.

``stricter``: h11 takes a request that we do not. ``looser``: we take one that h11 or nginx does not, which is the dangerous
side: those predicates look at the very reason. ``open``: a bug that is known; nothing else may hide behind it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from verdicts import Accepted, Verdict

Side = Literal["stricter", "looser", "open"]


@dataclass(frozen=True)
class Case:
    """One request that one of the two took alone."""

    data: bytes
    """The stream, from the line of the request on, where that line is found."""
    before: bytes
    """The stream before it."""
    request: Accepted
    theirs: str
    """Why the other refused, if it did."""


@dataclass(frozen=True)
class Class:
    """One explained disagreement."""

    name: str
    side: Side
    explains: Callable[[Case], bool]


def _data(pattern: bytes, flags: int = re.IGNORECASE) -> Callable[[Case], bool]:
    compiled = re.compile(pattern, flags)
    return lambda case: compiled.search(case.data) is not None


def _stream(pattern: bytes, flags: int = re.IGNORECASE) -> Callable[[Case], bool]:
    compiled = re.compile(pattern, flags)
    return lambda case: compiled.search(case.before + case.data) is not None


def _target(pattern: bytes) -> Callable[[Case], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda case: compiled.search(case.request.target) is not None


def _said(*words: str) -> Callable[[Case], bool]:
    return lambda case: any(word in case.theirs for word in words)


def _both(*all_of: Callable[[Case], bool]) -> Callable[[Case], bool]:
    return lambda case: all(one(case) for one in all_of)


_METHODS = b"DELETE GET HEAD OPTIONS PATCH POST PUT".split()
_OLD = rb"^[^\r\n]* HTTP/1\.0\r?$"
_M = re.IGNORECASE | re.MULTILINE

CLASSES = (
    # --- h11 takes it, we do not ---
    Class("bare-lf", "stricter", _data(rb"(?<!\r)\n")),
    Class("bare-cr", "stricter", _data(rb"\r(?!\n)")),
    Class("obs-fold", "stricter", _data(rb"\r\n[ \t]")),
    Class("controls", "stricter", _data(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")),
    Class("length-and-coding", "stricter", _both(_data(rb"^content-length", _M), _data(rb"^transfer-encoding", _M))),
    Class("lengths", "stricter", _data(rb"^content-length[^\n]*(,|\n[^\0]*^content-length)", _M)),
    Class("length-size", "stricter", _data(rb"^content-length:\s*\d{9,}", _M)),
    Class("coding-in-1.0", "stricter", _both(_data(_OLD, _M), _data(rb"^transfer-encoding", _M))),
    Class("methods", "stricter", lambda case: case.request.method not in _METHODS),
    Class("asterisk", "stricter", _target(rb"^[^/]")),
    Class(
        "paths",
        "stricter",
        _target(rb"//|\\|(^|/)(\.|%2e){1,2}($|[/?;])|%(2f|5c|00)|%(?![0-9a-f]{2})|;|[\x80-\xff]|^[^?]*%25"),
    ),
    Class("paths-utf8", "stricter", _target(rb"%[89a-f][0-9a-f]")),
    Class("fragment", "stricter", _target(rb"#")),
    Class("target-characters", "stricter", _target(rb"[^\x21-\x7e]")),
    Class("expectations", "stricter", _data(rb"^expect:", _M)),
    Class("upgrade", "stricter", _data(rb"^upgrade:|^connection:[^\n]*upgrade", _M)),
    Class(
        "host",
        "stricter",
        _data(
            rb"^host:[ \t]*[^\r\n]*[^a-z0-9.:\-\[\]\r\n \t]|^host:[ \t]*[^\r\n]*[ \t:][^\r\n]*\r?$|^host:[ \t]*\r?$", _M
        ),
    ),
    Class("absolute-form", "stricter", _data(rb"^\S+ https?:", _M)),
    Class("version", "stricter", _data(rb"HTTP/(?!1\.[01])")),
    Class(
        "chunk-lines",
        "stricter",
        _both(_data(rb"^transfer-encoding", _M), _data(rb"^[0-9a-f]+[ \t]*;|^0*[0-9a-f]{9,}|^0\r\n[^\r]", _M)),
    ),
    Class("connection-words", "stricter", _stream(rb"^(proxy-)?connection:", _M)),
    Class("last-of-1.0", "stricter", _stream(_OLD, _M)),
    # --- we take it, the other does not ---
    Class("empty-lines-before", "looser", _both(_said("no request line received"), _stream(rb"(^|\r\n\r\n)\r?\n"))),
    Class(
        "odd-values", "looser", _both(_said("illegal header line"), _data(rb":[ \t]*[^\r\n]*[\x80-\xff\x1c-\x1f\x85]"))
    ),
    Class(
        "nginx-repeated-lines",
        "looser",
        _both(
            _said("400"),
            _data(rb"^(authorization|content-type|expect|if-\S+|user-agent|referer|te|range|upgrade):[^\0]*^\1:", _M),
        ),
    ),
    Class(
        "nginx-methods", "looser", _both(_said("405", "400"), lambda case: case.request.method not in (b"GET", b"POST"))
    ),
    Class("nginx-paths", "looser", _both(_said("400"), _target(rb"%|\.\.|//|\\"))),
    Class(
        "nginx-host",
        "looser",
        _both(_said("400"), _data(rb"^host:", _M), _target(rb"."), _data(rb"^host:[^\r\n]*[^a-z\r\n :]", _M)),
    ),
    Class("nginx-limits", "looser", _said("413", "414", "431", "494")),
)


def explain(data: bytes, ours: Verdict, theirs: Verdict, *, both_ways: bool) -> tuple[list[str], set[str]]:
    """Return what nothing explains, and the names of the classes that explain the rest.

    ``both_ways`` also asks why we have not taken what the other did; behind a refusal nothing more is expected of us.
    """
    missing, extra = _apart(ours.accepted, theirs.accepted)
    if not both_ways:
        missing = []
    if ours.refusal:
        missing = missing[:1]
    unexplained: list[str] = []
    used: set[str] = set()
    for requests, sides, what in (
        (missing, ("stricter", "open"), "refused by us alone"),
        (extra, ("looser", "open"), "DANGEROUS: taken by us alone"),
    ):
        for request in requests:
            at = _found(data, request)
            case = Case(data[at:], data[:at], request, theirs.refusal)
            found = next((one.name for one in CLASSES if one.side in sides and one.explains(case)), None)
            if found is None:
                unexplained.append(
                    f"{what}: {request}; they say {theirs.refusal!r}, we {ours.refusal!r}; all: {data!r}"
                )
            else:
                used.add(found)
    return unexplained, used


def _found(data: bytes, request: Accepted) -> int:
    """Return where the line of ``request`` is in the stream, 0 where that cannot be told: what is before is not at fault."""
    lines = re.compile(
        rb"^%b +(?:https?://[^/ ]*)?%b " % (re.escape(request.method), re.escape(request.target)),
        re.IGNORECASE | re.MULTILINE,
    )
    found = [match.start() for match in lines.finditer(data)]
    return found[0] if len(found) == 1 else 0


def _apart(ours: Sequence[Accepted], theirs: Sequence[Accepted]) -> tuple[list[Accepted], list[Accepted]]:
    """Return what only they have, and what only we have, the order respected."""
    missing, extra = list(theirs), list[Accepted]()
    start = 0
    for one in ours:
        if one in missing[start:]:
            start = missing.index(one, start)
            del missing[start]
        else:
            extra.append(one)
    return missing, extra
