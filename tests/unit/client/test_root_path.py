"""The path below a root: as Starlette reads it, for every path and root."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette._utils import get_route_path

from limen.client.root_path import below_root, forwarded_prefix, is_prefix, raw_root

WORDS = st.sampled_from(["shop", "s", "a b", "é", "shopx", ""])
PATHS = st.lists(WORDS, max_size=4).map(lambda words: "/" + "/".join(words))
ROOTS = st.lists(WORDS.filter(bool), max_size=2).map(lambda words: "".join("/" + word for word in words))


@given(ROOTS, PATHS, st.booleans(), st.booleans())
def test_it_is_the_path_that_starlettes_router_sees(root: str, path: str, under: bool, encoded: bool) -> None:
    whole = root + path if under else path
    raw = "".join(f"%{byte:02X}" if byte != 0x2F else "/" for byte in whole.encode()) if encoded else quote(whole)
    expected = get_route_path({"path": whole, "root_path": root}) or "/"
    assert unquote(below_root(raw.encode(), raw_root(root)).decode()) == expected


@pytest.mark.parametrize(
    ("values", "prefix"),
    [
        ([], b""),
        ([b"/shop"], b"/shop"),
        ([b"/shop/"], b"/shop"),
        ([b"/"], b""),
        ([b"/a", b"/b, /c/d/"], b"/a/b/c/d"),
        ([b"shop"], b""),
        ([b"/shop", b"http://evil"], b""),
        ([b"//evil"], b""),
        ([b"/a/../b"], b""),
        ([b"/a%0d"], b""),
        ([b"/" + b"a" * 255], b"/" + b"a" * 255),
        ([b"/" + b"a" * 256], b""),
        ([b""], b""),
    ],
)
def test_a_prefix_is_a_plain_path_or_none(values: list[bytes], prefix: bytes) -> None:
    assert forwarded_prefix([(b"x-forwarded-prefix", value) for value in values]) == prefix


def test_what_may_be_said_on_a_command_line() -> None:
    assert all(map(is_prefix, ("/shop", "/a/b-1")))
    assert not any(map(is_prefix, ("", "/", "shop", "/a/", "//a", "/a b", "/a?b", "/..", "/é", "/" + "a" * 256)))
