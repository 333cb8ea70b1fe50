"""Raw paths that two readers could take for two paths, and patterns."""

from urllib.parse import unquote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import calls
from limen.errors import Kind
from limen.routing.path import check_path, readings
from limen.routing.pattern import Pattern, Piece, Segment
from limen.routing.table import Table


@pytest.mark.parametrize(
    "raw",
    [
        b"/",
        b"/a",
        b"/a/",
        b"/a/b.c/d-e_f~g",
        b"/a/...",
        b"/a/..b",
        b"/a/.well-known",
        b"/a/b..",
        b"/!$&'()*+,=:@",
        b"/a;b=c",
        b"/;a",
        b"/a/%20",
        b"/a%2Fb",
        b"/a%2fb",
        b"/%C3%A9",
        b"/%c3%a9%E2%82%AC",
        b"/100%25",
        b"/100%2520",
        b"/%7Euser",
        b"/%3Fx%23y",
        b'/"<>^`{|}',
        b"/a%2F",
    ],
)
def test_what_has_one_reading_passes(raw: bytes) -> None:
    assert check_path(raw) is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "begin with '/'"),
        (b"*", "begin with '/'"),
        (b"a", "begin with '/'"),
        (b"http://evil/a", "begin with '/'"),
        (b"%2Fa", "begin with '/'"),
        (b"//", "'//'"),
        (b"//evil/a", "'//'"),
        (b"/a//b", "'//'"),
        (b"/a/..//b", "'//'"),
        (b"/a\\b", "'\\'"),
        (b"/\\evil", "'\\'"),
        (b"/a#b", "'#'"),
        (b"/a?b", "percent-encoded"),
        (b"/a b", "percent-encoded"),
        (b"/a\tb", "percent-encoded"),
        (b"/a\0", "percent-encoded"),
        (b"/a\x7f", "percent-encoded"),
        (b"/a\n", "percent-encoded"),
        (b"/\xc3\xa9", "percent-encoded"),
        (b"/a%", "percent-encoded"),
        (b"/a%2", "percent-encoded"),
        (b"/a%zz", "percent-encoded"),
        (b"/a%u002e", "percent-encoded"),
        (b"/a%00", "control character"),
        (b"/a%0d%0Aset-cookie:x", "control character"),
        (b"/a%1f", "control character"),
        (b"/a%7F", "control character"),
        (b"/a%5cb", "backslash"),
        (b"/a%5Cb", "backslash"),
        (b"/%252e%252E/a", "double"),
        (b"/a%252fb", "double"),
        (b"/a%255cb", "double"),
        (b"/a%2500", "double"),
        (b"/a%25252e", "double"),
        (b"/%25%32%65%25%32%45/a", "double"),
        (b"/%252%65/a", "double"),
        (b"/a%25%32fb", "double"),
        (b"/a%%32%66b", "percent-encoded"),
        (b"/.", "dot segment"),
        (b"/..", "dot segment"),
        (b"/./a", "dot segment"),
        (b"/a/../b", "dot segment"),
        (b"/a/..", "dot segment"),
        (b"/a/%2e%2E/b", "dot segment"),
        (b"/a/.%2e/b", "dot segment"),
        (b"/a/%2e/b", "dot segment"),
        (b"/a/..;/b", "dot segment"),
        (b"/a/..;x=y/b", "dot segment"),
        (b"/a/.;/b", "dot segment"),
        (b"/a/%2e%2e%3Bx/b", "dot segment"),
        (b"/a%2F..%2Fb", "dot segment"),
        (b"/a/..%2fb", "dot segment"),
        (b"/a%2f..", "dot segment"),
        (b"/a/b%2f.;x", "dot segment"),
        (b"/%ff", "UTF-8"),
        (b"/%c0%ae%c0%ae/a", "UTF-8"),
        (b"/%c0%af", "UTF-8"),
        (b"/%e2%82", "UTF-8"),
        (b"/%ed%a0%80", "UTF-8"),
        (b"/%f5%80%80%80", "UTF-8"),
    ],
)
def test_what_has_two_readings_is_refused(raw: bytes, why: str) -> None:
    fault = check_path(raw)
    assert fault is not None
    assert fault.kind is Kind.BAD_PATH
    assert why in fault.text


