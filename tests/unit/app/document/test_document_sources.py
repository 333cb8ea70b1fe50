"""The documents that services are asked for: when, how often, and what happens if they do not answer."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from documents import as_json
from limen import Gateway, Upstream, anyone
from limen.app.document import sources
from limen.app.document.service_document import MOST_BYTES
from limen.app.document.sources import FAILED, FRESH, UrlSource
from limen.auth.issuer.location import Location
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {"/items": {"get": {"operationId": "items", "responses": {"200": {"description": "ok"}}}}},
}


def answer(content: bytes, media: str = "application/json", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Service:
    """Answers with the next of ``answers``, and the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def __call__(self, conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


class Clock:
    """Seconds, as a test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asked(*answers: bytes) -> AsyncGenerator[tuple[UrlSource, Clock, ScriptedUpstream]]:
    clock = Clock()
    async with ScriptedUpstream(Service(*answers)) as upstream:
        location = Location.parse(f"{upstream.url}/openapi.json", allow_http=True)
        yield UrlSource(location, Upstream("svc", [upstream.url]), clock), clock, upstream


async def test_a_document_is_asked_for_once_and_again_when_it_is_old() -> None:
    newer: dict[str, Any] = DOCUMENT | {"paths": {}}
    async with asked(answer(as_json(DOCUMENT)), answer(as_json(DOCUMENT)), answer(as_json(newer))) as (
        source,
        clock,
        up,
    ):
        await asyncio.gather(*(source.refresh() for _ in range(5)))
        first = source.document
        assert first is not None
        assert first.content == DOCUMENT
        assert up.requests[0].startswith(b"GET /openapi.json HTTP/1.1\r\n")
        clock.now = FRESH - 1
        await source.refresh()
        assert len(up.requests) == 1
        clock.now = FRESH
        await source.refresh()
        assert (len(up.requests), source.document is first) == (2, True)  # nothing has changed
        clock.now = 2 * FRESH
        await source.refresh()
        assert source.document is not None
        assert source.document.content == newer


WRONG = {
    "status": (answer(b"{}", status="404 Not Found"), "the answer is 404, and not 200"),
    "media type": (answer(b"a: 1", "application/yaml"), "content-type is not JSON"),
    "no JSON": (answer(b"{"), "it is not JSON"),
    "no OpenAPI": (answer(b"{}"), "it is not OpenAPI"),
    "too large": (answer(b" " * (MOST_BYTES + 1)), "more than 1048576 bytes"),
    "no answer": (b"", "closed"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
async def test_a_failure_is_a_line_in_the_log_and_is_tried_again(
    content: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with asked(content, answer(as_json(DOCUMENT)), content) as (source, clock, up):
        with caplog.at_level(logging.WARNING, "limen.app.document"):
            await source.refresh()
            await source.refresh()
        assert (source.document, len(up.requests), len(caplog.messages)) == (None, 1, 1)
        assert said in caplog.messages[0]
        assert caplog.messages[0].endswith("; the forward is documented without")
        clock.now = FAILED
        await source.refresh()
        assert source.document is not None
        clock.now += FRESH
        with caplog.at_level(logging.WARNING, "limen.app.document"):
            await source.refresh()
        assert source.document.content == DOCUMENT
        assert caplog.messages[-1].endswith("; the one before is published")


async def test_a_service_that_is_silent_is_waited_for_within_bounds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "LONGEST", 0.05)

    async def silent(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.read()

    async with ScriptedUpstream(silent) as upstream:
        location = Location.parse(upstream.url, allow_http=True)
        await UrlSource(location, Upstream("svc", [upstream.url])).refresh()
    assert "no answer in time" in caplog.text


async def published(gateway: Served) -> dict[str, Any]:
    return (await gateway.client.get("/openapi.json")).json()


async def test_a_gateway_asks_when_its_document_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FAILED", 0.0)
    monkeypatch.setattr(sources, "FRESH", 0.0)
    broken = as_json(DOCUMENT | {"paths": {"/items": {"get": {"responses": {"200": {"$ref": "#/no"}}}}}})
    answers = [answer(one) for one in (b"", as_json(DOCUMENT), b"{}", broken)]
    async with ScriptedUpstream(Service(*answers)) as upstream:
        app = Gateway()
        service = Upstream("svc", [upstream.url])
        for prefix in ("a", "b"):
            app.forward(f"/{prefix}/{{path:path}}", upstream=service, allow=anyone, rewrite="/{path}", methods=["GET"],
                        document=f"{upstream.url}/openapi.json", summary="Anything")  # fmt: skip
        assert upstream.requests == []
        async with serving(app) as gateway:
            assert upstream.requests == []
            assert sorted((await published(gateway))["paths"]) == ["/a/{path}", "/b/{path}"]
            assert sorted((await published(gateway))["paths"]) == ["/a/items", "/b/items"]
            assert sorted((await published(gateway))["paths"]) == ["/a/items", "/b/items"]  # the one before
            document = await published(gateway)  # it cannot be published
            assert document["paths"]["/a/{path}"]["get"]["summary"] == "Anything"
        assert len(upstream.requests) == 4
        assert json.dumps(app.openapi()) == json.dumps(document)


async def test_documents_can_be_asked_for_without_a_server() -> None:
    async with ScriptedUpstream(Service(answer(as_json(DOCUMENT)))) as upstream:
        app = Gateway()
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone,
                    document=f"{upstream.url}/openapi.json")  # fmt: skip
        assert [*app.openapi()["paths"]] == ["/{path}"]
        await app.load_documents()
        assert [*app.openapi()["paths"]] == ["/items"]
