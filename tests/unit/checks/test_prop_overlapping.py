"""Whatever spelling the table sends to a laxer route of the same service, ``limen check`` reports the two routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from examples import part
from limen import Gateway, Upstream, anyone, role
from limen.auth import Jwt
from limen.checks import overlapping_rules
from limen.checks.subject import Subject
from limen.errors import DeclarationError
from limen.routing.find import find
from limen.routing.table import Match
from limen.runtime.route import Route
from tokens import SECRET

SERVICE = Upstream("up", ["http://127.0.0.1:9"])
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
SEGMENTS = st.sampled_from(["a", "A", "ab", "aB", "c"])


@dataclass(frozen=True)
class Declared:
    """A route: its ``pattern`` at the service, ``moved`` where ``/x`` stands before it at the gateway."""

    pattern: str
    methods: tuple[str, ...]
    moved: bool

    @property
    def path(self) -> str:
        return f"/x{self.pattern}" if self.moved else self.pattern

    @property
    def rewrite(self) -> str | None:
        return self.pattern.replace(":path}", "}") if self.moved else None


@st.composite
def declared(draw: st.DrawFn) -> Declared:
    segments = draw(st.lists(st.one_of(SEGMENTS, st.just("{}")), min_size=1, max_size=3))
    pieces = [f"{{p{number}}}" if one == "{}" else one for number, one in enumerate(segments)]
    pieces += draw(st.sampled_from([[], [""], ["{rest:path}"], []]))
    methods = draw(st.sets(st.sampled_from(METHODS), min_size=1, max_size=3))
    return Declared("/" + "/".join(pieces), tuple(sorted(methods)), draw(st.booleans()))


@st.composite
def near(draw: st.DrawFn, other: Declared) -> Declared:
    """Draw a route that may take spellings of the paths of ``other``: each segment as it is, or otherwise."""
    pieces = other.pattern[1:].split("/")
    cut = draw(st.integers(0, len(pieces)))
    made = list[str]()
    for number, piece in enumerate(pieces[:cut]):
        kept = piece.endswith(":path}") or draw(st.integers(0, 2)) > 0
        made.append(piece if kept else draw(st.sampled_from([piece.swapcase(), f"{{q{number}}}"])))
    if not made or (cut < len(pieces) and not made[-1].endswith(":path}")):
        made.append(draw(st.sampled_from(["{rest:path}", "{last}", ""])))
    methods = draw(st.sets(st.sampled_from(METHODS), min_size=2, max_size=4))
    return Declared("/" + "/".join(made), tuple(sorted(methods)), draw(st.booleans()))


def literal_parts(route: Declared) -> list[tuple[str, bool]]:
    """Return a path at the service in pieces, each with whether it is literal; parameters are ``7``."""
    pieces: list[tuple[str, bool]] = []
    for segment in route.pattern[1:].split("/"):
        pieces += [("/", False), ("7", False) if segment.startswith("{") else (segment, True)]
    return pieces


@st.composite
def respelled(draw: st.DrawFn, route: Declared) -> str:
    """Draw a path that a service takes for one of ``route``, if it is lenient enough."""
    path = ""
    for number, (text, literal) in enumerate(literal_parts(route)):
        if literal:
            text = "".join(draw(st.sampled_from([one.lower(), one.upper()])) for one in text)
        elif text == "/" and number and draw(st.booleans()):
            text = draw(st.sampled_from(["%2F", "%2f"]))
        path += text
    if path.lower().endswith(("/", "%2f")):
        return path[:-1] if path.endswith("/") and draw(st.booleans()) else path
    return path + draw(st.sampled_from(["", "/", "%2F"]))


def gateway(strict: Declared, lax: Declared) -> Gateway | None:
    app = Gateway(auth=Jwt(SECRET))
    for one, rule in ((strict, role("admin")), (lax, anyone)):
        app.forward(one.path, upstream=SERVICE, allow=rule, rewrite=one.rewrite, methods=one.methods)
    try:
        app.compile()
    except DeclarationError:  # the two answer the same requests
        return None
    return app


def reached(app: Gateway, method: str, path: str) -> tuple[Route, Mapping[str, bytes]] | None:
    found = find(app.active_config().table, method.encode(), path.encode(), b"")
    return (found.plan.route, found.raw) if isinstance(found, Match) else None


def shape(route: Declared) -> str:
    kinds = [
        "**" if one.endswith(":path}") else "*" if one.startswith("{") else one for one in route.pattern.split("/")
    ]
    return "/".join(kinds).lower().rstrip("/")


@given(data=st.data(), strict=declared())
def test_what_walks_round_a_rule_is_found(data: st.DataObject, strict: Declared) -> None:
    lax = data.draw(near(strict))
    app = gateway(strict, lax)
    if app is None:
        return
    meant = "".join(text for text, _ in literal_parts(strict))
    guarded, open_ = app.declared()
    answered = reached(app, strict.methods[0], f"/x{meant}" if strict.moved else meant)
    if answered is None or answered[0] is not guarded:
        return  # the laxer route takes this one: another path may be left
    spelled = data.draw(respelled(strict))
    method = data.draw(st.sampled_from(METHODS))
    same_method = method in strict.methods or (method == "HEAD" and "GET" in strict.methods)
    if not same_method and (shape(strict) == shape(lax) or spelled != meant):
        return
    for target in (spelled, f"/x{spelled}"):
        found = reached(app, method, target)
        if found is None or found[0] is not open_:
            continue
        at_service = unquote(target.removeprefix("/x") if lax.moved else target)
        if at_service.lower().rstrip("/") != meant.lower().rstrip("/"):
            continue
        findings = list(overlapping_rules.check(Subject(app)))
        assert [finding.place.path for finding in findings] == [strict.path], (method, target)


@settings(max_examples=part(50))
@given(data=st.data(), strict=declared())
def test_what_is_reported_is_so(data: st.DataObject, strict: Declared) -> None:
    """The requests of a finding are asked of the table once more: each reaches the laxer route."""
    app = gateway(strict, data.draw(near(strict)))
    if app is None:
        return
    for finding in overlapping_rules.check(Subject(app)):
        assert finding.examples
        for request, _ in finding.examples:
            found = reached(app, *request.split(" "))
            assert found is not None
            assert found[0].allow is anyone
