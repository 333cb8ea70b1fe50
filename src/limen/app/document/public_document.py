"""The public document of one gateway: FastAPI's, completed in place.

1. what it answers to a request that does not fit, where FastAPI has its own default
2. what the gateway says of each operation that a stub declares, and of each endpoint with a rule
3. operation ids that are unique
4. the operations behind each forward
5. security schemes (``security.py``), under names that are free
6. problems that the user documents get the schema that all share
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from limen.app.document.catch_all import catch_alls
from limen.app.document.dependencies import Asked, has_schemes
from limen.app.document.documented_forward import DocumentedForward
from limen.app.document.json_types import Json, operations
from limen.app.document.operation import addition, complete_operation
from limen.app.document.operation_ids import make_unique
from limen.app.document.path_templates import template
from limen.app.document.problem import problems
from limen.app.document.security import Served, name_schemes
from limen.app.document.service_components import ServiceComponents
from limen.app.document.service_document import ServiceDocument, ServiceDocumentError
from limen.app.document.service_operations import PublishedOperation, Reaches, check, documented_tags, published
from limen.app.document.shared import Shared, drop_empty, drop_unused, share_problems
from limen.app.document.sources import FileSource, Sources
from limen.app.document.who_may_call import EXTENSION, line, requirements, with_line
from limen.app.options import ForwardOptions
from limen.auth.method import Methods
from limen.observe.redaction import logger
from limen.routing.pattern import Pattern
from limen.runtime.local_route import LocalEntry
from limen.runtime.route import Route

_log = logger("limen.app.document")

_INVALID_IN_FASTAPI: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a gateway knows besides its forwards.

    ``routes`` are all of its routes, stubs and forwards, and ``methods`` gives those by which callers of a route prove who
    they are. ``local`` are the endpoints of the application's own. ``reaches`` tells whether a request is one of a route.
    ``chosen_ids`` has path and method of the operations whose ids the user chose. ``revocable`` says that tokens may end
    early, and ``problems`` that local endpoints answer a request that does not fit with a problem document.
    """

    routes: Sequence[Route]
    methods: Callable[[Route | LocalEntry], Methods]
    reaches: Reaches
    local: Sequence[LocalEntry] = ()
    chosen_ids: Collection[tuple[str, str]] = ()
    revocable: bool = False
    problems: bool = True


@dataclass(frozen=True, slots=True)
class _Known:
    """What became of a forward: how it is documented, None where it is left out, and what is wrong with that."""

    route: Route
    forward: DocumentedForward | None
    problem: str = ""


class _OfStub(NamedTuple):
    """An operation that a stub declares."""

    path: str
    method: str
    operation: Json
    route: Route


