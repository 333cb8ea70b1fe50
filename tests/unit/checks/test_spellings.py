"""Other spellings of a path, each with what a service must be lenient about."""

from limen.checks.spellings import CASE, ENCODED_SLASH, FINAL_SLASH, folded, spellings


def spelled(*parts: tuple[str, bool]) -> dict[str, tuple[str, ...]]:
    return {one.path: one.leniencies for one in spellings(parts)}


def test_each_leniency_has_its_spelling() -> None:
    found = spelled(("/a/b", True))
    assert found["/a/b/"] == (FINAL_SLASH,)
    assert found["/a/B"] == (CASE,)
    assert found["/a%2Fb"] == (ENCODED_SLASH,)
    assert found["/A%2FB/"] == (FINAL_SLASH, CASE, ENCODED_SLASH)
    assert {"/%61/b", "/a/b;a=1", "/a/b.json"} <= found.keys()
    assert "/a/b" not in found


def test_the_case_of_a_parameter_is_a_part_of_its_value() -> None:
    found = spelled(("/a/", True), ("x", False))
    assert not any("X" in path for path in found)
    assert found["/A/x"] == (CASE,)


def test_all_of_them_are_one_path_to_a_lenient_service() -> None:
    for path in ("/", "/a", "/a/", "/a/bc/d", "/a/b/c/d/e/f/g"):
        assert {folded(one) for one in spelled((path, True))} <= {folded(path)}
    assert folded("/a") != folded("/b")


def test_the_number_of_spellings_is_bounded() -> None:
    assert len(spelled(("/a" * 12, True))) < 3000
