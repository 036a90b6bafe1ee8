"""Keyset pages: cursors as opaque text, and a page read in either direction.

A cursor names the last row seen, not a distance, so rows inserted or removed meanwhile neither repeat nor hide others, and page
one million costs what page one costs. It also names the list it belongs to: a cursor of another list or order is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Select, Text, bindparam, or_

from replicate_server.domain.records import Page
from replicate_server.ports.store import CursorInvalid
from replicate_server.store.statements import Connection, Parameters, Row, Statement

T = TypeVar("T")

KEY_MAX = 2**63 - 1
NOWHERE = -1
"""A key that no row has."""
ID_LENGTH_MAX = 200
CURSOR_LENGTH_MAX = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: behind this row, going forwards in list order or backwards."""

    is_forward: bool
    key: int
    id: str


def encode_cursor(list_name: str, position: Position) -> str:
    """A position as URL-safe text."""
    content = msgspec.json.encode([list_name, position.is_forward, position.key, position.id])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def parse_cursor(list_name: str, cursor: str) -> Position:
    """The position in a cursor.

    Raises:
        CursorInvalid: If it is not one that `encode_cursor` made for this list.
    """
    try:
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise CursorInvalid("the cursor is too long")
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, is_forward, key, row_id = msgspec.json.decode(content, type=tuple[str, bool, int, str])
    except (binascii.Error, UnicodeError, ValueError, msgspec.MsgspecError) as error:
        raise CursorInvalid("the cursor is not valid") from error
    if name != list_name or not 0 <= key <= KEY_MAX or len(row_id) > ID_LENGTH_MAX:
        raise CursorInvalid("the cursor does not belong to this list")
    return Position(is_forward, key, row_id)


@dataclass(frozen=True, slots=True)
class Range:
    """Keys that a list shows: from ``first`` inclusive to ``end`` exclusive."""

    first: int = 0
    end: int = KEY_MAX


EVERYTHING = Range()


@dataclass(frozen=True, slots=True)
class KeysetList:
    """A list in a fixed order, with its statements in both directions. Their rows begin with the key and the id of that order."""

    name: str
    is_descending: bool
    falling: Statement
    rising: Statement

    @classmethod
    def build(
        cls, name: str, query: Select[Any], key: ColumnElement[int], row_id: ColumnElement[str], *, is_descending: bool
    ) -> KeysetList:
        """Make the list of a query without order or limit.

        The bounds on the key are what the planner searches the index by, the condition on the id only skips rows of the cursor's
        own moment. A comparison of the pair would say the same, but made SQLite choose worse indexes.
        """
        bounded = query.where(key >= bindparam("key_first"), key <= bindparam("key_last")).limit(bindparam("page_limit"))
        is_elsewhere, edge = key != bindparam("cursor_key"), bindparam("cursor_id", type_=Text)
        falling = bounded.where(or_(is_elsewhere, row_id < edge)).order_by(key.desc(), row_id.desc())
        rising = bounded.where(or_(is_elsewhere, row_id > edge)).order_by(key.asc(), row_id.asc())
        return cls(name, is_descending, Statement(falling), Statement(rising))

    def page(
        self,
        connection: Connection,
        parameters: Parameters,
        build: Callable[[Row], T],
        *,
        position: Position | None,
        limit: int,
        keys: Range = EVERYTHING,
    ) -> Page[T]:
        """Read one page.

        Args:
            connection: A reader.
            parameters: The filters of the query.
            build: Makes a record of a row without its first two columns.
            position: From `parse_cursor`; None for the first page.
            limit: Rows of a page.
            keys: Which keys to show.
        """
        is_forward = position is None or position.is_forward
        is_falling = self.is_descending == is_forward
        first, last = keys.first, keys.end - 1
        if position is not None:
            first, last = (first, min(last, position.key)) if is_falling else (max(first, position.key), last)
        bound = {
            **parameters,
            "key_first": first,
            "key_last": last,
            "cursor_key": position.key if position else NOWHERE,
            "cursor_id": position.id if position else "",
            # One row more than asked tells whether anything lies beyond, without counting.
            "page_limit": limit + 1,
        }
        rows = connection.all(self.falling if is_falling else self.rising, bound)
        has_beyond = len(rows) > limit
        rows = rows[:limit] if is_forward else rows[:limit][::-1]
        has_next, has_previous = (has_beyond, position is not None) if is_forward else (True, has_beyond)
        return Page(
            results=tuple(build(row[2:]) for row in rows),
            next_cursor=self._cursor(rows[-1:], is_forward=True) if has_next else None,
            previous_cursor=self._cursor(rows[:1], is_forward=False) if has_previous else None,
        )

    def _cursor(self, edge: Sequence[Row], *, is_forward: bool) -> str | None:
        return encode_cursor(self.name, Position(is_forward, edge[0][0], edge[0][1])) if edge else None