class PublicDocument:
    """Completes the documents of one gateway."""

    def __init__(self) -> None:
        """Have no forwards."""
        self._forwards: list[DocumentedForward] = []
        self._undocumented: list[Route] = []  # forwards that are left out
        self.sources = Sources()
        self._known: dict[int, _Known] = {}  # by the identity of the route
        self._made: Json | None = None
        self._made_from: tuple[int, tuple[ServiceDocument | None, ...]] = (0, ())

    def set_forwards(self, forwards: Sequence[tuple[Route, ForwardOptions]], version: str) -> list[str]:
        """Document ``forwards`` in a document of OpenAPI ``version``; return what is wrong with them.

        Documents that are files are read. What was read once is not read again.
        """
        wrong: list[str] = []
        known, self._known = self._known, {}
        self._forwards, self._undocumented = [], []
        for route, options in forwards:
            made = known.get(id(route)) or self._made_of(route, options, version)
            self._known[id(route)] = made
            if made.problem:
                wrong.append(f"{route.name}: {made.problem}")
            elif made.forward is None:
                self._undocumented.append(route)
            else:
                self._forwards.append(made.forward)
        return wrong

    def _made_of(self, route: Route, options: ForwardOptions, version: str) -> "_Known":
        try:
            forward = DocumentedForward.of(route, options, self.sources)
        except (TypeError, ValueError) as error:
            return _Known(route, None, str(error))
        if not options.get("include_in_schema", True):
            return _Known(route, None)
        if isinstance(forward.source, FileSource):
            try:
                check(route, forward.source.read(), version)
            except ServiceDocumentError as error:
                return _Known(route, forward, f"document={str(forward.source)!r}: {error}")
        return _Known(route, forward)

    async def load(self) -> None:
        """Ask for the documents that have an address, where it is time to."""
        await asyncio.gather(*(source.refresh() for source in self.sources.urls()))

    def outdated(self, document: Json | None, routes: int) -> bool:
        """Tell whether ``document`` is what was made last, and would be another one now. ``routes`` counts the gateway's."""
        return document is not None and document is self._made and self._made_from != (routes, self._documents())

    def completed(self, document: Json, facts: Facts) -> Json:
        """Return ``document``, completed. One that was completed last, and has not changed, is not completed again."""
        if document is not self._made:
            self.complete(document, facts)
            self._made, self._made_from = document, (len(facts.routes), self._documents())
        return document

    def complete(self, document: Json, facts: Facts) -> None:
        """Complete ``document`` in place. What is there already stays."""
        shared = Shared(document)
        stubs = list(self._stubs(document, facts))
        _mend_problems(document, facts, [one.operation for one in stubs if one.route.guard is None])
        served = _add_to_stubs(stubs, facts, shared)
        served += _add_rules(document, facts)
        drop_unused(document)
        make_unique(document, facts.chosen_ids)
        served += self._add_forwards(document, facts, shared)
        ruled = [*facts.routes, *(entry for entry in facts.local if entry.allow is not None)]
        methods = Methods(method for one in ruled for method in facts.methods(one))
        name_schemes(document, methods, served)
        share_problems(document, shared)
        drop_empty(document)

    def _documents(self) -> tuple[ServiceDocument | None, ...]:
        return tuple(source.document for source in self.sources.urls())

    def _stubs(self, document: Json, facts: Facts) -> Iterator[_OfStub]:
        """Yield the operations of stubs, which FastAPI has documented by their signatures."""
        forwards = [*self._undocumented, *(forward.route for forward in self._forwards)]
        for route in facts.routes:
            if any(route is forward for forward in forwards):
                continue
            try:
                path = template(Pattern.parse(route.path))
            except ValueError:
                continue  # a declaration error, which is told elsewhere
            item = document.get("paths", {}).get(path, {})
            for method in route.methods:
                if (operation := item.get(method.lower())) is not None:
                    yield _OfStub(path, method, operation, route)

    def _add_forwards(self, document: Json, facts: Facts, shared: Shared) -> list[Served]:
        """4. Add what is behind each forward."""
        if self._forwards:
            shared.schema()  # before a service takes its name
        copiers: dict[int, ServiceComponents] = {}  # by the identity of the service's document
        served: list[Served] = []
        for forward in self._forwards:
            methods = facts.methods(forward.route)
            asked = Asked.by(forward.route.guard)
            added = addition(forward.route, methods, revocable=facts.revocable)
            for one in self._published(document, forward, facts.reaches, copiers):
                operation = one.operation
                if forward.tags is not None or not operation.get("tags"):
                    operation["tags"] = list(forward.tags or [forward.route.upstream.name])
                asked.add_to(operation, document["components"])
                complete_operation(one.path, one.method, operation, added, shared)
                document.setdefault("paths", {}).setdefault(one.path, {})[one.method] = operation
                served.append(Served(operation, _asked_by_rule(forward.route, methods), bool(asked.security)))
        return served

    def _published(
        self, document: Json, forward: DocumentedForward, reaches: Reaches, copiers: dict[int, ServiceComponents]
    ) -> list[PublishedOperation]:
        """Return the operations behind ``forward``; where its service's document cannot be had, those that stand for it."""
        source = forward.source
        found = None if source is None else source.read() if isinstance(source, FileSource) else source.document
        if found is None:
            return list(catch_alls(document, forward))
        try:
            copier = copiers.pop(id(found), None) or ServiceComponents(
                found, forward.route.upstream.name, document.setdefault("components", {}), str(document["openapi"])
            )
            several = published(document, forward.route, copier, reaches)
        except ServiceDocumentError as error:
            _log.warning("%s: the document at %s cannot be published: %s", forward.route.name, source, error)
            return list(catch_alls(document, forward))
        copier.commit()
        copiers[id(found)] = copier
        used = {tag for one in several for tag in one.operation.get("tags", [])} if forward.tags is None else set[str]()
        if tags := documented_tags(document, found, used):
            document.setdefault("tags", []).extend(tags)
        return several


def _add_to_stubs(stubs: Sequence[_OfStub], facts: Facts, shared: Shared) -> list[Served]:
    """2. Complete the operations of stubs."""
    served: list[Served] = []
    for path, method, operation, route in stubs:
        methods = facts.methods(route)
        complete_operation(path, method, operation, addition(route, methods, revocable=facts.revocable), shared)
        served.append(Served(operation, _asked_by_rule(route, methods), has_schemes(route)))
    return served


def _asked_by_rule(entry: Route | LocalEntry, methods: Methods) -> Methods:
    return Methods(()) if entry.allow is None or entry.allow.public else methods


def _add_rules(document: Json, facts: Facts) -> list[Served]:
    """2. Say who may call the endpoints of the application's own that have a rule."""
    served: list[Served] = []
    for entry in facts.local:
        if entry.allow is None:
            continue
        item = document.get("paths", {}).get(template(entry.pattern), {})
        methods = facts.methods(entry)
        for method in entry.methods:
            if (operation := item.get(method.lower())) is None:
                continue
            operation["description"] = with_line(operation.get("description", ""), line(entry.allow, methods))
            operation.setdefault(EXTENSION, str(entry.allow))
            if not entry.allow.public:
                for status, response in problems(401, 403).items():
                    operation.setdefault("responses", {}).setdefault(str(status), response)
                operation.setdefault("security", requirements(methods))
                served.append(Served(operation, methods, entry.schemes_documented))
    return served


def _mend_problems(document: Json, facts: Facts, unguarded: Sequence[Json]) -> None:
    """1. Document the gateway's own 422 where FastAPI has put its default, which is never sent.

    A handler of the user's answers for local endpoints and dependencies, and not for the ``unguarded`` operations of stubs.
    """
    ((status, response),) = problems(422).items()
    for _, _, operation in operations(document):
        given = operation.get("responses", {}).get(str(status), {})
        if given.get("content") == _INVALID_IN_FASTAPI and (
            facts.problems or any(operation is one for one in unguarded)
        ):
            operation["responses"][str(status)] = dict(response)
