"""Problem documents."""

import json

from limen.errors import Fault, Invalid, Kind
from limen.http.replies import allowed, problem, redirect, title


def test_a_problem_has_the_members_of_rfc_9457_and_never_the_cause() -> None:
    fault = Fault(Kind.UPSTREAM_REFUSED, cause="10.0.0.7 refused", headers=((b"retry-after", b"1"),))
    reply = problem(fault, "r1")
    assert reply.status == 503
    assert json.loads(reply.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Service is unavailable.",
        "code": "upstream_refused",
        "request_id": "r1",
    }
    assert (b"retry-after", b"1") in reply.headers
    assert (b"content-length", str(len(reply.body)).encode()) in reply.headers


def test_invalid_places_are_listed_even_with_names_that_utf8_cannot_carry() -> None:
    fault = Fault(Kind.INVALID_REQUEST, errors=(Invalid(("body", "\ud800"), "Field required", "missing"),))
    document = json.loads(problem(fault, "r").body)
    assert document["errors"] == [{"loc": ["body", "\ud800"], "msg": "Field required", "type": "missing"}]


def test_title_knows_499() -> None:
    assert title(499) == "Client Closed Request"


def test_redirect_and_allowed() -> None:
    assert (b"location", b"/a") in redirect(b"/a", "r").headers
    assert (b"allow", b"GET, HEAD") in allowed((b"GET", b"HEAD"), "r").headers


def test_every_kind_has_a_code_a_status_and_a_text() -> None:
    codes = [kind.code for kind in Kind]
    assert len(set(codes)) == len(codes)
    assert all(400 <= kind.status < 600 and Fault(kind).text.endswith(".") for kind in Kind)
