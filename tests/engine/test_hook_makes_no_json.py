"""A value of an ``after`` hook that JSON cannot express is a fault: on no engine does a client get ``NaN``."""

import json

import pytest

from conformance import json_answer
from limen import Gateway, Upstream, anyone
from limen.testing import ScriptedUpstream, saying
from serving import serving


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_value_that_json_cannot_express_is_a_fault(number: float, later: bool) -> None:
    def at_once(found: object) -> object:
        return {"found": [number]}

    async def in_time(found: object) -> object:
        return at_once(found)

    async with ScriptedUpstream(saying(json_answer(b'{"id": 5}'))) as upstream:
        app = Gateway()
        hook = in_time if later else at_once

        @app.get("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone, after=hook)
        def stub() -> None: ...

        del stub
        async with serving(app) as served:
            answer = await served.raw(b"GET /x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(content)["code"] == "hook_failed"
