"""Forms, texts and JSON that a stub declares: what is refused, and what reaches the service, on each engine."""

import json
import re
from typing import Annotated, NamedTuple

import pytest
from fastapi import Body, File, Form, Header, Query, UploadFile
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from limen.contract.form_body import MOST_FIELDS
from limen.testing import Conversation, ScriptedUpstream
from serving import serving

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nab\r\n--b--\r\n'


class Account(BaseModel):
    """A form as a model."""

    name: str
    tags: list[str] = []


class Case(NamedTuple):
    """A request, and what becomes of it: the place of what is refused, or what the service gets."""

    path: bytes
    kind: bytes | None
    content: bytes
    status: int
    passed: bytes | None = None
    place: list[str | int] | None = None


CASES: dict[str, Case] = {
    "a form": Case(b"/form", FORM, b"name=a+%62c&age=5", 200, b"name=a+%62c&age=5"),
    "its order and blanks": Case(b"/form", FORM, b"&age=5&&name=abc&", 200, b"&age=5&&name=abc&"),
    "fields that nothing reads": Case(b"/form", FORM, b"x=1&name=abc&admin=1&age=5&x", 200, b"name=abc&age=5"),
    "them as sent": Case(b"/as-sent", FORM, b"x=1&name=abc&tags=1", 200, b"x=1&name=abc&tags=1"),
    "a form with a charset": Case(b"/form", FORM + b"; charset=UTF-8", b"name=abc&age=5", 200, b"name=abc&age=5"),
    "too short": Case(b"/form", FORM, b"name=ab&age=5", 422, place=["body", "name"]),
    "no number": Case(b"/form", FORM, b"name=abc&age=x", 422, place=["body", "age"]),
    "a field missing": Case(b"/form", FORM, b"name=abc", 422, place=["body", "age"]),
    "an empty field": Case(b"/form", FORM, b"name=abc&age=", 422, place=["body", "age"]),
    "no content": Case(b"/form", None, b"", 422, place=["body", "name"]),
    "no content, where none need be": Case(b"/optional", None, b"", 200, b""),
    "nothing that is read": Case(b"/optional", FORM, b"x=1", 200, b""),
    "a field twice": Case(b"/form", FORM, b"name=abc&age=5&age=6", 422, place=["body", "age"]),
    "a field twice, in disguise": Case(b"/form", FORM, b"name=abc&age=5&%61ge=6", 422, place=["body", "age"]),
    "a field behind a semicolon": Case(b"/form", FORM, b"name=abc&age=5&x=1;age=6", 422, place=["body", "age"]),
    "a list": Case(b"/model", FORM, b"name=a&tags=1&tags=2&x=3", 200, b"name=a&tags=1&tags=2"),
    "bytes beyond ASCII": Case(b"/model", FORM, "name=é".encode(), 422, place=["body"]),
    "no UTF-8": Case(b"/model", FORM, b"name=%e9", 422, place=["body", "name"]),
    "too many fields": Case(b"/model", FORM, b"name=a" + b"&" * MOST_FIELDS, 422, place=["body"]),
    "a large form": Case(b"/model", FORM, b"name=" + b"%41," * 40000, 200, b"name=" + b"%41," * 40000),
    "a large form that hides a name": Case(
        b"/model", FORM, b"name=a&x=;" + b"%41" * 9000 + b";name", 422, place=["body", "name"]
    ),
    "too large a form": Case(b"/model", FORM, b"name=" + b"a" * 262144, 413),
    "JSON to a form": Case(b"/form", b"application/json", b'{"name":"abc","age":5}', 415),
    "multipart to a form": Case(b"/form", MULTIPART, PART, 415),
    "a form without a type": Case(b"/form", None, b"name=abc&age=5", 415),
    "files": Case(b"/files", MULTIPART, PART, 200, PART),
    "JSON to files": Case(b"/files", b"application/json", b'{"name":"abc"}', 415),
    "a form to files": Case(b"/files", FORM, b"name=abc", 415),
    "files unread": Case(b"/unread", MULTIPART, PART, 200, PART),
    "a text": Case(b"/text", b"text/plain", "é;&".encode(), 200, "é;&".encode()),
    "a text in UTF-8": Case(b"/text", b'Text/Plain; charset="utf-8"', b"abc", 200, b"abc"),
    "a text in another charset": Case(b"/text", b"text/plain; charset=latin-1", b"abc", 415),
    "a text too long": Case(b"/text", b"text/plain", b"abcdef", 422, place=["body"]),
    "a large text": Case(b"/text", b"text/plain", b"a" * 20000, 422, place=["body"]),
    "a text that is none": Case(b"/text", b"text/plain", b"\xe9", 422, place=["body"]),
    "no text": Case(b"/text", b"text/plain", b"", 422, place=["body"]),
    "JSON to a text": Case(b"/text", b"application/json", b'"abc"', 415),
    "bytes": Case(b"/bytes", b"application/octet-stream", b"\x00\xff", 200, b"\x00\xff"),
    "too many bytes": Case(b"/bytes", b"application/octet-stream", b"\x00" * 5, 422, place=["body"]),
    "JSON of a kind": Case(b"/json", b"application/vnd.api+json", b'{"name":"a"}', 200, b'{"name":"a"}'),
    "JSON behind a mark": Case(b"/json", b"application/json", b'\xef\xbb\xbf{"name":"a"}', 422, place=["body"]),
    "JSON in UTF-16": Case(b"/json", b"application/json", '{"name":"a"}'.encode("utf-16"), 422, place=["body"]),
}


