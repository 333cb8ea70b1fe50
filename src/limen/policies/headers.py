"""``Headers``: sets, adds and removes header fields, of requests to the service and of answers to the client."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from limen.exchange.answer import Answer
from limen.exchange.hooks import AnswerHead, RequestHead
from limen.exchange.policy import Environment, RouteFacts
from limen.exchange.request import Request
from limen.http.declared import SINGLE, field_name, field_value, kept_of_answers, kept_of_requests
from limen.http.headers import CODING_AND_RANGE_FIELDS
from limen.http.headers import Headers as Lines

_TYPE = b"content-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Changes of the header fields of one message, in this order.

    - ``remove``: names; all lines of each are removed.
    - ``set``: names and values; the line replaces all lines of that name, and is added where there is none.
    - ``add``: names and values; one more line of that name. A list of values makes several.

    A name may be in one of them only. Values are fixed texts of visible ASCII. Raises ValueError that says what to mend.
    """

    remove: Sequence[str] = field(default=(), repr=False, compare=False)
    set: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)
    add: Mapping[str, str | Sequence[str]] = field(
        default_factory=dict[str, str | Sequence[str]], repr=False, compare=False
    )
    removed: tuple[bytes, ...] = field(init=False)
    replaced: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)
    added: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check names and values, and keep them as bytes."""
        if isinstance(self.remove, str):
            raise TypeError(f"Edits: remove={self.remove!r} is no list; write remove=[{self.remove!r}]")
        try:
            removed = tuple(dict.fromkeys(field_name(name) for name in self.remove))
            replaced = tuple((key := field_name(name), field_value(key, value)) for name, value in self.set.items())
            added = tuple(
                (key := field_name(name), field_value(key, one))
                for name, value in self.add.items()
                for one in ([value] if isinstance(value, str) else value)
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"Edits: {error}") from None
        if len({name for name, _ in replaced}) != len(replaced):
            raise ValueError("Edits: set= has a name twice, in two spellings; leave one out")
        named = [*removed, *dict.fromkeys(name for name, _ in replaced), *dict.fromkeys(name for name, _ in added)]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(
                    f"Edits: {name.decode()!r} is in more than one of remove=, set= and add=; set= replaces by itself"
                )
        for name in dict(added):
            if name in SINGLE:
                raise ValueError(f"Edits: {name.decode()!r} has one value, so none can be added; use set=")
        object.__setattr__(self, "removed", removed)
        object.__setattr__(self, "replaced", replaced)
        object.__setattr__(self, "added", added)

    @property
    def names(self) -> tuple[bytes, ...]:
        """Every name that is edited."""
        return (*self.removed, *dict(self.replaced), *dict(self.added))

    def __str__(self) -> str:
        """Name what is edited, and no value."""
        kinds = (("remove", self.removed), ("set", dict(self.replaced)), ("add", dict(self.added)))
        return ", ".join(f"{kind} {name.decode()}" for kind, names in kinds for name in sorted(names))


NO_EDITS = Edits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """Sets, adds and removes header fields: ``request`` of what the service gets, ``answer`` of what the client gets.

    All that stand on a route apply, the gateway's first and the route's own last, so that the nearest decides about a field.
    Two that edit the same fields in the same way (or have the same ``name``, if one is given) are one: the nearer replaces
    the other. This is unlike nginx, where an ``add_header`` in a location silences all outside it.

    ``answer`` applies to every answer, whatever its status and whoever made it: the service's, a cached one, the gateway's
    own problems and redirects. ``content-type`` may be set, for a service that sends a wrong one; that does not apply to
    answers of the gateway itself, nor where there is no content (204, 304). It cannot be removed: browsers would guess it.
    Lines of ``set-cookie`` can be added, or all of the service's removed; setting it would silently drop those.

    Refused are fields that frame a message, belong to a connection, or that the gateway itself sets: ``Connection``,
    ``Content-Length``, ``Content-Encoding``, ``X-Request-Id``, ``Via`` and the like; on requests also ``Host``, ``Forwarded``
    and its kin, names with an underscore, headers that tell who is calling, and credentials that the gateway consumes; on
    answers also ``Date`` and ``Server``. So is what would break the contract of a route: a request header that its signature
    declares, the ``Content-Type`` of a declared body, ``Accept-Encoding`` and ``Range`` where the answer is checked.
    """

    rank: ClassVar[int] = 900
    adds: ClassVar[bool] = True

    request: Edits = NO_EDITS
    answer: Edits = NO_EDITS
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse fields that the gateway or HTTP itself must set."""
        for side, edits, kept in (
            ("request", self.request, kept_of_requests),
            ("answer", self.answer, kept_of_answers),
        ):
            if not isinstance(edits, Edits):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
                raise TypeError(f"Headers: {side}= takes Edits(set=..., add=..., remove=...)")
            _check_edits(side, edits, kept)
        if not self.request.names and not self.answer.names:
            raise ValueError("Headers: nothing is edited; say request=Edits(...) or answer=Edits(...)")
        answer = self.answer
        if _TYPE in answer.removed:
            raise ValueError(
                "Headers(answer=): without 'content-type' browsers guess what an answer is; set it instead"
            )
        if b"set-cookie" in dict(answer.replaced):
            raise ValueError(
                "Headers(answer=): setting 'set-cookie' would drop the service's cookies; use add=, or remove="
            )
        if not self.name:
            sides = (("request", self.request), ("answer", self.answer))
            object.__setattr__(self, "name", "; ".join(f"{side}: {edits}" for side, edits in sides if edits.names))

    def check(self, facts: RouteFacts) -> Iterator[str]:
        """Yield each edit that would break the contract of the route of ``facts``."""
        for name in self.request.names:
            if (why := _kept_of_route(name, facts)) is not None:
                yield f"Headers(request=): {name.decode()!r} {why}"
        for name in self.answer.names:
            if name in facts.consumed_headers:
                yield f"Headers(answer=): {name.decode()!r} is the gateway's own on {facts.route}; leave it out"

    def live(self, environment: Environment) -> "LiveHeaders":
        """Return the hooks that make the edits."""
        return LiveHeaders(self.request, self.answer)


