"""What a new service may be called, and what its rows are called then."""

import ast
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from limen.cli.new.templates import rendered, words_of_templates
from limen.cli.new.words import NAME_LENGTH, NameRefused, Words, singular

NAMES = st.from_regex(rf"[a-z][a-z0-9]{{1,{NAME_LENGTH - 1}}}", fullmatch=True)
PLACES = {
    "package": "shop_x",
    "gateway": "shop_gateway",
    "distribution": "shop-x",
    "workspace": "",
    "install": "",
    "port": "",
}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Reviews", "write lower-case letters and digits"),
        ("order_items", "write lower-case letters and digits"),
        ("order-items", "write lower-case letters and digits"),
        ("1st", "write lower-case letters and digits"),
        ("", "write lower-case letters and digits"),
        ("../reviews", "write lower-case letters and digits"),
        ("réviews", "write lower-case letters and digits"),
        ("reviews\n", "write lower-case letters and digits"),
        ("r" * 17, "has 17 characters; write at most 16"),
        ("class", "is a keyword of Python"),
        ("match", "is a keyword of Python"),
        ("json", "is a module of Python's standard library"),
        ("list", "is a built-in name of Python"),
        ("pages", "--item 'page': the code of every service uses this word itself"),
        ("apps", "--item 'app': the code of every service uses this word itself"),
        ("annotateds", "--item 'Annotated': the code of every service uses this word itself"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(NameRefused) as refused:
        Words.of(name, None, words_of_templates())
    assert said in str(refused.value)


def test_the_word_for_one_row_is_checked_too() -> None:
    with pytest.raises(NameRefused, match="--item 'class' is a keyword"):
        Words.of("classes", "class")
    assert Words.of("classes", "lesson").item == "lesson"


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("reviews", "review"),
        ("stories", "story"),
        ("boxes", "box"),
        ("branches", "branch"),
        ("addresses", "address"),
        ("stock", "stock"),
        ("news", "new"),
        ("status", "status"),
        ("ties", "tie"),
    ],
)
def test_one_row_is_called_by_the_singular(name: str, item: str) -> None:
    assert singular(name) == item


def test_the_article_fits() -> None:
    assert Words.of("orders", None).substitutes()["an"] == "an"
    assert Words.of("reviews", None).substitutes()["an"] == "a"


@given(name=NAMES, item=NAMES)
def test_whatever_is_not_refused_makes_code_that_python_takes(name: str, item: str) -> None:
    try:
        words = Words.of(name, item, words_of_templates())
    except NameRefused:
        assume(False)
        raise
    for which in ("service", "routes"):
        for path, text in rendered(which, words.substitutes() | PLACES).items():
            if path.suffix == ".py":
                ast.parse(text)
                assert all(len(line) <= 126 for line in text.splitlines()), (path, text)


def test_a_template_names_its_files_after_the_service() -> None:
    files = rendered("service", Words.of("reviews", None).substitutes() | PLACES)
    assert PurePosixPath("src/shop_x/migrations/0001_initial.py") in files
    assert PurePosixPath("tests/test_reviews_contract.py") in files
    assert not [path for path in files if "PACKAGE" in str(path) or "NAME" in path.parts]
    assert not [path for path, text in files.items() if "$" in text]
