"""Statements compiled once, and the connection they run on.

A `Statement` is a SQLAlchemy Core construct whose text is made once per dialect and then executed through the driver's own cursor
with positional parameters: executing through SQLAlchemy's engine costs several times what SQLite needs for the row itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ClauseElement, ColumnElement, Dialect, literal_column
from sqlalchemy.sql.compiler import SQLCompiler

from replicate_server.domain.lifecycle import Status

Parameters = Mapping[str, Any]
Row = tuple[Any, ...]


def constant(value: Status | str) -> ColumnElement[str]:
    """A text written into the statement itself, which the planner must see to choose a partial index. Never user text."""
    text = str(value)
    if not text.isidentifier():
        raise ValueError(f"not a plain word: {text!r}")
    return literal_column(f"'{text}'")


class Compiled(NamedTuple):
    """A statement as a driver takes it."""

    text: str
    arguments: Callable[[Parameters], Row]
    """Puts named parameters into the order of the text's marks: a driver binds a tuple in half the time of a mapping."""


class Statement:
    """A Core construct, compiled on first use. Every value in it is a named parameter that each execution must give."""

    def __init__(self, construct: ClauseElement) -> None:
        self._construct = construct
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """The statement for a dialect with positional parameters."""
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = self._compile(dialect)
        return compiled

    def _compile(self, dialect: Dialect) -> Compiled:
        compiled = self._construct.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"not a statement with parameters: {self._construct!r}")
        for bind in compiled.binds.values():
            # A value fixed at build time would be lost, because only the text is kept.
            if not bind.required:
                raise ValueError(f"parameter {bind.key!r} has a fixed value; use constant() or bindparam()")
        return Compiled(str(compiled), _picker(tuple(compiled.positiontup or ())))


def _picker(names: Sequence[str]) -> Callable[[Parameters], Row]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda parameters: tuple(parameters[name] for name in names)


class Connection(Protocol):
    """One database connection, used by one thread at a time."""

    def begin(self, *, is_patient: bool) -> None:
        """Begin a transaction that will write; a patient one waits for a while where another process writes."""
        ...

    def commit(self) -> None:
        """End it; returns when it is on disk."""
        ...

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        ...

    def savepoint(self) -> None:
        """Mark the point that `undo_savepoint` returns to."""
        ...

    def release_savepoint(self) -> None:
        """Forget the mark and keep what was done."""
        ...

    def undo_savepoint(self) -> None:
        """Undo what was done since the mark, and forget it."""
        ...

    def change(self, statement: Statement, parameters: Parameters) -> int:
        """Execute; returns how many rows it changed."""
        ...

    def change_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        """Execute once for each, in order."""
        ...

    def one(self, statement: Statement, parameters: Parameters) -> Row | None:
        """The first row."""
        ...

    def all(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Every row."""
        ...

    def each(self, statement: Statement, parameters: Parameters) -> Generator[Row, None, None]:
        """Row after row; to be closed by whoever does not read to the end."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Database(Protocol):
    """Opens connections and explains their errors; one per dialect."""

    @property
    def is_quick(self) -> bool:
        """Whether a statement takes microseconds, so that handing it to a thread costs more than waiting for it."""
        ...

    def connect_writer(self) -> Connection:
        """Open the connection that writes."""
        ...

    def connect_reader(self) -> Connection:
        """Open a connection that only reads, each statement in a snapshot of its own."""
        ...

    def is_unavailable(self, error: BaseException) -> bool:
        """Whether an error means that storage cannot serve now, rather than that the statement was wrong."""
        ...

    def is_unique_violation(self, error: BaseException) -> bool:
        """Whether a unique index or primary key refused a row."""
        ...
