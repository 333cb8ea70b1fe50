"""Reads the content of a JSON file: our form, or that of a teaching project (``original``), whose users are a list,
``{"users": [...]}`` or an object by id. What is neither is refused: a file that is misread is lost at the next write.

The file holds hashes: an error says where it is and what is wrong, never the content.
"""

import json
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from limen_accounts.json_store import original
from limen_accounts.json_store.checks import Misread, check_document
from limen_accounts.json_store.document import Document

_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)

_UNEXPECTED = "unexpected_keyword_argument"
_UNKNOWN = "it has a member of a name that is not known here, which the next write would lose"

# Characters of the place of an error, which may be a name that somebody chose.
_MAX_PLACE = 100


def parse(content: bytes, modified_at: datetime) -> Document:
    """Return the document in ``content``; users without a date were made when the file was changed last, ``modified_at``.

    Raises ValueError, which says where and what, without the name of the file.
    """
    try:
        document = _parsed(content, modified_at)
        check_document(document)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_context=False)
        first = min(errors, key=lambda found: found["type"] != _UNEXPECTED)
        if first["type"] == _UNEXPECTED:  # its name is content
            raise ValueError(_message(first["loc"][:-1], _UNKNOWN)) from None
        raise ValueError(_message(first["loc"], first["msg"])) from None
    except Misread as error:
        raise ValueError(_message(error.place, error.problem)) from None
    return document


def unparse(document: Document) -> str:
    """Return the text of ``document`` in our form."""
    return json.dumps(_DOCUMENT.dump_python(document, mode="json"), indent=4, ensure_ascii=False) + "\n"


def _parsed(content: bytes, modified_at: datetime) -> Document:
    try:
        return _DOCUMENT.validate_json(content)
    except ValidationError:
        try:
            found: Any = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        users = original.users_of(found)
        if users is None:
            raise
        return original.document_of(users, modified_at)


def _message(place: tuple[int | str, ...], problem: str) -> str:
    text = ".".join(map(str, place)).encode("ascii", "backslashreplace").decode()
    return f"{text[:_MAX_PLACE] or 'the whole'}: {problem}"
