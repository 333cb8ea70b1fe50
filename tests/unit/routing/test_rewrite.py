"""Rewrite templates."""

import pytest

from limen.routing.rewrite import Rewrite


def test_fill_keeps_raw_bytes() -> None:
    rewrite = Rewrite.parse("/v2/{name}/x/{path}", frozenset(("name", "path")))
    assert rewrite.fill({"name": b"a%2Fb", "path": b"c/d%20e"}) == b"/v2/a%2Fb/x/c/d%20e"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("v2", "must begin with '/'"),
        ("/{other}", "names {other}; parameters of this path: name"),
        ("/a b", "may hold path characters"),
        ("/{name", "may hold path characters"),
        ("/a?b=1", "may hold path characters"),
    ],
)
def test_a_bad_template_is_a_clear_error(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("{", r"\{").replace("}", r"\}")):
        Rewrite.parse(template, frozenset(("name",)))
