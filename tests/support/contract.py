"""A server against its own OpenAPI document, with fitting and with hostile input."""

from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from examples import part

# schemathesis types these with an open parameter.
_CHECKS = [
    vars(checks)["not_a_server_error"],
    vars(openapi_checks)["status_code_conformance"],
    vars(openapi_checks)["response_schema_conformance"],
]


def check_contract(url: str, headers: Mapping[str, str], *, examples: int = 30) -> int:
    """Call every operation that the server at ``url`` documents; return how many there are.

    Fails on a status of 500 and more, on a status that is not documented, and on an answer that misses its schema.
    """
    found: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in found.get_all_operations()]
    for operation in operations:
        # What takes nothing, or any text in a header that may be left out, cannot be given anything wrong.
        takes = bool(operation.body) or not all(map(_takes_anything, operation.iter_parameters()))
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else ())):
            _check(operation, mode, url, dict(headers), examples)
    return len(operations)


def _takes_anything(parameter: Any) -> bool:
    given: dict[str, Any] = parameter.definition
    kinds = [{"type": "string"}, {"type": "null"}]
    return given["in"] == "header" and not given["required"] and given["schema"].get("anyOf") == kinds


def _check(operation: Any, mode: GenerationMode, url: str, headers: dict[str, str], examples: int) -> None:
    @settings(
        max_examples=part(examples),
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(base_url=url, headers=headers, timeout=20)
        # A head too long is refused by the server, before there is an operation whose document could name it.
        if answer.status_code not in (414, 431):
            case.validate_response(answer, checks=_CHECKS)

    check()
