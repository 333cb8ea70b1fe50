"""A secret in any input of a request is in no line of any log, however the request fails. (The path may be.)"""

import io
import logging
from collections.abc import Callable, Generator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Header, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict

from limen import Gateway, Principal, Upstream, anyone, signed_in
from limen.auth import Jwt, issue
from limen.testing import ScriptedUpstream, saying
from serving import serving

SECRET = "pl4nted-s3cret"
TOKENS = Jwt("0123456789abcdef0123456789abcdef-for-tests")


def repeats(value: str) -> str:
    raise ValueError(f"no good: {value}")


def mistake(value: str) -> str:
    raise RuntimeError(f"no good: {value}")


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = ""
    number: int = 0
    checked: Annotated[str, AfterValidator(repeats)] = ""
    broken: Annotated[str, AfterValidator(mistake)] = ""
    pet: Cat | Dog | None = None
    named: dict[str, int] = {}


class Pair(BaseModel):
    token: str
    short: str = ""
    named: dict[str, int] = {}


def fits_not(answer: Any) -> Any:
    return {"short": answer}


def of_model(answer: Any) -> Any:
    return Pair(short=answer)  # pyright: ignore[reportCallIssue] - it raises, with its input in the text


def raises(answer: Any) -> Any:
    try:
        raise KeyError(str(answer))
    except KeyError as error:
        raise RuntimeError(f"with {answer}") from error


def no_json(answer: Any) -> Any:
    return {str(answer): float("nan")}


def bad_header(answer: Any, response: Any = None) -> Any:
    raise UnicodeError(str(answer))


def rule(caller: Principal) -> bool:
    raise RuntimeError(f"{caller.claims}")


def build(url: str) -> Gateway:
    app = Gateway(auth=TOKENS)
    svc = app.group("", upstream=Upstream("svc", [url]), allow=anyone)

    @svc.post("/form")
    def form(form: Form, q: Annotated[int, Query()] = 0, x_number: Annotated[int, Header()] = 0) -> None: ...

    @svc.post("/answer")
    def answer() -> Form: ...

    @svc.post("/guarded", allow=rule)
    def guarded() -> None: ...

    @svc.post("/mine", allow=signed_in)
    def mine() -> None: ...

    for hook in (fits_not, of_model, raises, no_json, bad_header):

        def stub() -> Pair: ...

        svc.post(f"/{hook.__name__}", after=hook)(stub)

    @app.post("/local")
    async def local(request: Request) -> None:
        raises((await request.body()).decode())

    del form, answer, guarded, mine, local
    return app


@pytest.fixture
def written() -> Generator[Callable[[], str]]:
    """All that loggers write from here on, as a terminal would show it."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client tells what it asks for
    names = ["", "uvicorn", "uvicorn.error", "uvicorn.access", "limen", "limen.access", "limen.app.hooks"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG if name else logging.INFO)
    for name in ("", *(one for one in names[1:] if not logging.getLogger(one).propagate)):
        logging.getLogger(name).addHandler(handler)
    yield out.getvalue
    for name in names:
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(levels[name])


TEXT = f'"{SECRET}"'
REQUESTS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "a member that is not known": ("/form", f'{{"{SECRET}": 1}}', {}, "{}"),
    "a member that comes twice": ("/form", f'{{"{SECRET}": 1, "{SECRET}": 2}}', {}, "{}"),
    "a value": ("/form", f'{{"number": {TEXT}}}', {}, "{}"),
    "a key": ("/form", f'{{"named": {{{TEXT}: "x"}}}}', {}, "{}"),
    "a validator that repeats it": ("/form", f'{{"checked": {TEXT}}}', {}, "{}"),
    "a validator that fails": ("/form", f'{{"broken": {TEXT}}}', {}, "{}"),
    "a tag": ("/form", f'{{"pet": {{"kind": {TEXT}}}}}', {}, "{}"),
    "no JSON": ("/form", f"{{{SECRET}", {}, "{}"),
    "a parameter": (f"/form?q={SECRET}", "{}", {}, "{}"),
    "a header": ("/form", "{}", {"x-number": SECRET}, "{}"),
    "a cookie, an agent, a referrer": (
        "/form",
        "[]",
        {"cookie": SECRET, "user-agent": SECRET, "referer": SECRET},
        "{}",
    ),
    "a token that is none": ("/mine", "", {"authorization": f"Bearer {SECRET}"}, "{}"),
    "a claim": ("/guarded", "", {"authorization": f"Bearer {issue(TOKENS, SECRET + 'x', SECRET)}"}, "{}"),
    "an answer's value": ("/answer", "", {}, f'{{"number": {TEXT}}}'),
    "an answer's member": ("/answer", "", {}, f'{{"{SECRET}": 1}}'),
    "an answer's key": ("/answer", "", {}, f'{{"named": {{{TEXT}: "x"}}}}'),
    "an answer's tag": ("/answer", "", {}, f'{{"pet": {{"kind": {TEXT}}}}}'),
    "an answer that a validator repeats": ("/answer", "", {}, f'{{"checked": {TEXT}}}'),
    "an answer that is no JSON": ("/answer", "", {}, SECRET),
    "an answer for a hook that is no JSON": ("/raises", "", {}, SECRET),
    **{
        f"a hook: {hook}": (f"/{hook}", "", {}, TEXT)
        for hook in ("fits_not", "of_model", "raises", "no_json", "bad_header")
    },
    "an endpoint of FastAPI's": ("/local", SECRET, {}, "{}"),
}


@pytest.mark.parametrize(("path", "body", "headers", "answer"), REQUESTS.values(), ids=REQUESTS)
async def test_no_log_line_holds_the_secret(
    path: str, body: str, headers: dict[str, str], answer: str, written: Callable[[], str]
) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-note: {SECRET}\r\ncontent-length: {len(answer)}\r\n\r\n"
    async with ScriptedUpstream(saying((head + answer).encode())) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.client.post(path, content=body, headers={"content-type": "application/json"} | headers)
    assert got.status_code >= 400
    log = written()
    assert f" {got.status_code} " in log
    assert SECRET not in log.replace(f"caller={SECRET}x", "")
