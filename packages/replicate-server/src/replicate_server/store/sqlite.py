"""SQLite as a dialect: how connections are opened and set, and what its errors mean. SQLite's own statements live only here.

WAL lets readers go on while the writer commits; ``synchronous=FULL`` makes a commit return after the log is on disk. Connections
run in the driver's autocommit mode, so a transaction exists exactly where `begin` was called.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import GenerativeSelect
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect

from replicate_server.store.statements import Parameters, Row, Statement


class _Compiler(SQLiteCompiler):
    """Writes LIMIT without the ``OFFSET 0`` that would need a parameter of its own."""

    def limit_clause(self, select: GenerativeSelect, **kw: Any) -> str:
        return "\n LIMIT " + self.process(select._limit_clause, **kw) if select._limit_clause is not None else ""


class _Dialect(SQLiteDialect):
    statement_compiler = _Compiler
    supports_statement_cache = True


DIALECT: Final = _Dialect(paramstyle="qmark")

BUSY_TIMEOUT_SECONDS = 5.0
CHECKPOINT_PAGES: Final = 4000
"""16 MiB of log between checkpoints: fewer stalls than the default 1,000, still read through quickly after a crash."""
STATEMENTS_MAX: Final = 256
WRITER_CACHE_KIBIBYTES: Final = 32 * 1024
READER_CACHE_KIBIBYTES: Final = 8 * 1024

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_PERM,
    }
)
_PRIMARY_CODE = 0xFF
"""Extended result codes keep the primary one in their low byte."""
_UNIQUE = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})


class SqliteConnection:
    """A `Connection` over the standard library's driver."""

    def __init__(self, path: Path, *, cache_kibibytes: int, is_writer: bool) -> None:
        self._raw = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_MAX,
        )
        self._raw.execute(f"PRAGMA cache_size = -{cache_kibibytes}")
        self._raw.execute("PRAGMA foreign_keys = ON")
        if is_writer:
            self._raw.execute("PRAGMA journal_mode = WAL")
            self._raw.execute("PRAGMA synchronous = FULL")
            self._raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._raw.execute(f"PRAGMA journal_size_limit = {4 * CHECKPOINT_PAGES * 4096}")
            self._raw.execute("PRAGMA busy_timeout = 0")
        else:
            self._raw.execute("PRAGMA query_only = ON")

    @property
    def raw(self) -> sqlite3.Connection:
        """The driver's connection, for start-up and tests."""
        return self._raw

    def begin(self, *, is_patient: bool) -> None:
        """Take the write lock at once: a transaction that only later finds it busy could not be retried."""
        if is_patient:
            self._raw.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
        try:
            self._raw.execute("BEGIN IMMEDIATE")
        finally:
            if is_patient:
                self._raw.execute("PRAGMA busy_timeout = 0")

    def commit(self) -> None:
        """End the transaction; returns when it is on disk."""
        self._raw.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is open: SQLite itself ends it after some errors."""
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    def savepoint(self) -> None:
        """Mark the point that `undo_savepoint` returns to."""
        self._raw.execute("SAVEPOINT operation")

    def release_savepoint(self) -> None:
        """Forget the mark and keep what was done."""
        self._raw.execute("RELEASE operation")

    def undo_savepoint(self) -> None:
        """Undo what was done since the mark, and forget it."""
        self._raw.execute("ROLLBACK TO operation")
        self._raw.execute("RELEASE operation")

    def change(self, statement: Statement, parameters: Parameters) -> int:
        """Execute; returns how many rows it changed."""
        text, arguments = statement.compiled(DIALECT)
        return self._raw.execute(text, arguments(parameters)).rowcount

    def change_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Execute once for each, in order."""
        text, arguments = statement.compiled(DIALECT)
        self._raw.executemany(text, map(arguments, parameters))

    def one(self, statement: Statement, parameters: Parameters) -> Row | None:
        """The first row."""
        # Taking all rows resets the statement; an unfinished one would keep an old snapshot open and its log from being reused.
        rows = self.all(statement, parameters)
        return rows[0] if rows else None

    def all(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Every row."""
        text, arguments = statement.compiled(DIALECT)
        return self._raw.execute(text, arguments(parameters)).fetchall()

    def each(self, statement: Statement, parameters: Parameters) -> Generator[Row, None, None]:
        """Row after row. An open cursor keeps the database from folding its log back, hence the closing."""
        text, arguments = statement.compiled(DIALECT)
        with closing(self._raw.execute(text, arguments(parameters))) as cursor:
            yield from cursor

    def close(self) -> None:
        """Release it; the last one to close writes the log back into the database file."""
        self._raw.close()


class SqliteDatabase:
    """A `Database` in one file."""

    is_quick = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def create_file(self) -> None:
        """Make the file if it is missing, readable by its owner only, for it holds signing secrets."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def connect_writer(self) -> SqliteConnection:
        """Open the connection that writes."""
        return SqliteConnection(self.path, cache_kibibytes=WRITER_CACHE_KIBIBYTES, is_writer=True)

    def connect_reader(self) -> SqliteConnection:
        """Open a connection that only reads, each statement in a snapshot of its own."""
        return SqliteConnection(self.path, cache_kibibytes=READER_CACHE_KIBIBYTES, is_writer=False)

    def is_unavailable(self, error: BaseException) -> bool:
        """Whether storage cannot serve now."""
        code = getattr(error, "sqlite_errorcode", None)
        return isinstance(error, sqlite3.Error) and code is not None and (code & _PRIMARY_CODE) in _UNAVAILABLE

    def is_unique_violation(self, error: BaseException) -> bool:
        """Whether a unique index or primary key refused a row."""
        return isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode in _UNIQUE
