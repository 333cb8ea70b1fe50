"""Three targets that do anything at any time, under requests of every kind, and clients that leave.

Every answer belongs to its request. What may not be repeated is seen once at most. A body comes whole and byte for byte, or
does not look whole. No attempt goes to a target that has had its chance, and in the end nothing is left of anything.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import part
from fleets import Scene, fleet_gateway
from limen.client.limits import ClientLimits
from limen.testing import (
    Conversation,
    Script,
    Stage,
    answer,
    delayed,
    garbage,
    hanging,
    refusing,
    resetting,
    resetting_at,
    statuses,
)
from limen.upstream.retry import Retry

KEY = {"idempotency-key": "a"}
SEEN = 10_000  # bytes of a body that a service keeps a record of


async def echo(conversation: Conversation) -> None:
    """Answer with the path, and the size of the body."""
    head = await conversation.head()
    path = head.split(b" ", 2)[1]
    await conversation.say(answer(path + b" %d" % len(await conversation.body())))


async def early(conversation: Conversation) -> None:
    """Answer 503 before the body has come."""
    await conversation.head()
    await conversation.say(answer(b"early", 503))


STAGES: tuple[Stage, ...] = ("connect", "before_head", "after_head", "answer_head", "content")
SCRIPTS: dict[str, Script] = {
    "well": echo,
    "late": delayed(0.3, echo),
    "very late": delayed(1.5, echo),
    "refuses": refusing,
    "hangs": hanging,
    "garbage": garbage,
    "resets": resetting,
    "early": early,
    **{
        f"resets: {stage}": resetting_at(stage)
        for stage in ("connect", "before_head", "after_head", "answer_head", "content")
    },
    **{str(status): statuses(status, content="no")[0] for status in (500, 502, 503, 504)},
}


@dataclass(frozen=True)
class Behaves:
    """A target does so from now on, or for one request."""

    target: int
    does: str


@dataclass(frozen=True)
class Asks:
    """Requests of one kind begin; the client leaves after so many seconds, or stays."""

    method: str = "GET"
    count: int = 1
    size: int = 0
    chunked: bool = False
    pieces: int = 1
    key: bool = False
    leaves: float | None = None


@dataclass(frozen=True)
class Passes:
    """Time does."""

    seconds: float


TARGET = st.integers(0, 2)
EVENTS = st.one_of(
    st.builds(
        Behaves, TARGET, st.sampled_from([*SCRIPTS, "freezes", "freezes reading", "thaws", "thaws", "dies", "starts"])
    ),
    st.builds(
        Asks,
        st.sampled_from(["GET", "GET", "HEAD", "PUT", "PUT", "POST", "POST", "DELETE"]),
        st.integers(1, 8),
        st.sampled_from([0, 1, 1000, 4096, 4097, 9000]),
        st.booleans(),
        st.integers(1, 4),
        st.booleans(),
        st.one_of(st.none(), st.none(), st.none(), st.sampled_from([0.0, 0.01, 0.05, 1.0])),
    ),
    st.builds(Passes, st.sampled_from([0.0, 0.01, 0.03, 0.3, 1.1, 2.5, 31.0])),
)


class Course:
    """One course of events."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.asked: list[tuple[Asks, str, bytes, asyncio.Task[httpx2.Response]]] = []

    async def do(self, event: Behaves | Asks | Passes) -> None:
        match event:
            case Behaves():
                await self.behave(event.target, event.does)
            case Asks():
                for _ in range(event.count):
                    self.ask(event)
                await self.scene.settle()
                if event.leaves is not None:
                    await self.scene.clock.advance(event.leaves)
                    for _, _, _, task in self.asked[-event.count :]:
                        task.cancel()
            case Passes():
                await self.scene.clock.advance(event.seconds)

    async def behave(self, number: int, does: str) -> None:
        target = self.scene.fleet[number]
        match does:
            case "freezes":
                target.freeze()
            case "freezes reading":
                target.freeze("reading")
            case "thaws":
                target.thaw()
            case "dies":
                await target.kill()
            case "starts":
                await target.restart()
            case _:
                target.behave(SCRIPTS[does])

    def ask(self, event: Asks) -> None:
        path = f"/svc/{len(self.asked)}"
        content = b""
        options: dict[str, Any] = {}
        if event.method in ("PUT", "POST", "DELETE"):
            token = b"%d." % len(self.asked)
            content = (token * (event.size // len(token) + 1))[: event.size]
            headers = dict(KEY) if event.key else {}
            if not event.chunked:
                headers["content-length"] = str(len(content))
            options = {"content": self.pieces(content, event.pieces), "headers": headers}
        self.asked.append((event, path, content, self.scene.begin(event.method, path, **options)))

    async def pieces(self, content: bytes, count: int) -> Any:
        size = len(content) // count + 1
        for at in range(0, len(content), size):
            yield content[at : at + size]
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Let everybody be well, and wait for every answer."""
        for target in self.scene.fleet:
            await target.restart()
            target.behave(echo)
        for _ in range(8):
            await self.scene.clock.advance(31)
            if all(task.done() for *_, task in self.asked):
                break
        for event, path, content, task in self.asked:
            with contextlib.suppress(asyncio.CancelledError, httpx2.RemoteProtocolError):
                self.judge(event, path, content, await task)

    def judge(self, event: Asks, path: str, content: bytes, got: httpx2.Response) -> None:
        if got.status_code == 200:
            said = b"" if event.method == "HEAD" else b"%b %d" % (path.encode(), len(content))
            assert got.content == said, (event, got.content)
        else:
            assert got.status_code in (500, 502, 503, 504), (event, got)

    def check(self) -> None:
        """Compare with what the services have seen, and what the policy was told."""
        seen = Counter[str]()
        for target in self.scene.fleet:
            for one in target.received:
                number = int(one.path.removeprefix(b"/svc/"))
                event, path, content, _ = self.asked[number]
                seen[path] += 1
                if one.complete:
                    assert bytes(one.body) == content, (event, len(one.body), len(content))
                else:
                    assert content.startswith(bytes(one.body))
        for event, path, _, _ in self.asked:
            if event.method == "POST" and not event.key:
                assert seen[path] <= 1, (event, seen[path])
            assert seen[path] <= 5, event
        tried: dict[str, list[Any]] = {}
        for request_id, result in self.scene.record.attempts:
            tried.setdefault(request_id, []).append(result)
        for results in tried.values():
            stale = any(one.fault is not None and one.reused and not one.answered for one in results)
            again = Counter(one.target for one in results)
            # What the service had closed before it saw the request is no try: then any target will do.
            assert max(again.values()) == 1 or stale, results
            assert len(results) <= (4 if stale else 3), results


@settings(max_examples=part(40), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=3, max_size=25))
@example([Behaves(0, "freezes"), *[Asks("PUT", 8, 4097, chunked=True, pieces=4)] * 3, Behaves(1, "503"), Passes(1.1)])
@example(
    [*[Behaves(number, "early") for number in range(3)], Asks("PUT", 8, 9000, chunked=True, pieces=4), Passes(2.5)]
)
@example(
    [Behaves(0, "dies"), Asks("POST", 8, 1000), Behaves(1, "resets"), Asks("POST", 8, 1000, key=True), Passes(0.0)]
)
async def test_whatever_targets_do(engine: str, events: list[Behaves | Asks | Passes]) -> None:
    limits = ClientLimits(body_memory=256 * 1024)
    async with fleet_gateway(engine, keyed=True, limits=limits, retry=Retry(body=4096)) as scene:
        for target in scene.fleet:
            target.behave(echo)
        course = Course(scene)
        for event in events:
            await course.do(event)
        await course.end()
        course.check()
