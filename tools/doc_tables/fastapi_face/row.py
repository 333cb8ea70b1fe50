"""What is said of one parameter of FastAPI's. Nothing is imported of FastAPI or Limen here."""

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["works", "works, asgi engine", "works, local endpoints", "document only", "refused"]

VERDICTS: Final[dict[Verdict, str]] = {
    "works": "it does for a gateway what it does in FastAPI",
    "works, asgi engine": "it works, and the routes that it concerns run on the asgi engine, which `limen routes` says",
    "works, local endpoints": "it is about functions that the gateway itself runs; the column says what holds for stubs",
    "document only": "it is about the OpenAPI document or its pages, and works there, for stubs too",
    "refused": "the gateway does not start, and says why; the last column says what to write",
}

# Where the tests of rows are that need no test of their own.
FACE: Final = "tests/unit/app/test_fastapi_face.py"
DOCUMENTED: Final = f"{FACE}::test_a_document_says_what_fastapis_says"
CHECKED: Final = f"{FACE}::test_a_parameter_is_checked_and_documented_as_in_fastapi"
REFUSED: Final = f"{FACE}::test_what_is_refused_is_refused_with_a_sentence"
LOCAL: Final = f"{FACE}::test_local_endpoints_have_it_as_in_fastapi"


@dataclass(frozen=True, slots=True)
class Row:
    """One ``parameter``: the ``verdict``, what it does ``on_a_stub``, and what to write ``instead`` where it is refused.

    ``test`` is the node id of a test that shows it, without what is in brackets. ``takes`` are the parameters of a method,
    for a row that is of a whole method.
    """

    parameter: str
    verdict: Verdict
    on_a_stub: str = ""
    instead: str = ""
    test: str = ""
    takes: tuple[str, ...] = ()
