"""Runs Alembic on a connection that is already open. Imported only when there is something to migrate."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from replicate_server.store.tables import metadata

SCRIPTS = Path(__file__).parent


def script_directory() -> ScriptDirectory:
    """The revisions in this folder."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def upgrade(raw: sqlite3.Connection) -> None:
    """Bring a SQLite database to the newest revision, whole or not at all.

    A server that starts beside another waits here for the write lock and then finds nothing left to do.
    """
    scripts = script_directory()
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    # The driver is in autocommit mode, so SQLAlchemy's "begin" is ours to make; it commits and rolls back through the driver.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        context = EnvironmentContext(Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision))
        context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        context.run_migrations()
