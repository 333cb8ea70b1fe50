"""A bound on the time that an ``after`` hook takes: it is the user's code, and may wait for something that never comes."""

import asyncio
from collections.abc import Awaitable

from limen.contract.made import Finished, Hook, Made
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.observe.traces import logger

_log = logger("limen.app.hooks")


def within(hook: Hook, seconds: float, name: str) -> Hook:
    """Return ``hook`` of the route ``name``, given up after ``seconds`` of waiting."""

    async def later(made: Awaitable[Finished]) -> Finished:
        try:
            async with asyncio.timeout(seconds):
                return await made
        except TimeoutError:
            _log.error("the after hook of %s was given up after %g s", name, seconds)
            return Fault(Kind.HOOK_FAILED, cause=f"the after hook of {name} takes more than {seconds:g} s")

    def finish(content: bytes, caller: Principal | None) -> Finished | Awaitable[Finished]:
        made = hook(content, caller)
        return made if isinstance(made, Made | Fault) else later(made)

    return finish
