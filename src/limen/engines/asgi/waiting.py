"""How an exchange waits for something outside: the client may leave meanwhile, and what is granted then is not lost."""

import asyncio
import contextlib
from collections.abc import Awaitable
from functools import partial
from typing import Any

from starlette.types import Receive

from limen.engines.asgi.body import RequestBody, Watch
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import WAITING


async def advance(core: Exchange, state: int, receive: Receive | None, body: RequestBody | None = None) -> int:
    """Wait for whatever is waited for; return the first state that asks for something else.

    ``receive`` is watched for a client that leaves. It is None where that is watched already, or where some of a body has
    not been read, which the watch would swallow. ``body`` is what is held of the request's meanwhile. Raises ClientGone, and
    BodyCut.
    """
    while state == WAITING:
        assert core.awaited is not None
        with contextlib.nullcontext() if receive is None else Watch(receive, body):
            value = await _granted(core, core.awaited, body)
        state = core.resume(value)
    return state


async def _granted(core: Exchange, awaited: Awaitable[Any], body: RequestBody | None) -> Any:
    waiter = asyncio.ensure_future(awaited)
    try:
        if body is None:
            return await asyncio.shield(waiter)
        return await body.unless_cut(partial(asyncio.shield, waiter))
    except BaseException as error:
        if not waiter.done() and (
            waiter is not awaited or not core.waits_for_policy
        ):  # else others may wait for it, too
            waiter.cancel()
        waiter.add_done_callback(partial(_abandon, core))
        task = asyncio.current_task()
        if (
            isinstance(error, asyncio.CancelledError)
            and waiter.cancelled()
            and task is not None
            and not task.cancelling()
        ):
            raise RuntimeError("what a policy waited for was cancelled") from None
        raise


def _abandon(core: Exchange, waiter: "asyncio.Future[Any]") -> None:
    if not waiter.cancelled() and waiter.exception() is None:
        core.abandon(waiter.result())
