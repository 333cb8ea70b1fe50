"""Rules that another route of the same service walks round: by ``rewrite``, or where the service is lenient.

1. Of each route with a rule, a path that it answers is made up, and with it the path at the service.
2. Of that path, other spellings are made up; of the request, other methods.
3. For each, the requests are found that may lead there: the spelling itself, and those of routes that rewrite.
4. The compiled table says which route gets each of them, if the gateway lets it pass at all.
5. Where that is another route, the paths at the service are compared, and then the rules.

OPTIONS is left out: services answer it by themselves, and a route of its own for preflights is usual.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from limen.app.dependencies import DependencyGuard
from limen.checks.admission import admits_more
from limen.checks.finding import Finding, Kind
from limen.checks.sample_paths import Sample, fits_contract, samples
from limen.checks.service_paths import ServicePath
from limen.checks.spellings import Spelling, folded, leniencies, spellings
from limen.checks.subject import Subject, place_of
from limen.routing.find import IMPLEMENTED
from limen.routing.table import Match
from limen.runtime.route import Route

# Requests that a finding shows; methods from which on a route is named by its path alone.
_SHOWN = 4
_MANY = 3


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each pair of a route and one that walks round its rule."""
    asked = _Asked(subject)
    for route in subject.routes:
        if not route.allow.public or _guards(route):
            for other, ways in asked.ways_round(route).items():
                yield from _findings(route, asked.service_paths[other].route, ways)


@dataclass(slots=True)
class _Ways:
    """Requests of one route that a service may take for those of another, each with what the service does then."""

    exact: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    lenient: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict[tuple[str, ...], tuple[str, str]])

    def tells(self, spelling: Spelling) -> bool:
        """Tell whether a request with ``spelling`` would say no more: another one asks for as little leniency, or less."""
        return bool(self.exact) or spelling.leniencies in self.lenient or len(spelling.leniencies) > 1


@dataclass(frozen=True, slots=True)
class _Request:
    """A request in place of another, which has this ``method`` too unless it is ``by_method`` that they differ."""

    method: str
    spelling: Spelling
    by_method: bool = False


