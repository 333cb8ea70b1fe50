"""Who may call an operation, in words and as security requirements."""

from limen.app.document.json_types import Json
from limen.auth.api_keys import ApiKeys
from limen.auth.method import Method, Methods
from limen.auth.rules import Rule

EXTENSION = "x-limen-allow"
"""The member of an operation that has its rule, as ``limen routes`` shows it."""

_LABEL = "**Who may call:**"
_BEARER = "bearer"


def line(rule: Rule, methods: Methods) -> str:
    """Return the sentence that the description of an operation ends with."""
    if rule.public:
        return f"{_LABEL} anyone."
    means = " or ".join(dict.fromkeys(map(_means, methods)))
    return f"{_LABEL} {_words(rule)}, with {means}." if means else f"{_LABEL} {_words(rule)}."


def with_line(description: str, sentence: str) -> str:
    """Return ``description`` with ``sentence`` as its last paragraph; a description that has one keeps it."""
    if _LABEL in description:
        return description
    return f"{description.rstrip()}\n\n{sentence}" if description.strip() else sentence


def without_line(description: str) -> str:
    """Return ``description`` without the paragraph that another gateway has added."""
    return description.partition(_LABEL)[0].rstrip()


def requirements(methods: Methods) -> list[dict[str, list[str]]]:
    """Return the security requirements of an operation: any one of ``methods`` is enough."""
    return [{name: []} for name in dict.fromkeys(map(_scheme_name, methods))]


def schemes(methods: Methods) -> dict[str, Json]:
    """Return the security schemes of ``methods`` by the names that ``requirements`` uses."""
    by_name: dict[str, Json] = {}
    for method in methods:
        if isinstance(method, ApiKeys):
            by_name[_scheme_name(method)] = {"type": "apiKey", "in": "header", "name": method.header}
        else:
            by_name[_scheme_name(method)] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return by_name


def _scheme_name(method: Method) -> str:
    return method.header if isinstance(method, ApiKeys) else _BEARER


def _means(method: Method) -> str:
    return f"an API key in `{method.header}`" if isinstance(method, ApiKeys) else "a bearer token"


def _words(rule: Rule) -> str:
    if rule.parts:
        word = " and " if rule.join == "&" else " or "
        return word.join(f"({_words(part)})" if part.parts else _words(part) for part in rule.parts)
    if rule.custom:
        return f"callers whom `{rule}` admits"
    if rule.roles:
        return f"callers with the role {_listed(rule.roles, 'or')}"
    if rule.scopes:
        return f"callers with the scope{'s' * (len(rule.scopes) > 1)} {_listed(rule.scopes, 'and')}"
    if rule.path_params:
        return f"the caller whose id is {_listed(rule.path_params, 'or')}"
    return "every authenticated caller"


def _listed(names: frozenset[str], word: str) -> str:
    *others, last = (f"`{name}`" for name in sorted(names))
    return f"{', '.join(others)} {word} {last}" if others else last
