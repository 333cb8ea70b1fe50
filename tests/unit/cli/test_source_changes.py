"""What ``--reload`` takes for a change, and that a burst is one. The system's part is played by a queue."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import click
import pytest
from watchfiles import Change

from limen.cli import source_changes
from limen.cli.source_changes import Batch, SourceChanges, source_name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("app.py", "app.py"),
        ("shop/app.py", "shop/app.py"),
        (".env", ".env"),
        ("shop/.env", "shop/.env"),
        (".app.py", ""),
        (".#app.py", ""),
        ("flycheck_app.py", ""),
        ("app.py~", ""),
        (".app.py.swp", ""),
        ("4913", ""),
        ("app.pyc", ""),
        ("limen.toml", ""),
        ("data.sqlite3", ""),
        ("__pycache__/app.py", ""),
        ("node_modules/x/app.py", ""),
        (".venv/lib/app.py", ""),
        (".git/app.py", ""),
        (".limen/data/app.py", ""),
    ],
)
@pytest.mark.parametrize("root", ["/srv", "/home/me/.venv/srv"])
def test_what_is_a_source(name: str, told: str, root: str) -> None:
    folders = [Path("/elsewhere"), Path(root)]
    for change in Change:
        assert source_name(change, Path(root, name), folders) == told
    assert source_name(Change.modified, Path("/nowhere", name), folders) == ""


def test_a_folder_counts_if_it_comes_with_sources(tmp_path: Path) -> None:
    for name, inside in (("with", "deep/app.py"), ("without", "app.txt"), (".hidden", "app.py"), ("..v1", "app.py")):
        (tmp_path / name / inside).parent.mkdir(parents=True)
        (tmp_path / name / inside).touch()
    (tmp_path / "..data").symlink_to("..v1")
    found = {path.name for path in tmp_path.iterdir() if source_name(Change.added, path, [tmp_path])}
    assert found == {"with", "..data"}
    assert source_name(Change.deleted, tmp_path / "with", [tmp_path]) == ""


class System:
    """Tells of what a test says, as the operating system would."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch | None] = asyncio.Queue()
        self.batches.put_nowait(())

    async def tell(self) -> AsyncGenerator[Batch]:
        """Yield what is in the queue; None is a failure."""
        while (batch := await self.batches.get()) is not None:
            yield batch
        raise RuntimeError("lost")

    def saved(self, *names: str) -> None:
        """Say that these files in /srv have changed."""
        self.batches.put_nowait([(Change.modified, f"/srv/{name}") for name in names])


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_burst_is_told_once_and_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_changes, "QUIET", 3600.0)
    monkeypatch.setattr(source_changes, "LONGEST", 7200.0)
    system = System()
    watched = SourceChanges([Path("/srv")], system.tell())
    await watched.start()
    burst = asyncio.create_task(watched.next())
    for number in range(20):
        system.saved("app.py", f"other{number % 2}.py", "data.sqlite3")
        await turns()
    assert not burst.done()
    monkeypatch.setattr(source_changes, "QUIET", 0.0)
    system.saved("last.py")
    assert sorted(await burst) == ["app.py", "last.py", "other0.py", "other1.py"]
    assert watched.take() == {}
    await watched.stop()


async def test_a_burst_without_an_end_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_changes, "QUIET", 3600.0)
    monkeypatch.setattr(source_changes, "LONGEST", 0.0)
    system = System()
    watched = SourceChanges([Path("/srv")], system.tell())
    await watched.start()
    system.saved("app.py")
    assert await watched.next() == {"app.py": Path("/srv/app.py")}
    await watched.stop()


async def test_a_watcher_that_fails_says_so() -> None:
    system = System()
    watched = SourceChanges([Path("/srv")], system.tell())
    await watched.start()
    system.batches.put_nowait(None)
    with pytest.raises(RuntimeError, match="lost"):
        await watched.next()
    await watched.stop()


async def test_what_cannot_be_watched_is_one_clear_message() -> None:
    async def limited() -> AsyncGenerator[Batch]:
        raise OSError("OS file watch limit reached")
        yield ()

    with pytest.raises(click.ClickException, match="watch limit reached; name smaller folders with --watch"):
        await SourceChanges([Path("/srv")], limited()).start()
