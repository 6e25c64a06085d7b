"""The migrations make exactly the tables the code works with, and touch nobody else's database."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

import tenantgate.registry
from alembic import command
from tenantgate.core.policy import AppRoleRow, ResourceRow
from tenantgate.registry import migrations
from tenantgate.registry.engine import reading
from tenantgate.registry.errors import SchemaError
from tenantgate.registry.migrations import (
    alembic_config,
    current_revision,
    head_revision,
    migrate,
    migrations_folder,
    require_known_schema,
)
from tenantgate.registry.snapshot import read_snapshot
from tenantgate.registry.tables import Base
from tests.registry.builders import EPOCH, Registry

Open = Callable[[Path], Engine]


for _module in pkgutil.iter_modules(tenantgate.registry.__path__):  # so that the metadata has every table
    importlib.import_module(f"tenantgate.registry.{_module.name}")


def differences(connection: Connection) -> list[Any]:
    """What Alembic finds different between a database and the table classes, but for the indexes of lists.

    Those are expressions, which it cannot compare; `test_lists` asks the engines whether they use them.
    """

    def is_compared(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "index" or "_by_" not in str(name)

    context = MigrationContext.configure(connection, opts={"include_object": is_compared})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        return list(compare_metadata(context, Base.metadata))


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Everything SQLite knows about a database's tables and indexes."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_migrated_schema_is_that_of_the_tables(registry: Registry):
    """Alembic finds no difference between the migrated database and the table classes."""
    with registry.engine.connect() as connection:
        assert differences(connection) == []


@pytest.mark.file
def test_checks_of_the_tables_are_in_the_database(registry: Registry):
    """Every check constraint and partial index of the table classes is in the migrated database, word for word."""
    sql = " ".join(str(row[3]) for row in schema_of(registry.path))
    for table in Base.metadata.sorted_tables:
        for constraint in table.constraints:
            if hasattr(constraint, "sqltext"):
                assert f"CONSTRAINT {constraint.name} CHECK ({constraint.sqltext})" in sql
    assert "WHERE tid IS NULL" in sql


def test_down_and_up_again(tmp_path: Path, opened: Open):
    """Downgrading takes every table away, and upgrading makes the same ones again."""
    engine = opened(tmp_path / "registry.db")
    migrate(engine, epoch=EPOCH)
    before = schema_of(tmp_path / "registry.db")

    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")

    assert [row[1] for row in schema_of(tmp_path / "registry.db") if row[0] == "table"] == ["alembic_version"]
    assert current_revision(engine) is None
    migrate(engine, epoch=EPOCH)
    assert schema_of(tmp_path / "registry.db") == before


def step_down(engine: Engine, revision: str) -> None:
    """Take a database back to an earlier schema."""
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), revision)


def test_every_step_down_and_up_keeps_the_policy(registry: Registry):
    """A registry of the first schema is brought up with its rows: tenants still refer to their issuers."""
    with reading(registry.engine) as session:
        before = read_snapshot(session)

    step_down(registry.engine, "0001")
    assert current_revision(registry.engine) == "0001"
    migrate(registry.engine, epoch="another")

    with reading(registry.engine) as session:
        assert read_snapshot(session) == before
    assert current_revision(registry.engine) == head_revision()


@pytest.mark.file
def test_issuers_of_the_first_schema_are_read_as_before(registry: Registry):
    """An issuer that was there before profiles has the standard one, and nothing said otherwise."""
    step_down(registry.engine, "0001")
    migrate(registry.engine, epoch="another")

    with sqlite3.connect(registry.path) as connection:
        found = connection.execute("SELECT profile, roles_claim, subject_pin FROM issuer").fetchall()
    connection.close()
    assert found == [("standard", None, None)]


def test_new_database_is_an_empty_policy_with_its_own_epoch(tmp_path: Path, opened: Open):
    """A database made now has the epoch it was given, revision 0, and no rows."""
    engine = opened(tmp_path / "registry.db")

    assert migrate(engine, epoch="epoch-new") == head_revision() == current_revision(engine)

    require_known_schema(engine)
    with reading(engine) as session:
        snapshot = read_snapshot(session)
    assert (snapshot.epoch, snapshot.revision, snapshot.rows) == ("epoch-new", 0, ())


@pytest.mark.file
def test_migrating_again_keeps_everything(registry: Registry):
    """A database that is up to date is left as it is, its epoch too."""
    before = registry.path.read_bytes()

    migrate(registry.url, epoch="another")

    with reading(registry.engine) as session:
        assert read_snapshot(session).epoch == EPOCH
    assert registry.path.read_bytes() == before


def test_failed_migration_leaves_nothing(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch):
    """A migration that fails at its last statement leaves no table behind: DDL is in the transaction."""
    engine = opened(tmp_path / "registry.db")
    folder = tmp_path / "broken"
    shutil.copytree(migrations_folder(), folder)
    script = next((folder / "versions").glob("0001*.py"))
    script.write_text(script.read_text().replace('"audit_hash": GENESIS}', '"audit_hash": 1 / 0}'))
    monkeypatch.setattr(migrations, "migrations_folder", lambda: folder)

    with pytest.raises(ZeroDivisionError):
        migrate(engine, epoch=EPOCH)

    assert schema_of(tmp_path / "registry.db") == []


def test_unmigrated_database_is_refused(tmp_path: Path, opened: Open):
    """A new file is no registry: the answer says to migrate it."""
    with pytest.raises(SchemaError) as caught:
        require_known_schema(opened(tmp_path / "registry.db"))

    assert caught.value.code == "schema_missing"


def test_somebody_elses_database_is_refused_and_kept(tmp_path: Path, opened: Open):
    """A database of another program is neither used nor migrated."""
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    engine = opened(tmp_path / "other.db")

    for use in (require_known_schema, lambda engine: migrate(engine, epoch=EPOCH)):
        with pytest.raises(SchemaError) as caught:
            use(engine)
        assert caught.value.code == "schema_unknown"
    assert [row[1] for row in schema_of(tmp_path / "other.db")] == ["songs"]


@pytest.mark.file
def test_newer_database_is_refused(registry: Registry):
    """A schema this version does not know is refused, by migrate too."""
    with sqlite3.connect(registry.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE revision SET oldest_compatible = '9998'")
    connection.close()

    for use in (require_known_schema, lambda engine: migrate(engine, epoch=EPOCH)):
        with pytest.raises(SchemaError) as caught:
            use(registry.engine)
        assert caught.value.code == "schema_unknown"


def test_newer_database_that_is_for_us_too_is_worked_with(registry: Registry):
    """A newer version that says so lets this one read, write and start; `migrate` leaves the database as it is."""
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    require_known_schema(registry.engine)
    assert migrate(registry.engine, epoch="another") == "9999"
    with reading(registry.engine) as session:
        assert read_snapshot(session).epoch == EPOCH


@pytest.mark.parametrize("statement", ["ALTER TABLE revision DROP COLUMN oldest_compatible", "DELETE FROM revision"])
def test_newer_database_that_does_not_say_is_refused(registry: Registry, statement: str):
    """Where nothing says that this version may go on, it does not."""
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql(statement)

    with pytest.raises(SchemaError) as caught:
        require_known_schema(registry.engine)
    assert caught.value.code == "schema_unknown"


def test_every_migration_says_which_versions_may_go_on():
    """From 0005 on each names the oldest schema whose code may work beside it, and none lets an older one in again.

    Only additions that older code need not know of keep the one before; what ends that: decision 0028.
    """
    scripts = sorted(ScriptDirectory(str(migrations_folder())).walk_revisions(), key=lambda each: each.revision)
    names = [script.revision for script in scripts]
    assert names == [f"{number:04}" for number in range(1, int(head_revision()) + 1)]
    said = [(each.revision, getattr(each.module, "oldest_compatible", None)) for each in scripts[4:]]
    assert [name for name, oldest in said if oldest is None] == [], "these do not say `oldest_compatible`"
    assert all(oldest <= name for name, oldest in said)
    assert [oldest for _, oldest in said] == sorted(oldest for _, oldest in said)


def test_each_step_down_and_up_notes_who_may_go_on(registry: Registry):
    """What the database says is what the migration says that it stands at."""
    scripts = ScriptDirectory(str(migrations_folder()))

    def told() -> str:
        with registry.engine.connect() as connection:
            return str(connection.exec_driver_sql("SELECT oldest_compatible FROM revision").scalar_one())

    assert told() == scripts.get_revision(head_revision()).module.oldest_compatible
    step_down(registry.engine, "0005")
    assert told() == "0005"
    migrate(registry.engine, epoch="another")
    assert told() == scripts.get_revision(head_revision()).module.oldest_compatible


def test_older_database_is_refused_with_what_to_do(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    """A schema of an earlier migration is refused until it is migrated."""
    monkeypatch.setattr(migrations, "SCHEMA_REVISION", "9999")

    with pytest.raises(SchemaError, match="tenantgate migrate") as caught:
        require_known_schema(registry.engine)

    assert caught.value.code == "schema_old"


@pytest.fixture
def first_schema(tmp_path: Path, opened: Open) -> Engine:
    """A database of the first schema with a resource in it, and a role of that resource."""
    engine = opened(tmp_path / "registry.db")
    with engine.begin() as connection:
        config = alembic_config(connection)
        config.attributes["epoch"] = EPOCH
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO resource VALUES (1, 'adm', 1, 1, 'orders', '[\"api://orders\"]', 'strict', 'ignore', 0,"
            " 'none', 600, 30, 1)"
        )
        connection.exec_driver_sql("INSERT INTO app_role VALUES (1, 'adm', 1, 1, 'read', 'orders', 'Read', '')")
    return engine


def test_resource_of_the_first_schema_asks_for_no_more_than_before(first_schema: Engine):
    """Migrated, it has its own values, and of each later rule the one that asks for nothing."""
    migrate(first_schema, epoch="another")

    with reading(first_schema) as session:
        rows = {row.kind: row.data for row in read_snapshot(session).rows}
    expected = {"max_lifetime": 600, "clock_skew": 30, "show_reasons": True}
    assert rows["resource"] == ResourceRow(id="orders", audiences=("api://orders",), **expected)
    assert rows["app_role"] == AppRoleRow(id="read", resource="orders", value="Read")


def test_rules_of_a_resource_go_down_and_up(first_schema: Engine):
    """Down at the first schema tables, checks and rows are what they were; up again all is there."""
    path = Path(first_schema.url.database or "")
    before = schema_of(path)
    migrate(first_schema, epoch="another")

    with first_schema.begin() as connection:
        command.downgrade(alembic_config(connection), "0001")

    assert schema_of(path) == before
    migrate(first_schema, epoch="another")
    with first_schema.connect() as connection:
        assert differences(connection) == []
        assert connection.exec_driver_sql("SELECT id, resource FROM app_role").all() == [("read", "orders")]


def test_code_knows_the_newest_migration():
    """The schema the code asks for is the head of the scripts, and there is one head."""
    scripts = ScriptDirectory(str(migrations_folder()))

    assert scripts.get_heads() == [head_revision()]


def test_migrations_are_found_in_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The wheel's folder comes first, the checkout's second; without either the answer says so."""
    package = tmp_path / "site" / "tenantgate"
    monkeypatch.setattr("tenantgate.registry.__file__", str(package / "registry" / "__init__.py"))

    with pytest.raises(SchemaError) as caught:
        migrations_folder()
    assert caught.value.code == "migrations_missing"

    for folder in (tmp_path / "site" / "alembic", package / "_migrations"):
        folder.mkdir(parents=True)
        (folder / "env.py").write_text("")
        assert migrations_folder() == folder


def test_percent_sign_in_a_path_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Folders and database files may have names that Alembic or a URL would read otherwise."""
    folder = tmp_path / "50% off?#"
    shutil.copytree(migrations_folder(), folder / "alembic")
    monkeypatch.setattr(migrations, "migrations_folder", lambda: folder / "alembic")

    path = folder / "reg istry.db"
    migrate(f"sqlite:///{quote(str(path))}", epoch=EPOCH)

    assert len(schema_of(path)) > 1
