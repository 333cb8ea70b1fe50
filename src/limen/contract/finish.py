"""What happens to a declared answer before the client gets it: checked, given to ``after``, checked again.

A large answer waits for its turn of the event loop (``validations``).
"""

import json
import re
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from limen.contract.after import After, Changed
from limen.contract.answer import Answer, as_written
from limen.contract.checker import Checker
from limen.contract.contract import Contract
from limen.contract.made import Finished, Hook, Made
from limen.contract.strict_json import no_constant
from limen.contract.violations import Violations, from_pydantic
from limen.contract.within import within
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.fairness.validations import FULL, MostValues, Validations, heavy
from limen.http.headers import TOKEN
from limen.observe.traces import logger

_log = logger("limen.app.hooks")

_ANYTHING: Final = Answer(TypeAdapter(Any))

# What frames or codes an answer, ends at the next hop (RFC 9110 section 7.6.1), or is said by the gateway of every answer.
_NOT_A_HOOKS: Final = frozenset(
    (
        *(b"connection", b"content-length", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"content-encoding", b"content-range", b"date", b"server", b"via", b"x-request-id"),
    )
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_CONTENT: Final = frozenset((204, 205, 304))


class _Unfit(Exception):
    """What a hook has made cannot be an answer."""


def finishers(
    contract: Contract,
    after: After | None,
    status: int,
    *,
    name: str,
    max_answer: int,
    validations: Validations,
    seconds: float,
) -> Mapping[int, Hook]:
    """Return the hooks of the route ``name`` by the status of the answer. Answers of others pass through unread.

    ``status`` is the documented one, whose answer is given to ``after``; ``max_answer`` is in bytes. Large answers wait in
    ``validations``; ``after`` is given up after ``seconds``.
    """
    hooks: dict[int, Hook] = {}
    if contract.rest is not None:
        hooks = dict.fromkeys({*range(200, 300)} - {status}, _checked(contract.rest))
    hooks |= {one: _checked(answer) for one, answer in contract.answers.items()}
    if after is not None:
        hook = within(_after(name, after, contract.answer, status), seconds, name)
        hooks[status] = hook
        if status in _WITHOUT_CONTENT:
            hooks[200] = hook  # there has to be an answer to make nothing of
    elif contract.answer is not None:
        hooks[status] = _checked(contract.answer)
    most = MostValues.of(max_answer)
    return {one: _in_turn(hook, validations, most) for one, hook in hooks.items()}


def _in_turn(hook: Hook, validations: Validations, most: MostValues) -> Hook:
    def bounded(content: bytes, caller: Principal | None) -> Finished | Awaitable[Finished]:
        if most.passed(content):
            return Fault(Kind.UPSTREAM_TOO_LARGE, cause=f"more than {most}")
        return hook(content, caller)

    async def later(asked: Awaitable[Finished | Awaitable[Finished]]) -> Finished:
        made = await asked
        return made if isinstance(made, Made | Fault) else await made

    def finish(content: bytes, caller: Principal | None) -> Finished | Awaitable[Finished]:
        if not heavy(content):
            return hook(content, caller)
        asked = validations.ask(len(content), partial(bounded, content, caller))
        return FULL if asked is None else later(asked)

    return finish


def _checked(answer: Answer) -> Hook:
    def check(content: bytes, caller: Principal | None) -> Finished:
        made = answer.checked(content)
        if isinstance(made, Violations):
            return _broken(made, answer.checker)
        return Made(made, "same" if made == content else "rewritten")

    return check


def _after(name: str, after: After, answer: Answer | None, status: int) -> Hook:
    checker = None if after.given is Any or after.given is object else Checker(TypeAdapter(after.given), as_written)

    def finished(changed: Changed) -> Made:
        made = changed.status or status
        if not 200 <= made <= 599 or made == 206:
            raise _Unfit(f"{made} is no status of a whole answer")
        for line, value in changed.headers:
            if line in _NOT_A_HOOKS:
                raise _Unfit(f"it set {line.decode()}, which is the gateway's to say")
            if not TOKEN.fullmatch(line) or _CONTROL.search(value):
                raise _Unfit("it set a header line that is malformed")
        if changed.problem is not None:
            return Made(b"", "alone", made, changed.headers, changed.problem)
        content = changed.content
        if content is None:
            if made in _WITHOUT_CONTENT and changed.value is None:
                return Made(b"", "made", made, changed.headers)
            written = (answer or _ANYTHING).made(changed.value)
            if isinstance(written, Violations):
                raise _Unfit(f"what it made does not fit: {written.line((answer or _ANYTHING).checker.names)}")
            content = written
        if content and made in _WITHOUT_CONTENT:
            raise _Unfit(f"an answer with status {made} has no content")
        return Made(content, "made" if changed.content is None else "alone", made, changed.headers)

    def failed(error: Exception) -> Fault:
        # The hook is the user's code: whatever it raises becomes one answer and one log entry.
        if isinstance(error, _Unfit):
            _log.error("the after hook of %s failed: %s", name, error)
        elif isinstance(error, ValidationError):
            _log.error("the after hook of %s failed: %s", name, from_pydantic(error, ()).line(()), exc_info=error)
        else:
            _log.error("the after hook of %s failed", name, exc_info=error)
        return Fault(Kind.HOOK_FAILED, cause=f"the after hook of {name} raised {type(error).__name__}")

    async def later(made: Awaitable[Changed]) -> Finished:
        try:
            return finished(await made)
        except Exception as error:
            return failed(error)

    def finish(content: bytes, caller: Principal | None) -> Finished | Awaitable[Finished]:
        given: object
        if checker is None:
            try:
                given = json.loads(content, parse_constant=no_constant)
            except ValueError as error:
                return Fault(Kind.UPSTREAM_CONTRACT, cause=f"the answer is not JSON: {type(error).__name__}")
        else:
            given = checker.check_json(content, ())
            if isinstance(given, Violations):
                return _broken(given, checker)
        try:
            made = after.run(given, caller)
            return finished(made) if isinstance(made, Changed) else later(made)
        except Exception as error:
            return failed(error)

    return finish


def _broken(found: Violations, checker: Checker) -> Fault:
    return Fault(Kind.UPSTREAM_CONTRACT, cause=found.line(checker.names))
