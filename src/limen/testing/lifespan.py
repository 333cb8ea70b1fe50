"""Runs the lifespan of an ASGI application, as a server does. One that has none is served without."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

from starlette.types import ASGIApp, Message


@asynccontextmanager
async def lifespan(app: ASGIApp, what: str, context: Context) -> AsyncGenerator[dict[str, Any]]:
    """Start ``app``, yield the state that its lifespan has left for requests, and stop it.

    It runs in a task of its own, in ``context``. Raises RuntimeError, which says ``what`` did not start or stop, and why.
    """
    running = _Lifespan(app, what)
    task = asyncio.get_running_loop().create_task(running.run(), context=context)
    try:
        await running.sent("startup", task)
        try:
            yield running.state
        finally:
            await running.sent("shutdown", task)
    finally:
        task.cancel()
        await asyncio.wait((task,))


class _Lifespan:
    def __init__(self, app: ASGIApp, what: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._what = what
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._raised: Exception | None = None

    async def run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._asked.get, self._answers.put)
        except Exception as error:
            self._raised = error

    async def sent(self, what: str, task: "asyncio.Task[None]") -> None:
        """Send ``what`` and wait until it was done."""
        if task.done():
            return  # there is no lifespan
        self._asked.put_nowait({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._answers.get())
        try:
            await asyncio.wait((answer, task), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                message = answer.result()
                if message["type"] == f"lifespan.{what}.failed":
                    if self._raised is None:
                        await asyncio.wait((task,))  # what was raised says more than its text
                    raise RuntimeError(f"{self._what} failed at {what}: {message.get('message', '')}") from self._raised
        finally:
            answer.cancel()
