"""How an exchange waits for something outside: the client may leave meanwhile, and what is granted then is not lost."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

from starlette.types import Receive

from limen.engines.asgi.body import RequestBody, Watch
from limen.pipeline.exchange import WAITING, Exchange


async def advance(core: Exchange, state: int, receive: Receive, body: RequestBody | None) -> int:
    """Wait for whatever is waited for; return the first state that asks for something else.

    ``body`` is what is held of the request's meanwhile. Raises ClientGone, and BodyCut.
    """
    while state == WAITING:
        assert core.awaited is not None
        with Watch(receive, body):
            value = await _granted(core, core.awaited, body)
        state = core.resume(value)
    return state


async def _granted(core: Exchange, awaited: Awaitable[Any], body: RequestBody | None) -> Any:
    waiter = asyncio.ensure_future(awaited)
    try:
        if body is None:
            return await asyncio.shield(waiter)
        return await body.unless_cut(partial(asyncio.shield, waiter))
    except BaseException:
        if not waiter.done():
            waiter.cancel()
        waiter.add_done_callback(partial(_abandon, core))
        raise


def _abandon(core: Exchange, waiter: "asyncio.Future[Any]") -> None:
    if not waiter.cancelled() and waiter.exception() is None:
        core.abandon(waiter.result())
