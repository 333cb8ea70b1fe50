"""That ``docs/coming-from-the-article.md`` tells the truth: its examples run, and its table has the twelve parameters."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from article_gateway import Project
from limen import Gateway
from limen.compat import route

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-the-article.md").read_text()


@pytest.fixture
def space(project: Project) -> dict[str, Any]:
    """What is defined once the page's examples have run, within the project."""
    found: dict[str, Any] = {"__name__": "page"}
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "coming-from-the-article.md", "exec"), found)
    return found


def test_the_table_has_the_parameters_in_their_order() -> None:
    table = PAGE.partition("## The twelve parameters\n")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert named == list(inspect.signature(route).parameters)
    assert len(named) == 12


def test_the_first_example_compiles(space: dict[str, Any]) -> None:
    app = space["app"]
    assert isinstance(app, Gateway)
    (found,) = app.describe()
    assert (found.methods, found.path, found.allow) == (("GET",), "/api/users/{user_id}", "auth.is_admin_user")


def test_both_forms_of_the_second_example_declare_the_same(space: dict[str, Any]) -> None:
    (before,), (after,) = space["before"].declared(), space["after"].declared()
    for name in (
        "methods",
        "path",
        "upstream",
        "status",
        "rewrite",
        "auth",
        "identity",
        "max_body",
        "after",
        "timeouts",
    ):
        assert getattr(before, name) == getattr(after, name), name
    assert str(before.allow) == str(after.allow)
    assert [param.name for param in before.contract.params] == [param.name for param in after.contract.params]
    content = b'{"id": 1, "username": "a", "user_type": "b", "created_by": 1, "hashed_password": "x"}'
    checked = [one.contract.answer.check(content) for one in (before, after)]
    assert checked[0] == checked[1]
    assert b"hashed" not in checked[0]
