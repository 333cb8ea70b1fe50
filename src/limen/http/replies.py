"""Local replies: answers that the gateway makes itself. Problem documents follow RFC 9457. No I/O."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import responses
from typing import Final

from limen.errors import Fault, Invalid
from limen.http.headers import Headers

# Bytes of JSON that ``errors`` may take in one problem document.
MOST_ERROR_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: status, header lines and content."""

    status: int
    headers: Headers
    body: bytes


def title(status: int) -> str:
    """Return the reason phrase of ``status``; that of 499, which is not registered, is nginx's; unknown ones have none."""
    return responses.get(status, "") if status != 499 else "Client Closed Request"


def problem(fault: Fault, request_id: str) -> Reply:
    """Return the problem document for ``fault``, without its ``cause``.

    The members are those of RFC 9457 and ``code``, ``request_id`` and, for 422, ``errors`` and ``errors_omitted``.
    """
    status = fault.kind.status
    more = places(fault.errors, fault.more) if fault.errors else {}
    body = document(status, fault.text, fault.kind.code, request_id, **more)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *fault.headers,
    ]
    return Reply(status, headers, body)


def document(status: int, detail: object, code: str, request_id: str, **members: object) -> bytes:
    """Return a problem document with the standard members and ``members``. ``detail`` is a text, or any JSON of a user's."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **members,
    }
    # ensure_ascii: a message may repeat a field name with a lone surrogate, which UTF-8 cannot carry.
    return json.dumps(problem, ensure_ascii=True, separators=(",", ":")).encode()


def places(errors: Iterable[Invalid], more: int) -> dict[str, object]:
    """Return the members of a problem document for ``errors``.

    ``errors`` has as many as fit into 64 KiB; ``errors_omitted`` counts the others and ``more``, and is absent if 0.
    """
    shown: list[dict[str, object]] = []
    room = MOST_ERROR_BYTES
    for error in errors:
        member: dict[str, object] = {"loc": list(error.loc), "msg": error.msg, "type": error.type}
        room -= len(json.dumps(member, ensure_ascii=True, separators=(",", ":"))) + 1
        if room < 0:
            more += 1
        else:
            shown.append(member)
    return {"errors": shown, "errors_omitted": more} if more else {"errors": shown}


def redirect(location: bytes, request_id: str) -> Reply:
    """Return a 307 to ``location``, which is a path on this host and keeps method and body."""
    return Reply(
        307,
        [(b"location", location), (b"content-length", b"0"), (b"x-request-id", request_id.encode())],
        b"",
    )


def allowed(methods: tuple[bytes, ...], request_id: str) -> Reply:
    """Answer OPTIONS for a path (RFC 9110 section 9.3.7)."""
    return Reply(204, [(b"allow", b", ".join(methods)), (b"x-request-id", request_id.encode())], b"")


def complete(reply: Reply, request_id: str) -> Reply:
    """Return ``reply`` with the request's id and the length of its content, where they are missing."""
    names = {name for name, _ in reply.headers}
    missing: Headers = []
    if b"x-request-id" not in names:
        missing.append((b"x-request-id", request_id.encode()))
    if b"content-length" not in names and reply.status not in (204, 304):
        missing.append((b"content-length", b"%d" % len(reply.body)))
    return Reply(reply.status, [*reply.headers, *missing], reply.body) if missing else reply
