"""The bytes that an object keeps: those of every text and every bytes reachable from it, each counted once."""

import asyncio
import gc
from collections.abc import Iterable
from contextvars import Context, ContextVar
from logging import Logger
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from limen.engines.direct.worker_state import WorkerState
from limen.runtime.plan import Plan
from limen.runtime.state import Runtime
from limen.upstream.pool import Pool

# What many share, and what is there without anybody being connected.
_SHARED: tuple[type[Any], ...] = (
    *(BuiltinFunctionType, CodeType, FunctionType, ModuleType, type, Logger, Context, ContextVar),
    *(asyncio.AbstractEventLoop, asyncio.BaseTransport, FastAPI, uvicorn.Config, ServerState),
    *(WorkerState, Plan, Runtime, Pool),
)

# The type of an asynchronous function that is compiled, which is none of the above and does not say in which module it is.
_COMPILED_FUNCTION = "Function compiled with mypyc"


def bytes_held(roots: Iterable[object]) -> int:
    """Return how many bytes ``roots`` keep; neither what many share counts, nor what transports buffer."""
    seen: set[int] = set()
    stack = list(roots)
    size = 0
    while stack:
        one = stack.pop()
        kind = type(one)
        if id(one) in seen or isinstance(one, _SHARED) or kind.__name__ == _COMPILED_FUNCTION:
            continue
        if kind.__module__.startswith("uvloop"):
            continue
        seen.add(id(one))
        if isinstance(one, bytes | bytearray | str):
            size += len(one)
        stack.extend(gc.get_referents(one))
    return size
