"""Conditional requests: how lists of tags are read, and what they let through."""

import pytest
from fastapi import Response
from hypothesis import given
from hypothesis import strategies as st

from limen_kit.preconditions import EntityTags, NotModified, Preconditions, etag
from limen_kit.problems import Problem

# RFC 9110 section 8.8.3: what may stand between the quotes.
_CHARACTERS = "".join(map(chr, (0x21, *range(0x23, 0x7F), *range(0x80, 0x100))))
OPAQUE = st.text(st.sampled_from(_CHARACTERS), max_size=8)
TAGS = st.lists(st.tuples(st.booleans(), OPAQUE), max_size=6)
BLANKS = st.text(" \t", max_size=3)
EMPTY = st.lists(BLANKS, max_size=2)
VERSIONS = st.integers(1, 2_147_483_647)


@given(TAGS, st.data())
def test_a_list_is_read_whatever_its_blanks_and_empty_elements(
    tags: list[tuple[bool, str]], data: st.DataObject
) -> None:
    elements: list[str] = []
    for weak, opaque in tags:
        elements += data.draw(EMPTY)
        elements.append(data.draw(BLANKS) + ("W/" if weak else "") + f'"{opaque}"' + data.draw(BLANKS))
    text = ",".join(elements + data.draw(EMPTY))
    expected = EntityTags(
        strong=frozenset(opaque for weak, opaque in tags if not weak),
        weak=frozenset(opaque for weak, opaque in tags if weak),
    )
    assert EntityTags.parse(text) == expected


@given(st.text(st.sampled_from('"W/, \t*1a\x7f\n'), max_size=12))
def test_what_is_read_of_any_text_stands_in_it(text: str) -> None:
    tags = EntityTags.parse(text)
    assert not tags.any or text.strip() == "*"
    assert all(f'"{opaque}"' in text for opaque in tags.strong)
    assert all(f'W/"{opaque}"' in text for opaque in tags.weak)


@pytest.mark.parametrize(
    "text", ["", '"1', "1", '"1" "1"', '*, "1"', 'w/"1"', 'W /"1"', '"1";', '"1"\n', "**", '"\x7f"']
)
def test_what_is_no_list_has_no_tags(text: str) -> None:
    assert EntityTags.parse(text) == EntityTags()


@given(VERSIONS, st.lists(VERSIONS, max_size=4))
def test_a_read_says_whether_the_client_has_the_version(version: int, others: list[int]) -> None:
    had = ", ".join(etag(other) for other in others)
    response = Response()
    conditions = Preconditions(None, EntityTags.parse(had), response)
    if version in others:
        with pytest.raises(NotModified):
            conditions.check_read(version)
    else:
        conditions.check_read(version)
        assert response.headers["etag"] == f'"{version}"'


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "outcome"),
    [
        (None, None, "read"),
        ('"3"', None, "read"),
        ('"2", "3"', None, "read"),
        ("*", None, "read"),
        ('W/"3"', None, "412"),  # RFC 9110 section 13.1.1: the strong comparison
        ('"03"', None, "412"),
        ('"2147483648"', None, "412"),
        ('"2"', '"3"', "412"),  # section 13.2.2: If-Match first
        (None, 'W/"3"', "304"),  # section 13.1.2: the weak comparison
        (None, "*", "304"),
        (None, '"2"', "read"),
        ('"3"', '"3"', "304"),
    ],
)
def test_a_read_obeys_both_headers(if_match: str | None, if_none_match: str | None, outcome: str) -> None:
    tags = [None if text is None else EntityTags.parse(text) for text in (if_match, if_none_match)]
    found = "read"
    try:
        Preconditions(tags[0], tags[1], Response()).check_read(3)
    except NotModified:
        found = "304"
    except Problem as problem:
        found = str(problem.status)
    assert found == outcome
