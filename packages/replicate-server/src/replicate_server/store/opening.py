"""Opening a store: refuse a second server, bring the schema up to date, connect.

The common case, a schema that is current already, costs one small query: Alembic is imported only to migrate.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from replicate_server.ports.clock import Clock
from replicate_server.store.migrations import REVISIONS
from replicate_server.store.sql_store import SqlStore
from replicate_server.store.sqlite import SqliteConnection, SqliteDatabase

SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""How long a busy loop may keep the interpreter lock from the thread that commits. With Python's 5 ms a loop that is always busy
kept it for seconds: 320 predictions/s instead of 2,200. See docs/decisions/0020-one-writer-with-group-commit.md."""


class StoreInUse(Exception):
    """Another server works on this data folder."""


class SchemaUnknown(Exception):
    """The database was written by a newer release than this one."""


def open_store(path: Path | str, clock: Clock, *, exclusive: bool = True) -> SqlStore:
    """Open the SQLite store in a file, creating or migrating it first.

    Blocks for a few milliseconds, at the first start for some tenths of a second. The store serves the event loop that calls it.

    Args:
        path: The database file; its folder is made if missing.
        clock: Tells since when the folder is in use, for whoever is refused.
        exclusive: Refuse to share the file. A server must; a tool that runs beside it must not. The server's process also gets a
            shorter thread switch interval, for it answers as fast as its committing thread gets its turn.

    Raises:
        StoreInUse: If another server has it open, or if a tool would have to migrate it under a running server.
        SchemaUnknown: If it was written by a newer release.
    """
    database = SqliteDatabase(Path(path))
    database.create_file()
    lock_path = database.path.with_name(database.path.name + ".lock")
    release = take_lock(lock_path, clock) if exclusive else _nothing
    try:
        connection = database.connect_writer()
        try:
            if not is_current(connection):
                release_after = _nothing if exclusive else take_lock(lock_path, clock)
                try:
                    migrate(connection)
                finally:
                    release_after()
        finally:
            connection.close()
        if exclusive:
            sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_SECONDS))
        return SqlStore(database, release)
    except BaseException:
        release()
        raise


def take_lock(path: Path, clock: Clock) -> Callable[[], None]:
    """Take a lock that ends with this process at the latest; returns what gives it back.

    Raises:
        StoreInUse: If another process, or another store of this one, has it.
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise StoreInUse(f"{path.parent} is in use by {owner}; stop it first, or choose another data folder") from error
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()}, since {clock.now():%Y-%m-%d %H:%M:%S} UTC".encode())
    is_released = False

    def release() -> None:
        nonlocal is_released
        if not is_released:
            is_released = True
            os.close(handle)

    return release


def is_current(connection: SqliteConnection) -> bool:
    """Whether the schema is the newest one.

    Raises:
        SchemaUnknown: If it has a revision that this release does not know.
    """
    revision = current_revision(connection)
    if revision is not None and revision not in REVISIONS:
        raise SchemaUnknown(
            f"the database has schema {revision}, this release knows up to {REVISIONS[-1]}: install the release that wrote it"
        )
    return revision == REVISIONS[-1]


def migrate(connection: SqliteConnection) -> None:
    """Bring the schema to the newest revision."""
    from replicate_server.store.migrations.upgrade import upgrade

    upgrade(connection.raw)


def current_revision(connection: SqliteConnection) -> str | None:
    """The revision the schema has; None for an empty database."""
    try:
        row = connection.raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    return row[0] if row else None


def _nothing() -> None:
    """Release nothing."""
