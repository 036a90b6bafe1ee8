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
from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, tuple_

from replicate_server.domain.records import Page
from replicate_server.ports.store import CursorInvalid
from replicate_server.store.statements import Connection, Parameters, Row, Statement

T = TypeVar("T")

KEY_MAX = 2**63 - 1
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
class KeysetList:
    """A list in a fixed order: its name, its statements in both directions, and where its columns are.

    Rows of its statements begin with the key and the id that order them.
    """

    name: str
    forward: Statement
    backward: Statement
    start: Position
    """A position before the first row."""

    @classmethod
    def build(
        cls, name: str, query: Select[Any], key: ColumnElement[int], row_id: ColumnElement[str], *, descending: bool
    ) -> KeysetList:
        """Make the list of a query without order or limit."""
        position = tuple_(_parameter("cursor_key"), _parameter("cursor_id"))
        row = tuple_(key, row_id)
        falling = query.where(row < position).order_by(key.desc(), row_id.desc()).limit(_parameter("page_limit"))
        rising = query.where(row > position).order_by(key.asc(), row_id.asc()).limit(_parameter("page_limit"))
        forward, backward = (falling, rising) if descending else (rising, falling)
        start = Position(True, KEY_MAX, "") if descending else Position(True, -1, "")
        return cls(name, Statement(forward), Statement(backward), start)

    def page(
        self,
        connection: Connection,
        parameters: Parameters,
        build: Callable[[Row], T],
        *,
        position: Position | None,
        limit: int,
    ) -> Page[T]:
        """Read one page.

        Args:
            connection: A reader.
            parameters: The filters of the query.
            build: Makes a record of a row without its first two columns.
            position: From `parse_cursor`; None for the first page.
            limit: Rows of a page.
        """
        at = position or self.start
        statement = self.forward if at.is_forward else self.backward
        # One row more than asked tells whether anything lies beyond, without counting.
        bound = {**parameters, "cursor_key": at.key, "cursor_id": at.id, "page_limit": limit + 1}
        rows = connection.all(statement, bound)
        has_beyond = len(rows) > limit
        rows = rows[:limit] if at.is_forward else rows[:limit][::-1]
        has_next, has_previous = (has_beyond, position is not None) if at.is_forward else (True, has_beyond)
        return Page(
            results=tuple(build(row[2:]) for row in rows),
            next_cursor=self._cursor(rows[-1:], is_forward=True) if has_next else None,
            previous_cursor=self._cursor(rows[:1], is_forward=False) if has_previous else None,
        )

    def _cursor(self, edge: Sequence[Row], *, is_forward: bool) -> str | None:
        return encode_cursor(self.name, Position(is_forward, edge[0][0], edge[0][1])) if edge else None


def _parameter(name: str) -> BindParameter[Any]:
    return bindparam(name)