class _Asked:
    """The table, asked. Routes are known by their number."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.service_paths = [ServicePath.of(route) for route in subject.routes]
        self._numbers = {id(route): number for number, route in enumerate(subject.routes)}
        self._services = _services(subject.routes)
        self._by_segment: dict[tuple[int, str | None], list[int]] = {}
        for number, path in enumerate(self.service_paths):
            self._by_segment.setdefault((self._services[number], path.first_segment), []).append(number)
        self._samples: dict[int, Sample | None] = {}
        self._admission: dict[object, bool] = {}
        implemented = {method.decode() for method in (*IMPLEMENTED, *subject.table.methods)}
        self._methods = sorted(implemented - {"OPTIONS", "TRACE"})

    def ways_round(self, route: Route) -> dict[int, _Ways]:
        """Return the other routes by which a service may be asked what ``route`` is for, if they admit more."""
        number = self._numbers[id(route)]
        found: dict[int, _Ways] = {}
        for sample in self._own_samples(route):
            path = self.service_paths[number].path(sample.values)
            others = self._candidates(number, path)
            if not others:
                continue
            for request in self._requests(number, sample):
                if all(other in found and found[other].tells(request.spelling) for other in others):
                    continue
                for target in self._targets(request.spelling.path, others):
                    self._ask(number, sample, path, request, target, found)
        return found

    def _own_samples(self, route: Route) -> Iterable[Sample]:
        """Return paths that the table gives to ``route``: one, and of the rest of a path, one with nothing in it too."""
        own = (
            sample
            for sample in samples(route)
            if (known := self._subject.route_of(route.methods[0], sample.path)) is not None and known[0] is route
        )
        return islice(own, 2 if ":path}" in route.path else 1) if route.methods else ()

    def _candidates(self, number: int, path: str) -> list[int]:
        """Return the routes of the same service that may lead to a spelling of ``path``, and have another rule."""
        service, route = self._services[number], self._subject.routes[number]
        first = path[1:].partition("/")[0].lower()
        near = chain(self._by_segment.get((service, first), ()), self._by_segment.get((service, None), ()))
        return [
            other
            for other in near
            if other != number
            and not _same_rule(self._subject.routes[other], route)
            and self.service_paths[other].may_be.fullmatch(path)
        ]

    def _requests(self, number: int, sample: Sample) -> Iterator[_Request]:
        """Yield the request itself and others in its place, those that ask for the least leniency first."""
        route, own = self._subject.routes[number], self.service_paths[number]
        itself = Spelling(own.path(sample.values), ())
        methods = set(route.methods)
        if "GET" in methods and b"HEAD" in self._subject.table.methods:
            methods.add("HEAD")
        yield from (_Request(method, itself) for method in sorted(methods))
        for method in self._methods:
            if method not in methods and not (method == "HEAD" and "GET" in methods):
                leniency = f"answers {method} as {route.methods[0]}"
                yield _Request(method, Spelling(itself.path, (leniency,)), by_method=True)
        for spelling in spellings(own.parts(sample.values)):
            yield from (_Request(method, spelling) for method in sorted(methods))

    def _targets(self, path: str, others: Iterable[int]) -> set[str]:
        """Return the request paths that may lead to ``path`` at the service."""
        targets = {path}
        for other in others:
            sample = self._sample(other)
            if sample is not None and (target := self.service_paths[other].request(path, sample.values)) is not None:
                targets.add(target)
        return targets

    def _sample(self, number: int) -> Sample | None:
        if number not in self._samples:
            self._samples[number] = next(iter(self._own_samples(self._subject.routes[number])), None)
        return self._samples[number]

    def _ask(
        self, number: int, sample: Sample, path: str, request: _Request, target: str, found: dict[int, _Ways]
    ) -> None:
        answer = self._subject.route_of(request.method, target)
        other = None if answer is None else self._numbers.get(id(answer[0]))
        if answer is None or other is None or other == number:
            return
        match = answer[1]
        reached = self.service_paths[other].path({name: value.decode() for name, value in match.raw.items()})
        if self._services[other] != self._services[number] or folded(reached) != folded(path):
            return
        # Who declares one path with two methods has told the methods apart.
        if request.by_method and self.service_paths[other].shape == self.service_paths[number].shape:
            return
        if not fits_contract(answer[0], match.params) or not self._admits_more(other, match, number, sample):
            return
        ways = found.setdefault(other, _Ways())
        line = (f"{request.method} {target}", "")
        if reached == path and not request.by_method:
            ways.exact.append(line)
        else:
            needed = request.spelling.leniencies if request.by_method else leniencies(reached, path)
            ways.lenient.setdefault(needed, (line[0], f"if it {' and '.join(needed)}"))

    def _admits_more(self, other: int, match: Match[object], number: int, sample: Sample) -> bool:
        lax, strict = self._subject.routes[other], self._subject.routes[number]
        if not _guards(strict) <= _guards(lax):
            return True
        read = [match.params[name] for name in sorted(lax.allow.path_params)]
        read += [sample.values[name] for name in sorted(strict.allow.path_params)]
        key = (id(lax.allow), id(lax.auth), id(strict.allow), id(strict.auth), *read)
        if key not in self._admission:
            self._admission[key] = admits_more(
                *(lax.allow, self._subject.methods(lax), match.params),
                *(strict.allow, self._subject.methods(strict), sample.values),
            )
        return self._admission[key]


def _findings(route: Route, other: Route, ways: _Ways) -> Iterator[Finding]:
    named = f"{other.name if len(other.methods) < _MANY else other.path} ({_rule(other)})"
    mend = f"give both the same rule, or change {other.path} so that it leaves this path out"
    if ways.exact:
        yield Finding(
            Kind.BYPASSED_RULE,
            place_of(route),
            f"{_rule(route)} protects nothing: {named} leads to the same path of the service {route.upstream.name!r}.",
            mend,
            tuple(ways.exact[:1]),
        )
    elif ways.lenient:
        fewest = min(map(len, ways.lenient))
        examples = [line for needed, line in ways.lenient.items() if len(needed) == fewest]
        yield Finding(
            Kind.OVERLAPPING_RULES,
            place_of(route),
            f"{_rule(route)} is not asked where the service {route.upstream.name!r} is lenient. {named} passes on "
            "requests that it may answer as those of this route:",
            f"{mend}; if the service tells them apart, acknowledge it",
            tuple(_shortened(examples)),
        )


def _shortened(examples: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield some of ``examples``: other methods mean the same, so one of them will do, the most usual one."""
    methods = [line for line in examples if line[1].startswith("if it answers")]
    yield from [line for line in examples if line not in methods][:_SHOWN]
    yield from sorted(methods, key=lambda line: not line[0].startswith(("GET ", "POST ")))[:1]


def _same_rule(one: Route, other: Route) -> bool:
    same = one.allow is other.allow and one.auth is other.auth and not one.allow.path_params
    return same and _guards(one) == _guards(other)


def _guards(route: Route) -> frozenset[object]:
    """Return the dependencies that may refuse a request of ``route``."""
    return route.guard.calls if isinstance(route.guard, DependencyGuard) else frozenset()


def _rule(route: Route) -> str:
    guard = f" with {route.guard.names}" if isinstance(route.guard, DependencyGuard) else ""
    return f"allow={route.allow}{guard}"


def _services(routes: Iterable[Route]) -> list[int]:
    """Return a number for the service of each route: upstreams with a common name or target are one service."""
    groups: dict[object, int] = {}
    numbers: list[int] = []
    for count, route in enumerate(routes):
        keys: list[object] = []
        for upstream in route.upstreams:
            keys += [upstream.name, *upstream.addresses]
        known = {groups[key] for key in keys if key in groups}
        number = min(known, default=count)
        numbers.append(number)
        for key, group in groups.items():
            if group in known:
                groups[key] = number
        numbers = [number if one in known else one for one in numbers]
        groups.update(dict.fromkeys(keys, number))
    return numbers
