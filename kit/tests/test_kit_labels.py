"""Tables whose label has changed: what was applied under the one before is not applied again, and nobody else's is taken."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.connection import get_connection

from limen_kit.app import create_service
from limen_kit.database import Tables, tortoise_config
from limen_kit.settings import ServiceSettings
from limen_kit.testing import migrate_database, running

MODEL = """
from tortoise import fields
from tortoise.models import Model


class Thing(Model):
    id = fields.IntField(primary_key=True)

    class Meta(Model.Meta):
        table = "{table}"
"""

MIGRATION = """
from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    operations = [ops.RunSQL("CREATE TABLE {table} (id INTEGER)")]
"""


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of tables, ``pans`` and ``lids``, importable as packages. A second run of a migration fails."""
    for name in ("pans", "lids"):
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder.parent / "models.py").write_text(MODEL.format(table=name))
        (folder / "__init__.py").touch()
        (folder / "0001_initial.py").write_text(MIGRATION.format(table=name))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def tables(package: str, label: str, formerly: str | None = None) -> Tables:
    return Tables(label, f"{package}.models", f"{package}.migrations", formerly=formerly)


async def labels_after_migrating(url: str, *sets: Tables) -> list[str]:
    # A model that is imported keeps its label: this is another process's first import of it.
    for module in [name for name in sys.modules if name.partition(".")[0] in ("pans", "lids")]:
        del sys.modules[module]
    config = tortoise_config(url, *sets)
    await migrate_database(config)
    await Tortoise.init(config=config, init_connections=False)
    try:
        connection: Any = get_connection("default")
        _, rows = await connection.execute_query("SELECT app FROM tortoise_migrations ORDER BY id")
        return [row["app"] for row in rows]
    finally:
        await Tortoise.close_connections()


@pytest.mark.usefixtures("labelled")
async def test_a_new_label_keeps_what_was_applied_under_the_one_before(database_url: str) -> None:
    assert await labels_after_migrating(database_url, tables("pans", "kitchen")) == ["kitchen"]
    for _ in range(2):
        assert await labels_after_migrating(database_url, tables("pans", "pans", "kitchen")) == ["pans"]


@pytest.mark.usefixtures("labelled")
async def test_an_empty_database_has_nothing_to_rename(database_url: str) -> None:
    assert await labels_after_migrating(database_url, tables("pans", "pans", "kitchen")) == ["pans"]


@pytest.mark.usefixtures("labelled")
async def test_a_label_that_other_tables_have_now_stays_theirs(database_url: str) -> None:
    sets = tables("pans", "pans", "kitchen"), tables("lids", "kitchen")
    assert await labels_after_migrating(database_url, sets[1]) == ["kitchen"]
    assert sorted(await labels_after_migrating(database_url, *sets)) == ["kitchen", "pans"]
    assert sorted(await labels_after_migrating(database_url, *sets)) == ["kitchen", "pans"]


async def test_a_service_without_a_database_is_ready_when_its_parts_are() -> None:
    settings = ServiceSettings(database_url="sqlite://unused.sqlite3", identity_keys="plain")
    async with running(create_service("Test", name="test", settings=settings, tortoise_orm=None)) as client:
        assert (await client.get("/readyz")).json() == {"status": "ready"}
