"""after hooks as users write them: their arguments, what they return, and what is refused when they are declared."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

from limen.app.hooks import after_hook
from limen.contract.after import AfterHook, AfterResult
from limen.exchange.principal import Principal

ADA = Principal("ada")


async def run(hook: AfterHook, value: object = 7, caller: Principal | None = ADA) -> AfterResult:
    made = hook.run(value, caller)
    return made if isinstance(made, AfterResult) else await made


def plain(answer: int) -> object:
    return answer + 1


async def later(answer: int) -> object:
    return answer + 1


class Adds:
    def __call__(self, answer: int) -> object:
        return answer + 1


@pytest.mark.parametrize("function", [plain, later, Adds()], ids=str)
async def test_a_hook_makes_a_value_of_the_answer(function: Callable[..., Any]) -> None:
    assert await run(after_hook(function, public=True)) == AfterResult(8)


def test_the_annotation_of_the_first_argument_says_what_it_is_given() -> None:
    assert after_hook(plain, public=True).input_type is int
    assert after_hook(sorted, public=True).input_type is Any  # which names no type


async def test_a_hook_sees_the_caller_and_sets_status_headers_and_cookies() -> None:
    def hook(response: Response, answer: int, caller: Principal) -> object:
        response.status_code = 201
        response.headers["X-Kind"] = "new"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return [answer, caller.id]

    made = await run(after_hook(hook, public=False))
    assert (made.value, made.status) == ([7, "ada"], 201)
    names = [name for name, _ in made.headers]
    assert names == [b"x-kind", b"set-cookie", b"set-cookie"]


async def test_by_keyword_they_come_as_well() -> None:
    async def hook(answer: int, *, caller: Principal | None = None, response: Response, more: int = 3) -> object:
        response.headers["x-more"] = str(more)
        return caller

    made = await run(after_hook(hook, public=True), caller=None)
    assert (made.value, made.status, made.headers) == (None, None, ((b"x-more", b"3"),))


async def test_a_response_is_the_answer() -> None:
    def text(answer: int, response: Response) -> Response:
        response.set_cookie("a", "1")
        return PlainTextResponse(f"is {answer}", 202, {"x-a": "b"})

    made = await run(after_hook(text, public=True))
    assert (made.status, made.content) == (202, b"is 7")
    assert [name for name, _ in made.headers] == [b"set-cookie", b"x-a", b"content-type"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exception_of_fastapis_is_a_problem(*, is_async: bool) -> None:
    error = HTTPException(409, "Taken.", {"X-Why": "name"})

    def hook(answer: int) -> object:
        raise error

    async def late(answer: int) -> object:
        raise error

    made = await run(after_hook(late if is_async else hook, public=True))
    assert made == AfterResult(None, 409, ((b"x-why", b"name"),), problem="Taken.")


@pytest.mark.parametrize(
    "response",
    [StreamingResponse(iter([b"x"])), JSONResponse(1, background=BackgroundTask(print))],
    ids=["streams", "has tasks"],
)
async def test_a_response_that_would_be_half_sent_is_refused(response: Response) -> None:
    def hook(answer: int) -> Response:
        return response

    with pytest.raises(TypeError, match=r"hook returned a \w+ without content of its own, or with tasks of its own"):
        await run(after_hook(hook, public=True))


def none() -> None: ...
def two(answer: int, other: int) -> None: ...
def typed(answer: int, response: JSONResponse) -> None: ...
def demands(answer: int, caller: Principal) -> None: ...
def by_place(answer: int, response: Response, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (none, "after=none must take one argument, the service's decoded answer"),
        (
            two,
            "after=two must take one argument, the service's decoded answer, and perhaps a Response and a",
        ),
        (typed, "after=typed takes a JSONResponse; take a Response, to set status and headers"),
        (demands, "after=demands takes a Principal, and anyone may call; take a Principal | None"),
        (by_place, "after=by_place takes response by position alone; take it by its name"),
        (str, "after=str does not tell what it takes; wrap it in a function"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_cannot_be_called_is_refused_when_it_is_declared(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(TypeError) as raised:
        after_hook(function, public=True)
    assert str(raised.value).startswith(said)