PIECES = st.lists(
    st.sampled_from(
        ["/", ".", "..", ";", "%2e", "%2F", "%25", "%", "2e", "2", "e", "a", "%C3", "%A9", "\\", "%32", "%65"]
    ),
    max_size=12,
).map(lambda parts: "/" + "".join(parts))


@given(PIECES | st.text(max_size=12).map("/".__add__))
def test_what_passes_means_the_same_to_every_reader(path: str) -> None:
    raw = path.encode(errors="surrogatepass")
    if check_path(raw) is not None:
        return
    assert raw.isascii()
    once = unquote_to_bytes(raw).decode()
    for reading in (path, once, unquote(once)):
        segments = [segment.partition(";")[0] for segment in reading.replace("\\", "/").split("/")]
        assert not {".", ".."} & set(segments)
        assert not {chr(code) for code in (*range(32), 127)} & set(once)


def special(
    text: str,
    regex: str,
    order: tuple[int, ...],
    literals: tuple[str, ...],
    longest: int = 0,
    *,
    numbers: tuple[str, ...] = (),
) -> Segment:
    return Segment(text, parameter=True, regex=regex, order=order, pieces=(Piece(literals, longest),), numbers=numbers)


@pytest.mark.parametrize(
    ("path", "segments", "names"),
    [
        ("/", [Segment("")], ()),
        ("/a", [Segment("a")], ()),
        ("/a/", [Segment("a"), Segment("")], ()),
        ("/a/{b}", [Segment("a"), Segment("b", parameter=True)], ("b",)),
        ("/{b:int}/c", [special("b", "(?P<_0>[0-9]+)", (0, 1), ("", ""), numbers=("_0",)), Segment("c")], ("b",)),
        ("/{b}.csv", [special("{b}.csv", r"(?P<_0>[^/]+)\.csv", (1, -4, 1), ("", ".csv"))], ("b",)),
        (
            "/{a}-{b:int}",
            [special("{a}-{b:int}", r"(?P<_0>[^/]+)\-(?P<_1>[0-9]+)", (1, -1, 1), ("", "-", ""), 256, numbers=("_1",))],
            ("a", "b"),
        ),
        (
            "/{a:int}-{b}",
            [special("{a:int}-{b}", r"(?P<_0>[0-9]+)\-(?P<_1>[^/]+)", (1, -1, 1), ("", "-", ""), numbers=("_0",))],
            ("a", "b"),
        ),
        (
            "/a/{p:path}/edit",
            [
                Segment("a"),
                Segment(
                    "{p:path}/edit",
                    parameter=True,
                    tail=True,
                    regex=r"(?P<_0>.*)(?=(?:/[^/]*+){1}\Z)/edit",
                    order=(1, -5, 1),
                    pieces=(Piece(("", ""), 0), Piece(("edit",), 0)),
                ),
            ],
            ("p",),
        ),
        ("/{a:str}/{b:uuid}/{c:float}", None, ("a", "b", "c")),
        ("/a/{p:path}", [Segment("a"), Segment("p", parameter=True, tail=True)], ("p",)),
        ("/.well-known/x.y~z@1", [Segment(".well-known"), Segment("x.y~z@1")], ()),
    ],
)
def test_patterns(path: str, segments: list[Segment] | None, names: tuple[str, ...]) -> None:
    pattern = Pattern.parse(path)
    assert (pattern.path, pattern.names) == (path, names)
    assert segments is None or list(pattern.segments) == segments


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "must begin with '/'"),
        ("a", "must begin with '/'"),
        ("//a", "the segment '' must be plain text"),
        ("/a//b", "the segment '' must be plain text"),
        ("/a b", "the segment 'a b' must be plain text"),
        ("/é", "must be plain text"),
        ("/a%20", "must be plain text"),
        ("/a?b", "must be plain text"),
        ("/.", "must be plain text"),
        ("/a/../b", "must be plain text"),
        ("/{}", "must be plain text or {parameters}"),
        ("/{a", "must be plain text or {parameters}"),
        ("/{1a}", "must be plain text or {parameters}"),
        ("/{a} b", "must be plain text or {parameters}"),
        ("/{a}-{b}-{c}", "of more than 2 parameters of '{a}-{b}-{c}' only trying tells where one ends"),
        ("/{y:int}{m:int}{d:int}", "put text between them that the first cannot hold"),
        ("/{y:float}.{m:int}.{d:int}", "of more than 2 parameters"),
        ("/{a:int}{b:int}-{c:int}{d:int}", "of more than 2 parameters"),
        ("/{p:path}/{a}{b:int}{c}", "of more than 2 parameters"),
        ("/{p:path}/..", "'..' must be plain text"),
        ("/{p:path}/{q:path}", "of two {:path} nobody can tell where one ends"),
        ("/{p:path}//a", "must be plain text"),
        ("/{a:date}", "uses {a:date}; known: ['float', 'int', 'path', 'str', 'uuid']"),
        ("/{a}/{a}", "names a parameter twice"),
        ("/{a}/{a:path}", "names a parameter twice"),
    ],
)
def test_bad_patterns_say_what_is_wrong(path: str, message: str) -> None:
    with pytest.raises(ValueError, match="the path") as caught:
        Pattern.parse(path)
    assert message in str(caught.value)


