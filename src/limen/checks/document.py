"""The public document: whether it can be built, and whether clients can be generated from it."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from limen.checks.finding import DOCUMENT, Finding, Kind, Place
from limen.checks.subject import Subject, place_of_context, place_of_operation

_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", "trace"))
_REFERENCE = "#/components/schemas/"


def check(subject: Subject) -> Iterator[Finding]:
    """Build the document, and yield what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            document = subject.app.openapi()
        except Exception as error:  # of pydantic, of a model's own code, or of a function in place of openapi()
            document, failure = {}, error
        else:
            failure = None
    if failure is not None:
        yield from _failures(subject, failure)
        return
    texts = [str(one.message) for one in caught if not str(one.message).startswith("Duplicate Operation ID")]
    if texts:
        yield from _incomplete(subject, texts)
    yield from _duplicates(subject, document)
    yield from _clashes(subject, document)


def _failures(subject: Subject, failure: Exception) -> Iterator[Finding]:
    """Yield a finding for each operation that cannot be documented, or one for the document where all can."""
    mend = "change the type that it names, or keep the operation out of the document: include_in_schema=False"
    alone = {place: error for place, error, _ in _documented_alone(subject) if error is not None}
    for place, error in (alone or {Place(name=DOCUMENT): failure}).items():
        yield Finding(Kind.DOCUMENT_FAILS, place, _described(error), mend)


def _incomplete(subject: Subject, texts: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each warning, at the first operation that it is about."""
    places: dict[str, Place] = {}
    for place, _, warned in _documented_alone(subject):
        for text in warned:
            places.setdefault(text, place)
    for text in dict.fromkeys(texts):
        place = places.get(text, Place(name=DOCUMENT))
        yield Finding(Kind.DOCUMENT_INCOMPLETE, place, _sentence(text), "change what the warning names")


def _documented_alone(subject: Subject) -> Iterator[tuple[Place, Exception | None, list[str]]]:
    """Document each operation by itself; yield why it fails, if it does, and the warnings."""
    for context in subject.contexts:
        if not isinstance(context.original_route, APIRoute):
            continue
        failure = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                get_openapi(title="", version="", routes=[context])
            except Exception as error:  # as above
                failure = error
        yield place_of_context(context), failure, [str(one.message) for one in caught]


def _described(error: Exception) -> str:
    return f"it cannot be documented: {type(error).__name__}: {_sentence(str(error))}"


def _sentence(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".") + "."


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield method.upper(), path, operation


def _duplicates(subject: Subject, document: Mapping[str, Any]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for method, path, operation in _operations(document):
        name = operation.get("operationId")
        if name is None:
            continue
        if name in first:
            yield Finding(
                Kind.DUPLICATE_OPERATION_ID,
                place_of_operation(subject, method, path),
                f"its operation id {name!r} is also that of {first[name]}.",
                "rename one of the two functions, or give it an operation_id=",
            )
        first.setdefault(name, f"{method} {path}")


def _clashes(subject: Subject, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each name that several models have: FastAPI writes their modules before it, with ``__`` between."""
    schemas: Mapping[str, Mapping[str, Any]] = document.get("components", {}).get("schemas", {})
    by_title: dict[str, list[str]] = {}
    for key, schema in schemas.items():
        name = key.removesuffix("-Input").removesuffix("-Output")
        title = schema.get("title")
        if isinstance(title, str) and name.endswith(f"__{title}") and name not in by_title.setdefault(title, []):
            by_title[title].append(name)
    for title, names in by_title.items():
        if len(names) > 1:
            models = " and ".join(name.replace("__", ".") for name in names)
            yield Finding(
                Kind.COMPONENT_CLASH,
                _first_use(subject, document, names),
                f"{models} have one name, {title!r}: in the document they are {' and '.join(names)}.",
                "rename one of the models",
            )


def _first_use(subject: Subject, document: Mapping[str, Any], names: list[str]) -> Place:
    """Return the first operation that names one of the components itself."""
    wanted = {f"{_REFERENCE}{name}{suffix}" for name in names for suffix in ("", "-Input", "-Output")}
    for method, path, operation in _operations(document):
        if wanted & set(_references(operation)):
            return place_of_operation(subject, method, path)
    return Place(name=DOCUMENT)


def _references(node: Any) -> Iterator[str]:
    left: list[Any] = [node]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            reference = members.get("$ref")
            if isinstance(reference, str):
                yield reference
            left += members.values()
        elif isinstance(one, list):
            left += cast("list[Any]", one)