class LiveHeaders:
    """The hooks of one declaration; a side without edits has none."""

    __slots__ = ("answer_head", "request_head")

    def __init__(self, request: Edits, answer: Edits) -> None:
        """Prepare what every message shares."""
        self.request_head: RequestHead | None = _request_hook(request) if request.names else None
        self.answer_head: AnswerHead | None = _answer_hook(answer) if answer.names else None


def _request_hook(edits: Edits) -> RequestHead:
    edit = _edit_function(edits)
    return lambda request, lines: edit(lines)


def _answer_hook(edits: Edits) -> AnswerHead:
    edit = _edit_function(edits)
    edit_bare = _edit_function(edits, leave=_TYPE) if _TYPE in dict(edits.replaced) else edit

    def answer_head(request: Request, answer: Answer) -> None:
        bare = answer.source == "local" or answer.status in (204, 304) or answer.status < 200
        answer.lines[:] = (edit_bare if bare else edit)(answer.lines)

    return answer_head


def _edit_function(edits: Edits, leave: bytes = b"") -> Callable[[Lines], Lines]:
    replaced = [line for line in edits.replaced if line[0] != leave]
    dropped = frozenset((*edits.removed, *dict(replaced)))
    appended = [*replaced, *edits.added]
    if not dropped:
        return lambda lines: lines + appended
    return lambda lines: [line for line in lines if line[0] not in dropped] + appended


def _check_edits(side: str, edits: Edits, kept: Callable[[bytes], str | None]) -> None:
    wrong = [f"{name.decode()!r} {why}" for name in edits.names if (why := kept(name)) is not None]
    if wrong:
        raise ValueError(f"Headers({side}=): {'; '.join(wrong)}; leave {'it' if len(wrong) == 1 else 'them'} out")


def _kept_of_route(name: bytes, facts: RouteFacts) -> str | None:
    if name in facts.withheld_headers:
        return "tells services who is calling, or is a credential that the gateway consumes; leave it out"
    if name in facts.declared_headers:
        return f"is declared in the signature of {facts.route}, which would check what the service does not get; leave it out"
    if facts.declares_body and name == _TYPE:
        return f"is checked with the body of {facts.route}, and the service gets what was checked; leave it out"
    if facts.checks_answers and name in CODING_AND_RANGE_FIELDS:
        return f"is the gateway's to say on {facts.route}: answers that are checked come plain and whole; leave it out"
    return None
