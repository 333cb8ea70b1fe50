"""What is true of an answer's header lines once its content passes, was written anew, or was replaced."""

from limen.contract.edited_answer import Edit, EditedAnswer
from limen.http.headers import (
    CONTENT_FIELDS,
    REPEATABLE_FIELDS,
    REPRESENTATION_FIELDS,
    Headers,
    is_json,
    to_client,
    values,
    weakened,
)
from limen.http.replies import Reply, document


def replaced(status: int, headers: Headers, made: EditedAnswer, request_id: str) -> Reply:
    """Return the answer that ``finish`` has made of one with ``status`` and ``headers``."""
    status, content = made.status or status, made.content
    lines = described(to_client(headers, bodyless=False), made.edit)
    own = list(made.headers)  # none of which frames it
    if made.problem is not None:
        content = document(status, made.problem, "error", request_id)
        own = [line for line in own if line[0] != b"content-type"]
        if status not in (204, 304):
            own.append((b"content-type", b"application/problem+json"))
    names = {name for name, _ in own} - REPEATABLE_FIELDS
    lines = [line for line in lines if line[0] not in names]
    lines += own
    lines.append((b"x-request-id", request_id.encode()))
    if status in (204, 304):
        return Reply(status, lines, b"")
    if content and made.edit in ("rewritten", "replaced") and not values(lines, b"content-type"):
        kinds = values(headers, b"content-type")
        kept = made.edit == "rewritten" and len(kinds) == 1 and is_json(kinds[0])
        lines.append((b"content-type", kinds[0].partition(b";")[0].strip() if kept else b"application/json"))
    lines.append((b"content-length", str(len(content)).encode()))
    return Reply(status, lines, content)


def described(lines: Headers, how: Edit) -> Headers:
    """Return what is still true of an answer's header ``lines`` when its content was taken in hand, and ``how``."""
    if how == "none":
        return [line for line in lines if line[0] != b"content-length"]
    if how == "standalone":
        return []  # a refusal of the hook's does not hand out the service's session, nor how long that may be kept
    if how == "replaced":
        return [line for line in lines if line[0] not in REPRESENTATION_FIELDS]
    # The same representation in other bytes.
    return weakened([line for line in lines if line[0] not in CONTENT_FIELDS])
