"""Scripts, and the bytes of answers for them. In a ``ScriptedUpstream`` a script serves one connection, in a
``ScriptedTarget`` one request.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final, Literal, get_args

from limen.testing.conversation import Conversation, Script

Stage = Literal["connect", "before_head", "after_head", "body", "before_answer", "answer_head", "content"]
"""Where a connection is reset, in the order of an exchange."""

_STAGES: Final[tuple[str, ...]] = get_args(Stage)


def answer(content: object = None, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of an answer with ``content`` as JSON; ``bytes`` are sent as they are, and None is no content."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    if content is None:
        body = b""
    elif isinstance(content, bytes):
        body = content
    else:
        body = json.dumps(content).encode()
        lines.append("content-type: application/json")
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def saying(*answers: bytes) -> Script:
    """Return a script that answers each request with the next of ``answers`` and then closes the connection."""

    async def script(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.request()
            await conversation.say(answer)

    return script


def statuses(*codes: int, content: object = None) -> tuple[Script, ...]:
    """Return one script for each of ``codes``, which answers with that status and ``content``."""
    return tuple(saying(answer(content, code)) for code in codes)


def slowly(answer: bytes, seconds: float) -> Script:
    """Return a script that answers every request with ``answer``, after ``seconds``."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await asyncio.sleep(seconds)
            await conversation.say(answer)

    return script


def delayed(seconds: float, script: Script) -> Script:
    """Return a script that lets ``seconds`` pass once the head of a request has come, and then does what ``script`` does."""

    async def late(conversation: Conversation) -> None:
        await conversation.head_arrived()
        await asyncio.sleep(seconds)
        await script(conversation)

    return late


def dripping(answer: bytes, seconds: float, *, size: int = 1) -> Script:
    """Return a script that answers one request, ``size`` bytes at a time, with ``seconds`` between them."""
    if size < 1:
        raise ValueError(f"dripping(size={size}): at least one byte at a time")

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        for begin in range(0, len(answer), size):
            if begin:
                await asyncio.sleep(seconds)
            await conversation.say(answer[begin : begin + size])

    return script


def flapping(well: int, bad: int, fault: Script | None = None, *, otherwise: Script | None = None) -> Iterator[Script]:
    """Yield scripts without end: ``otherwise`` for ``well`` requests, then ``fault`` for ``bad`` requests, and again.

    By default the fault is a status of 503, and the others have one of 200.
    """
    if well < 0 or bad < 0 or not well + bad:
        raise ValueError(f"flapping({well}, {bad}): requests are counted from 0, and there is at least one")
    return _flapping(well, bad, fault or saying(answer(status=503)), otherwise or saying(answer()))


def _flapping(well: int, bad: int, fault: Script, otherwise: Script) -> Iterator[Script]:
    while True:
        for _ in range(well):
            yield otherwise
        for _ in range(bad):
            yield fault


async def hanging(conversation: Conversation) -> None:
    """Read what comes, and never answer."""
    await conversation.read_to_end()


async def garbage(conversation: Conversation) -> None:
    """Answer a request with bytes that are no HTTP."""
    await conversation.request()
    await conversation.say(b"\x00\x15\x03garbage, and no answer\r\n\r\n")


async def resetting(conversation: Conversation) -> None:
    """Reset the connection once a request has come."""
    await conversation.request()
    conversation.reset()


def resetting_at(stage: Stage, said: bytes | None = None) -> Script:
    """Return a script that resets the connection at ``stage``:

    - ``"connect"``: as soon as it is made
    - ``"before_head"``: when the first byte of a request has come
    - ``"after_head"``: when its head was read, and nothing of its body
    - ``"body"``: within its body; a request that has none fails the test
    - ``"before_answer"``: when it was read as a whole, as ``resetting`` does
    - ``"answer_head"``: after half of the answer's head
    - ``"content"``: after half of the answer's content

    ``said`` is the answer that the last two begin. Raises ValueError where there is nothing to halve, or nothing to say.
    """
    if stage not in _STAGES:
        raise ValueError(f"resetting_at({stage!r}): use one of {', '.join(map(repr, _STAGES))}")
    if stage in ("answer_head", "content"):
        return _cut(stage, answer("this content is cut") if said is None else said)
    if said is not None:
        raise ValueError(f"resetting_at({stage!r}, said=...): the connection is reset before an answer")
    return _RESETTING[stage]


def _cut(stage: str, said: bytes) -> Script:
    head, end, content = said.partition(b"\r\n\r\n")
    if stage == "content":
        if len(content) < 2:
            raise ValueError(
                "resetting_at('content', said=...): an answer with two bytes of content or more can be cut"
            )
        part = head + end + content[: len(content) // 2]
    else:
        part = head[: len(head) // 2]

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say_and_reset(part)

    return script


async def _reset_on_connect(conversation: Conversation) -> None:
    conversation.reset()


async def _reset_before_head(conversation: Conversation) -> None:
    await conversation.arrived()
    conversation.reset()


async def _reset_after_head(conversation: Conversation) -> None:
    await conversation.head()
    conversation.reset()


async def _reset_within_body(conversation: Conversation) -> None:
    head = await conversation.head()
    if not await conversation.body_part(1):
        line = head.partition(b"\r\n")[0].decode("latin-1")
        raise ValueError(f"resetting_at('body'): {line!r} has no body; reset it at 'after_head' or 'before_answer'")
    conversation.reset()


async def refusing(conversation: Conversation) -> None:
    """Refuse the connection. On a real socket, where it is accepted before a script sees it, reset it."""
    conversation.reset()


async def unreachable(conversation: Conversation) -> None:
    """Let nobody connect, and say nothing. On a real socket, accept the connection and read nothing."""
    await asyncio.Event().wait()


_RESETTING: Final[dict[str, Script]] = {
    "connect": _reset_on_connect,
    "before_head": _reset_before_head,
    "after_head": _reset_after_head,
    "body": _reset_within_body,
    "before_answer": resetting,
}

_WHOLE_CONNECTIONS: Final[tuple[Script, ...]] = (refusing, unreachable, _reset_on_connect)


def concerns_connection(script: Script) -> bool:
    """Tell whether ``script`` decides about a connection before any request comes on it."""
    return any(script is one for one in _WHOLE_CONNECTIONS)
