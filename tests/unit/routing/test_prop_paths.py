"""The plan whose rule admits a request is the one that the service would serve: no reading of a path leads past a rule.

Services do not all read a path alike. Each ``READERS`` entry is a way that is common, the service has the same patterns
as the gateway, and its route must have the same ``allow`` as the gateway's, or the path be refused. Rules are letters here.
"""

import re
from collections.abc import Callable
from posixpath import normpath
from typing import Any, cast
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limen.errors import Fault
from limen.routing.find import find
from limen.routing.path import check_path
from limen.routing.pattern import Pattern
from limen.routing.table import Match, Table

WORDS = ("a", "b", "admin")
PIECES = st.sampled_from(
    (*WORDS, "{one}", "{two}", "{n:int}", "{f:float}", "{c}.csv", "a{c}", "{x}-{y}", "{x:int}-{y}", "{v}a-{w}")
)


def _pattern(pieces: list[str], tail: str) -> str:
    path = "/" + "/".join(dict.fromkeys(pieces)) + tail
    names = iter(range(20))  # no name twice
    return re.sub(r"\{\w+", lambda _: f"{{p{next(names)}", path)


def _shape(path: str) -> str:
    """Return a pattern without the names of its parameters: two of one shape would clash."""
    return re.sub(r"\{\w+", "{", path)


PATTERNS = st.builds(
    _pattern,
    st.lists(PIECES, min_size=1, max_size=3),
    st.sampled_from(
        (
            "",
            "",
            "",
            "/",
            "/{rest:path}",
            "/{rest:path}/admin",
            "/{rest:path}/{k:int}",
            "/{z}-{rest:path}",
            "/{rest:path}.csv",
        )
    ),
)
TABLES = st.lists(PATTERNS, min_size=1, max_size=6, unique_by=_shape)
ATOMS = st.sampled_from(
    (
        *WORDS,
        "/",
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        "//",
        ";",
        ";x=1",
        "%3b",
        "%25",
        "%252e",
        "%252f",
        "%61",
        "%61dmin",
        "%00",
        "%c0%ae",
        "%3f",
        "%23",
        "A",
        "~",
        "7",
        "-",
        ".csv",
    )
)
PATHS = st.lists(ATOMS, max_size=8).map(lambda atoms: ("/" + "".join(atoms)).encode())


def _dots(path: bytes) -> bytes:
    """Resolve dot segments and merge slashes; a slash at the end stays."""
    found = normpath(path.decode("latin-1")).replace("//", "/").encode("latin-1")
    return found + b"/" if path.endswith(b"/") and found != b"/" else found


READERS: dict[str, Callable[[bytes], bytes]] = {
    "decodes each segment": lambda raw: b"/".join(unquote_to_bytes(s).replace(b"/", b"%2F") for s in raw.split(b"/")),
    "decodes, then splits": unquote_to_bytes,
    "decodes twice": lambda raw: unquote_to_bytes(unquote_to_bytes(raw)),
    "resolves dots, then decodes": lambda raw: unquote_to_bytes(_dots(raw)),
    "decodes, then resolves dots": lambda raw: _dots(unquote_to_bytes(raw)),
    "reads a backslash as a slash": lambda raw: _dots(unquote_to_bytes(raw).replace(b"\\", b"/")),
    "ends at NUL": lambda raw: unquote_to_bytes(raw).partition(b"\0")[0],
    "cuts parameters off": lambda raw: unquote_to_bytes(re.sub(rb";[^/]*", b"", raw)),
}


def refused_or_same(paths: list[str], raw: bytes, reader: Callable[[bytes], bytes]) -> None:
    """Check one path on one table: each pattern's rule is its own, so another pattern is another rule."""
    table: Any = Table([("GET", Pattern.parse(path), path) for path in paths])
    found = find(table, b"GET", raw, b"")
    if not isinstance(found, Match):
        return
    ours = cast("Match[str]", found)
    read = reader(raw)
    if b"%" in read:
        return  # data of one segment, which no pattern has
    other = table.match(b"GET", quote(read.decode(errors="replace"), "/~").encode())
    if isinstance(other, Match):
        theirs = cast("Match[str]", other)
        assert theirs.plan == ours.plan, f"{raw!r} is admitted by {ours.plan} and served as {theirs.plan} of {paths}"


SLASHES = st.lists(
    st.sampled_from((*WORDS, "/", "/", "%2F", "%2F", "%2f", "7", "7.5", "-", ".csv", "x")), min_size=1, max_size=8
).map(lambda atoms: ("/" + "".join(atoms)).encode())


@given(TABLES, SLASHES)
@example(["/a/{name}.csv", "/a/{one}"], b"/a/x%2Fadmin.csv")
@example(["/a/{rest:path}", "/a/{rest:path}/admin"], b"/a/x%2Fadmin")
@example(["/a/{one}", "/a/{rest:path}/admin"], b"/a/x%2Fadmin")
def test_an_encoded_slash_is_data_or_the_path_is_refused(paths: list[str], raw: bytes) -> None:
    table: Any = Table([("GET", Pattern.parse(path), path) for path in paths])
    found = find(table, b"GET", raw, b"")
    if not isinstance(found, Match):
        return
    ours = cast("Match[str]", found)
    # As data it is like any letter that no pattern has; to who decodes first it is a slash.
    data = table.match(b"GET", re.sub(rb"%2f", b"%C3%A9", raw, flags=re.IGNORECASE))
    assert isinstance(data, Match)
    assert cast("Match[str]", data).plan == ours.plan
    decoded = table.match(b"GET", quote(unquote_to_bytes(raw).decode(), "/~").encode())
    assert not isinstance(decoded, Match) or cast("Match[str]", decoded).plan == ours.plan


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(TABLES, PATHS)
@example(["/{one}", "/{one}/admin"], b"/a%2Fadmin")
@example(["/a/{one}", "/a/admin"], b"/a/admin;x=1")
@example(["/a/{rest:path}", "/admin"], b"/a/..%2f..%2fadmin")
@example(["/a/{rest:path}", "/admin"], b"/a/..;/..;/admin")
@example(["/{one}", "/admin"], b"/%61dmin")
@example(["/{one}", "/admin"], b"/admin%00")
@example(["/{one}", "/admin"], b"/admin%2f")
def test_no_reading_leads_past_a_rule(reader: Callable[[bytes], bytes], paths: list[str], raw: bytes) -> None:
    refused_or_same(paths, raw, reader)


@given(TABLES, PATHS)
def test_what_is_matched_is_what_is_forwarded(paths: list[str], raw: bytes) -> None:
    if isinstance(check_path(raw), Fault):
        return
    found = Table([("GET", Pattern.parse(path), path) for path in paths]).match(b"GET", raw)
    if isinstance(found, Match):
        assert found.path == raw
        assert all(value in raw for value in found.raw.values())
        assert all(unquote_to_bytes(found.raw[name]).decode() == value for name, value in found.params.items())