async def service(conversation: Conversation) -> None:
    """Answer each request with its content type and its content."""
    while True:
        head = await conversation.head()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        content = await conversation.reader.readexactly(int(length[1])) if length else b""
        kind = re.search(rb"\r\ncontent-type: ([^\r]*)", head)
        lines = b"HTTP/1.1 200 OK\r\nx-got-type: %s\r\ncontent-length: %d\r\n\r\n"
        await conversation.say(lines % (kind[1] if kind else b"-", len(content)) + content)


def gateway(url: str) -> Gateway:
    """Return one with a route for each kind of body."""
    app = Gateway()
    svc = app.group("", upstream=Upstream("svc", [url]), allow=anyone)

    @svc.post("/form")
    def form(name: Annotated[str, Form(min_length=3)], age: Annotated[int, Form()]) -> None: ...

    @svc.post("/model")
    def model(account: Annotated[Account, Form()]) -> None: ...

    @svc.post("/as-sent", body="as sent")
    def as_sent(account: Annotated[Account, Form()]) -> None: ...

    @svc.post("/optional")
    def optional(name: Annotated[str, Form()] = "") -> None: ...

    @svc.post("/files")
    def files(name: Annotated[str, Form()], file: UploadFile | None = None) -> None: ...

    @svc.post("/unread", body="as sent")
    def unread(name: Annotated[str, Form(min_length=3)], file: Annotated[bytes, File()] = b"") -> None: ...

    @svc.post("/text")
    def text(text: Annotated[str, Body(media_type="text/plain", max_length=5)]) -> None: ...

    @svc.post("/bytes")
    def octets(data: Annotated[bytes, Body(media_type="application/octet-stream", max_length=4)]) -> None: ...

    @svc.post("/json")
    def kind(account: Annotated[Account, Body(media_type="application/vnd.api+json")]) -> None: ...

    @svc.get("/parameters")
    def parameters(n: Annotated[int, Query(le=100)], x_n: Annotated[str, Header(pattern="^[a-z]*$")] = "") -> None: ...

    del form, model, as_sent, optional, files, unread, text, octets, kind, parameters
    return app


def request(case: Case) -> bytes:
    """Return ``case`` as bytes."""
    kind = b"" if case.kind is None else b"Content-Type: %s\r\n" % case.kind
    head = b"POST %s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n"
    return head % (case.path, kind, len(case.content)) + case.content


@pytest.mark.parametrize("name", CASES)
async def test_valid_bodies_pass_and_invalid_bodies_are_refused(name: str) -> None:
    case = CASES[name]
    async with ScriptedUpstream(service) as upstream, serving(gateway(upstream.url)) as served:
        head, _, content = (await served.raw(request(case))).partition(b"\r\n\r\n")
        assert int(head[9:12]) == case.status, content
        assert len(upstream.requests) == (case.status == 200)
        if case.passed is not None:
            assert content == case.passed
            if case.kind is not None:
                kept = case.kind if case.path in (b"/text", b"/files", b"/unread") else case.kind.partition(b";")[0]
                assert b"\r\nx-got-type: %s\r\n" % kept in head + b"\r\n"
        if case.place is not None:
            assert json.loads(content)["errors"][0]["loc"] == case.place


@pytest.mark.parametrize(
    ("path", "types"),
    [
        (b"/form", FORM.decode()),
        (b"/files", "multipart/form-data"),
        (b"/text", "text/plain"),
        (b"/json", "application/vnd.api+json"),
    ],
)
async def test_the_refusal_names_the_accepted_media_types(path: bytes, types: str) -> None:
    async with ScriptedUpstream(service) as upstream, serving(gateway(upstream.url)) as served:
        got = await served.raw(request(Case(path, b"image/png", b"x", 415)))
        assert json.loads(got.partition(b"\r\n\r\n")[2])["detail"] == f"This route takes {types}."


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (b"/parameters?n=5", (b"X-N: a",), 200),
        (b"/parameters?n=500&n=5", (), 422),
        (b"/parameters?n=5&n=500", (), 422),
        (b"/parameters?n=5&%6e=500", (), 422),
        (b"/parameters?n=5&a=1;n=500", (), 422),
        (b"/parameters?n=5", (b"X-N: EVIL", b"x-n: a"), 422),
        (b"/parameters?n=5", (b"X-N: a", b"x-n: EVIL"), 422),
        (b"/parameters?n=5", (b"X-N: EVIL", b"Connection: x-n"), 200),
    ],
)
async def test_parameters(target: bytes, headers: tuple[bytes, ...], status: int) -> None:
    async with ScriptedUpstream(service) as upstream, serving(gateway(upstream.url)) as served:
        assert int((await served.get(target, *headers))[9:12]) == status
        assert b"EVIL" not in b"".join(upstream.requests)
