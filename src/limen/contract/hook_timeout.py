"""A timeout for ``after`` hooks: a hook is the user's code, and may wait for something that never comes."""

import asyncio
from collections.abc import Awaitable

from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.observe.redaction import logger

_log = logger("limen.app.hooks")


def with_timeout(hook: AnswerHook, seconds: float | None, name: str) -> AnswerHook:
    """Return ``hook`` of the route ``name``; it fails once it has waited for ``seconds``, None is no bound."""
    if seconds is None:
        return hook

    async def bounded(result: Awaitable[HookResult]) -> HookResult:
        try:
            async with asyncio.timeout(seconds):
                return await result
        except TimeoutError:
            _log.error("the after hook of %s was given up after %g s", name, seconds)
            return Fault(Kind.HOOK_FAILED, cause=f"the after hook of {name} takes more than {seconds:g} s")

    def edit(content: bytes, caller: Principal | None) -> HookResult | Awaitable[HookResult]:
        result = hook(content, caller)
        return result if isinstance(result, EditedAnswer | Fault) else bounded(result)

    return edit
