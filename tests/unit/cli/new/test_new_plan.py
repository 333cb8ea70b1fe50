"""A plan is written as a whole or not at all, and nothing that is there is written over."""

from pathlib import Path, PurePosixPath

import click
import pytest

from limen.cli.new.plan import CannotEdit, Plan

HERE = PurePosixPath()


def files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_new_files_and_changes_are_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "a").chmod(0o640)
    plan = Plan(tmp_path)
    plan.create({PurePosixPath("x/y/new"): "n\n"}, HERE)
    plan.edit(PurePosixPath("a"), "once", lambda text: f"{text}2\n")
    plan.edit(PurePosixPath("a"), "twice", lambda text: f"{text}3\n")
    plan.check()
    assert files(tmp_path) == {"a": "1\n"}
    plan.write()
    assert files(tmp_path) == {"a": "1\n2\n3\n", "x/y/new": "n\n"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert list(plan.listing()) == ["New:", "  x/", "    y/", "      new", "Changed:", "  a  once, twice"]
    assert repr(plan) == "<Plan 1 new, 1 changed, 0 refused>"


def test_everything_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine\n")
    plan = Plan(tmp_path)

    def refuse(text: str) -> str:
        raise CannotEdit(f"{len(text)} letters are too few", "line one\nline two")

    plan.create({PurePosixPath("there"): "other\n"}, HERE)
    plan.edit(PurePosixPath("there"), "why", refuse)
    plan.edit(PurePosixPath("absent"), "why", str.upper)
    plan.refuse("and besides")
    with pytest.raises(click.ClickException) as refused:
        plan.check()
    for said in (
        "nothing was written.",
        "there is there already",
        "there cannot be changed: 5 letters are too few. Add this by hand, and leave the file out: --skip there\n\n"
        "    line one\n    line two\n",
        "absent cannot be read: [Errno 2]",
        "and besides",
    ):
        assert said in refused.value.message
    assert files(tmp_path) == {"there": "mine\n"}


def test_what_the_disk_refuses_takes_the_rest_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "b").write_text("1\n")
    plan = Plan(tmp_path)
    plan.create({PurePosixPath("x/new"): "n\n"}, HERE)
    plan.edit(PurePosixPath("a"), "why", lambda _: "2\n")
    plan.edit(PurePosixPath("b"), "why", lambda _: "2\n")
    (tmp_path / ".b.new").mkdir()  # where the new text of b would be written first
    with pytest.raises(
        click.ClickException, match=r"\.b\.new cannot be written: Is a directory; what was written before"
    ):
        plan.write()
    (tmp_path / ".b.new").rmdir()
    assert files(tmp_path) == {"a": "1\n", "b": "1\n"}
    assert not (tmp_path / "x").exists()


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    plan = Plan(tmp_path)
    plan.create({PurePosixPath("new"): "n\n"}, HERE)
    plan.check()
    (tmp_path / "new").write_text("somebody else's\n")
    with pytest.raises(click.ClickException, match="new cannot be written: File exists"):
        plan.write()
    assert files(tmp_path) == {"new": "somebody else's\n"}


def test_a_link_is_changed_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("1\n")
    (tmp_path / "link").symlink_to("real")
    plan = Plan(tmp_path)
    plan.edit(PurePosixPath("link"), "why", lambda _: "2\n")
    plan.write()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "2\n"


def test_a_file_that_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    plan = Plan(tmp_path)
    plan.create({PurePosixPath("new"): "n\n"}, HERE)
    plan.edit(PurePosixPath("a"), "why", lambda _: "2\n")
    (tmp_path / "a").write_text("somebody else's\n")
    with pytest.raises(click.ClickException, match=r"nothing was written\. a has changed meanwhile"):
        plan.write()
    assert files(tmp_path) == {"a": "somebody else's\n"}
