"""Request loops are detected by ``Via``, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import calls
from limen.http import via


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([], 0),
        ([b""], 0),
        ([b"1.1 limen"], 1),
        ([b"1.1 limen, 1.1 limen"], 2),
        ([b"1.1 limen", b"1.0 fred, HTTP/1.1 LIMEN:8080"], 2),
        ([b"1.1 limen (a, 1.1 limen, (deep, 1.1 limen) end)"], 1),
        ([rb"1.1 limen (a \) , 1.1 limen)"], 1),
        ([b"1.1 limen(glued)"], 1),
        ([b"1.1 fred (1.1 limen)"], 0),
        ([b"1.1 limen (never closed, 1.1 limen"], 1),
        ([b"1.1 limen.example"], 0),
        ([b"1.1 notlimen, limen, 1.1  limen"], 1),
        ([b"1.1 [2001:db8::1]:80"], 0),
        ([b"1.1 limen what"], 0),
    ],
)
def test_passes_are_counted(values: list[bytes], count: int) -> None:
    assert via.passes(values) == count


def test_a_pseudonym_of_ones_own() -> None:
    assert via.passes([b"1.1 edge, 1.1 limen"], b"Edge") == 1


def test_a_chain_passes_and_a_loop_does_not() -> None:
    value = via.line()[1]
    assert not via.loops([value] * via.MOST_PASSES)
    assert via.loops([value] * (via.MOST_PASSES + 1))
    assert via.loops([b"1.1 limen, 1.1 limen"], most=1)


def test_a_long_via_is_not_read_to_its_end() -> None:
    """Twice as much costs no more, whether it names a gateway or does not."""
    for entry, loop in ((b"1.1 edge,", False), (b"1.1 limen.example,", True), (b"(limen,", True), (b",", False)):
        long = entry * 3000
        assert via.loops([long]) is loop
        assert calls(lambda long=long: via.loops([long] * 10)) < 50
    most = b"1.1 limen.example," * (via.MOST_BYTES // 18)
    assert not via.loops([most])
    assert via.loops([most, b"1.1 limen.example," * 2])


@pytest.mark.parametrize(
    ("version", "value"), [(b"1.1", b"1.1 limen"), (b"1.0", b"1.0 limen"), (b"9\r\n", b"1.1 limen")]
)
def test_a_line_names_the_version_that_was_received(version: bytes, value: bytes) -> None:
    assert via.line(version) == (b"via", value)


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 5))
def test_a_pass_is_counted_whatever_came_before(soup: list[bytes], times: int) -> None:
    assert via.passes([*soup, *[via.line()[1]] * times]) == via.passes(soup) + times
