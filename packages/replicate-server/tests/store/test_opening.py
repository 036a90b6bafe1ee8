"""Opening a store: one server a folder, a current schema, no surprise."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from replicate_server.domain.ids import AccountId
from replicate_server.ports.clock import SystemClock
from replicate_server.store import SqlStore, open_store
from replicate_server.store.migrations import REVISIONS
from replicate_server.store.migrations.upgrade import script_directory
from replicate_server.store.opening import SchemaUnknown, StoreInUse
from replicate_server.store.tables import metadata
from sqlalchemy import create_engine


class FixedClock:
    """Says the same time always."""

    def now(self) -> datetime:
        return datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def open_at(path: Path, *, exclusive: bool = True) -> SqlStore:
    return open_store(path, clock=FixedClock(), exclusive=exclusive)


def close(*stores: SqlStore) -> None:
    for store in stores:
        asyncio.run(store.close())


def parts(sql: str) -> frozenset[str]:
    """The comma-separated parts of a statement, without spacing: an added column comes last in a migrated table."""
    flat = re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")")
    head, _, body = flat.removesuffix(")").partition("(")
    return frozenset([head.strip(), *(part.strip() for part in re.split(r", (?![^()]*\))|,(?![^()]*\)) ?", body))])


def schema(connection: sqlite3.Connection) -> set[tuple[str, str, frozenset[str]]]:
    """Type, name and parts of everything in a database."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(kind, name, parts(sql)) for kind, name, sql in rows if name != "alembic_version"}


def upgrade_to(path: Path, revision: str) -> None:
    """A database as the release with this revision left it."""
    scripts = script_directory()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        context = EnvironmentContext(Config(), scripts, fn=lambda current, _: scripts._upgrade_revs(revision, current))
        context.configure(connection=connection)
        context.run_migrations()
    engine.dispose()


def test_a_migrated_database_equals_the_declared_tables(tmp_path: Path) -> None:
    close(open_at(tmp_path / "migrated.sqlite3"))
    engine = create_engine(f"sqlite:///{tmp_path}/fresh.sqlite3")
    metadata.create_all(engine)
    engine.dispose()
    with sqlite3.connect(tmp_path / "migrated.sqlite3") as migrated, sqlite3.connect(tmp_path / "fresh.sqlite3") as fresh:
        assert schema(migrated) == schema(fresh)
        assert {kind for kind, _, _ in schema(fresh)} == {"table", "index", "trigger"}
    migrated.close()
    fresh.close()


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    revisions = [script.revision for script in script_directory().walk_revisions()]
    assert tuple(reversed(revisions)) == REVISIONS


def test_models_of_an_older_database_are_found_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    upgrade_to(path, "0001")
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO models (id, account_id, owner, name, visibility, created_at, hardware, run_count) "
            "VALUES ('model_1', 'acct_a', 'ada', 'old-model', 'public', 1, 'cpu', 7)"
        )
    connection.close()
    store = open_at(path)
    found = asyncio.run(store.search_models(["old"], viewer=AccountId("acct_b"), limit=9))
    assert [(item.model.name, item.model.run_count, item.model.is_official) for item in found] == [("old-model", 7, False)]
    close(store)


def test_a_second_server_on_the_same_data_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    first = open_at(tmp_path / "store.sqlite3")
    with pytest.raises(StoreInUse, match=r"in use by process \d+, since 2026-05-06 07:08:09 UTC"):
        open_at(tmp_path / "store.sqlite3")
    close(first)


def test_the_data_is_free_again_after_closing(tmp_path: Path) -> None:
    close(open_at(tmp_path / "store.sqlite3"))
    close(open_at(tmp_path / "store.sqlite3"))


def test_a_tool_may_share_the_data_with_a_server(tmp_path: Path) -> None:
    server = open_at(tmp_path / "store.sqlite3")
    tool = open_at(tmp_path / "store.sqlite3", exclusive=False)
    assert asyncio.run(tool.server_secret("name", if_missing="tool's")) == "tool's"
    assert asyncio.run(server.server_secret("name", if_missing="server's")) == "tool's"
    close(tool, server)


def test_a_tool_does_not_migrate_the_data_of_a_running_server(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    server = open_at(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM alembic_version")
    connection.close()
    with pytest.raises(StoreInUse):
        open_at(path, exclusive=False)
    close(server)


def test_a_database_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    close(open_at(path))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaUnknown, match="9999"):
        open_at(path)
    with pytest.raises(SchemaUnknown, match="9999"):
        open_at(path)


def test_a_first_migration_that_was_interrupted_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.close()
    close(open_at(path))


def test_a_start_with_a_current_schema_does_not_import_alembic(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    close(open_at(path))
    program = (
        "import sys, asyncio; from replicate_server.store import open_store;"
        "from replicate_server.ports.clock import SystemClock;"
        f"store = open_store({str(path)!r}, clock=SystemClock()); asyncio.run(store.close());"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_database_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    store = open_store(tmp_path / "folder" / "store.sqlite3", clock=SystemClock())
    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "folder").iterdir()}
    assert modes == {0o600}
    close(store)


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    store = open_at(tmp_path / "store.sqlite3")
    close(store)
    close(store)
