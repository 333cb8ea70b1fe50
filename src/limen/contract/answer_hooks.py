"""What happens to a declared answer before the client gets it.

1. it is checked against its type
2. ``after`` edits the one of the documented status, and what it makes is checked again

A large answer waits for its turn of the event loop (``validations``).
"""

import json
import re
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from limen.contract.after import AfterHook, AfterResult
from limen.contract.answer_model import AnswerModel, accept_output
from limen.contract.checker import Checker
from limen.contract.contract import Contract
from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.contract.hook_timeout import with_timeout
from limen.contract.strict_json import refuse_constant
from limen.contract.violations import Violations, from_pydantic
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.fairness.validations import FULL, MostValues, Validations, heavy
from limen.http.headers import TOKEN
from limen.observe.redaction import logger

_log = logger("limen.app.hooks")

_ANY_JSON: Final = AnswerModel(TypeAdapter(Any))

# A hook may set none of these: they frame or encode an answer, end at the next hop (RFC 9110 section 7.6.1), or are set by
# the gateway on every answer.
_NOT_FOR_HOOKS: Final = frozenset(
    (
        *(b"connection", b"content-length", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"content-encoding", b"content-range", b"date", b"server", b"via", b"x-request-id"),
    )
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_CONTENT: Final = frozenset((204, 205, 304))


class _InvalidResult(Exception):
    """The result of a hook cannot be an answer."""


def answer_hooks(
    contract: Contract,
    after: AfterHook | None,
    status: int,
    *,
    name: str,
    max_answer: int,
    validations: Validations,
    seconds: float | None,
) -> Mapping[int, AnswerHook]:
    """Return the hooks of the route ``name`` by the status of the answer. Answers of other statuses pass through unread.

    ``after`` edits the answer of the documented ``status``, and has ``seconds`` for it; None is no bound.
    ``max_answer`` is in bytes.
    """
    hooks: dict[int, AnswerHook] = {}
    if contract.rest is not None:
        hooks = dict.fromkeys({*range(200, 300)} - {status}, _check(contract.rest))
    hooks |= {one: _check(model) for one, model in contract.answers.items()}
    if after is not None:
        hook = with_timeout(_run_after(name, after, contract.answer, status), seconds, name)
        hooks[status] = hook
        if status in _WITHOUT_CONTENT:
            hooks[200] = hook  # the service answers with content, and the hook takes it away
    elif contract.answer is not None:
        hooks[status] = _check(contract.answer)
    most = MostValues.of(max_answer)
    return {one: _in_turn(hook, validations, most) for one, hook in hooks.items()}


def _in_turn(hook: AnswerHook, validations: Validations, most: MostValues) -> AnswerHook:
    """Return ``hook``, which waits in ``validations`` with a large answer, and refuses one with too many values."""

    def bounded(content: bytes, caller: Principal | None) -> HookResult | Awaitable[HookResult]:
        if most.passed(content):
            return Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most}")
        return hook(content, caller)

    async def in_turn(turn: Awaitable[HookResult | Awaitable[HookResult]]) -> HookResult:
        result = await turn
        return result if isinstance(result, EditedAnswer | Fault) else await result

    def edit(content: bytes, caller: Principal | None) -> HookResult | Awaitable[HookResult]:
        if not heavy(content):
            return hook(content, caller)
        turn = validations.ask(len(content), partial(bounded, content, caller))
        return FULL if turn is None else in_turn(turn)

    return edit


def _check(model: AnswerModel) -> AnswerHook:
    def edit(content: bytes, caller: Principal | None) -> HookResult:
        checked = model.check(content)
        if isinstance(checked, Violations):
            return _contract_broken(checked, model.checker)
        return EditedAnswer(checked, "none" if checked == content else "rewritten")

    return edit


def _run_after(name: str, after: AfterHook, model: AnswerModel | None, status: int) -> AnswerHook:
    reads_any = after.input_type is Any or after.input_type is object
    checker = None if reads_any else Checker(TypeAdapter(after.input_type), accept_output)

    async def later(result: Awaitable[AfterResult]) -> HookResult:
        try:
            return _edited(await result, model, status)
        except Exception as error:
            return _failed(name, error)

    def edit(content: bytes, caller: Principal | None) -> HookResult | Awaitable[HookResult]:
        value: object
        if checker is None:
            try:
                value = json.loads(content, parse_constant=refuse_constant)
            except ValueError as error:
                return Fault(Kind.UPSTREAM_CONTRACT, cause=f"the answer is not JSON: {type(error).__name__}")
        else:
            value = checker.check_json(content, ())
            if isinstance(value, Violations):
                return _contract_broken(value, checker)
        try:
            result = after.run(value, caller)
            return _edited(result, model, status) if isinstance(result, AfterResult) else later(result)
        except Exception as error:
            return _failed(name, error)

    return edit


def _edited(result: AfterResult, model: AnswerModel | None, documented: int) -> EditedAnswer:
    """Return the answer of a hook; raises _InvalidResult, and whatever the user's serializers raise."""
    status = result.status or documented
    if not 200 <= status <= 599 or status == 206:
        raise _InvalidResult(f"{status} is no status of a whole answer")
    for name, value in result.headers:
        if name in _NOT_FOR_HOOKS:
            raise _InvalidResult(f"it set {name.decode()}, which is the gateway's to say")
        if not TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise _InvalidResult("it set a header line that is malformed")
    if result.problem is not None:
        return EditedAnswer(b"", "standalone", status, result.headers, result.problem)
    content = result.content
    if content is None:
        if status in _WITHOUT_CONTENT and result.value is None:
            return EditedAnswer(b"", "replaced", status, result.headers)
        model = model or _ANY_JSON
        written = model.serialize(result.value)
        if isinstance(written, Violations):
            raise _InvalidResult(f"what it made does not fit: {written.line(model.checker.names)}")
        content = written
    if content and status in _WITHOUT_CONTENT:
        raise _InvalidResult(f"an answer with status {status} has no content")
    return EditedAnswer(content, "replaced" if result.content is None else "standalone", status, result.headers)


def _failed(name: str, error: Exception) -> Fault:
    """Return one answer, and write one log entry, for whatever a hook raises: it is the user's code."""
    if isinstance(error, _InvalidResult):
        _log.error("the after hook of %s failed: %s", name, error)
    elif isinstance(error, ValidationError):
        _log.error("the after hook of %s failed: %s", name, from_pydantic(error, ()).line(()), exc_info=error)
    else:
        _log.error("the after hook of %s failed", name, exc_info=error)
    return Fault(Kind.HOOK_FAILED, cause=f"the after hook of {name} raised {type(error).__name__}")


def _contract_broken(violations: Violations, checker: Checker) -> Fault:
    return Fault(Kind.UPSTREAM_CONTRACT, cause=violations.line(checker.names))
