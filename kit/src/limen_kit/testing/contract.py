"""Tests a server against its own OpenAPI document, with valid and with invalid input."""

from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

# schemathesis types these with an open parameter.
_CHECKS = [
    vars(checks)["not_a_server_error"],
    vars(openapi_checks)["status_code_conformance"],
    vars(openapi_checks)["response_schema_conformance"],
]


def check_contract(url: str, headers: Mapping[str, str], *, examples: int = 30) -> int:
    """Call every operation that the server at ``url`` documents; return how many there are.

    ``examples`` of a hundred are tried for each, and more or fewer as the profile of Hypothesis has more or fewer than 100.
    Fails on a status of 500 or more, on an undocumented status, and on a response that does not match its schema.
    """
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        # An operation without input, or with only optional headers of any text, has no invalid input.
        can_be_invalid = bool(operation.body) or not all(map(_accepts_anything, operation.iter_parameters()))
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if can_be_invalid else ())):
            _check(operation, mode, url, dict(headers), examples)
    return len(operations)


def _accepts_anything(parameter: Any) -> bool:
    definition: dict[str, Any] = parameter.definition
    kinds = [{"type": "string"}, {"type": "null"}]
    return definition["in"] == "header" and not definition["required"] and definition["schema"].get("anyOf") == kinds


def _check(operation: Any, mode: GenerationMode, url: str, headers: dict[str, str], examples: int) -> None:
    @settings(
        max_examples=max(1, settings().max_examples * examples // 100),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        response = case.call(base_url=url, headers=headers, timeout=20)
        # A head that is too long is refused by the server, before there is an operation that could document it.
        if response.status_code not in (414, 431):
            case.validate_response(response, checks=_CHECKS)

    check()