LONGEST = 8000
LONG = {
    "segments": b"/a" * (LONGEST // 2) + b"%61",
    "parameters": b"/a;b" * (LONGEST // 4),
    "semicolons": b"/" + b";" * LONGEST,
    "dots": b"/" + b"." * LONGEST,
    "hidden": b"/.a" * (LONGEST // 3),
    "escapes": b"/" + b"%61" * (LONGEST // 3),
    "escaped segments": b"/%61" * (LONGEST // 4),
    "slashes": b"/a" + b"%2F" * (LONGEST // 3),
    "twice": b"/" + b"%25" * (LONGEST // 3),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_path_costs_a_look_and_a_little_for_each_escape(name: str) -> None:
    """Neither a walk through thousands of segments, nor one for each way to read them."""
    raw = LONG[name]
    assert calls(lambda: check_path(raw)) < 50 + 3 * raw.count(b"%")
    # What is decoded to be read is encoded again.
    assert calls(lambda: readings(raw)) < 200 + 12 * raw.count(b"%") + 5 * raw.count(b";")
    assert len(readings(raw)) <= 8


@pytest.mark.parametrize(
    "raw", [b"/nobody" * 1000, b"/r7/" + b"x/" * 4000, b"/r7/a/x8", b"/r7" + b"/" * 4000, b"/r9" * 3]
)
def test_ten_thousand_routes_cost_what_ten_do(raw: bytes) -> None:
    def table(count: int) -> Table[int]:
        patterns = [f"/r{number}/{{a}}/x{number}" for number in range(count)]
        return Table(
            [("GET", Pattern.parse(one), number) for number, one in enumerate([*patterns, "/all/{rest:path}"])]
        )

    few, many = table(10), table(10_000)
    assert calls(lambda: many.match(b"GET", raw)) == calls(lambda: few.match(b"GET", raw)) < 60


@pytest.mark.parametrize(
    ("path", "longest"),
    [
        ("/{y:int}-{m:int}-{d:int}", 0),
        ("/{y:float}x{m:float}x{d}", 0),
        ("/{y:int}{m:int}-{d:int}", 256),
        ("/{a:uuid}-{b:uuid}-{c:int}-{d}", 0),
        ("/{a}-{b:uuid}", 0),
        ("/{a}-{b:uuid}-{c}", 256),
        ("/{a:float}.{b:int}", 256),
    ],
)
def test_parameters_share_a_segment_unless_text_ends_the_first(path: str, longest: int) -> None:
    (segment,) = Pattern.parse(path).segments
    assert [piece.longest for piece in segment.pieces] == [longest]
