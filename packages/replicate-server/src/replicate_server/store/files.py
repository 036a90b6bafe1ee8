"""The file store: facts about uploads and outputs. Their bytes are in the blob port."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, literal_column, select, tuple_, union_all

from replicate_server.domain.ids import AccountId, FileId
from replicate_server.domain.records import Page, StoredFile
from replicate_server.store.accounts import ChangeRow
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.prediction_rows import build_file, file_parameters, select_all
from replicate_server.store.prediction_statements import IS_UNCLAIMED
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Statement
from replicate_server.store.tables import files, predictions
from replicate_server.store.values import micros
from replicate_server.store.writer import Writer

INSERT_FILE = Statement(insert(files))
FILE = Statement(select_all(files).where(files.c.id == bindparam("file_id")))
FILE_BY_DELIVERY = Statement(select_all(files).where(files.c.delivery_token == bindparam("delivery_token")))
DELETE_FILE = Statement(delete(files).where(files.c.id == bindparam("file_id")))
FILE_LIST = KeysetList.build(
    "files",
    select(files.c.created_at, files.c.id, *files.columns).where(
        files.c.account_id == bindparam("account_id"), files.c.prediction_id.is_(None)
    ),
    files.c.created_at,
    files.c.id,
    is_descending=True,
)

EXPIRED_UPLOADS = Statement(
    select_all(files)
    .where(
        files.c.expires_at < bindparam("before"),
        tuple_(files.c.expires_at, files.c.id) > tuple_(bindparam("after_expiry"), bindparam("after_id")),
        files.c.expires_at.is_not(None),
        files.c.prediction_id.is_(None),
    )
    .order_by(files.c.expires_at, files.c.id)
    .limit(bindparam("rows_max"))
)
BLOB = Statement(select(files.c.id).where(files.c.blob_key == bindparam("blob_key")).limit(literal_column("1")))


def _naming(*conditions: ColumnElement[bool]) -> Select[tuple[str]]:
    """Predictions that name a file's id in their input."""
    return select(predictions.c.id).where(
        *conditions, func.instr(predictions.c.input, bindparam("file_id")) > literal_column("0")
    )


# The lower bounds let the planner read the partial indexes of what is queued and what is claimed, and no other row. One
# statement, because a prediction can move either way between two.
NEEDS_FILE = Statement(
    union_all(
        _naming(predictions.c.version_id > literal_column("''"), IS_UNCLAIMED),
        _naming(predictions.c.claim_holder > literal_column("''")),
    ).limit(literal_column("1"))
)


class SqlFiles:
    """`FileStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def create_file(self, file: StoredFile) -> None:
        """See the port."""
        await self._writer.write(ChangeRow(INSERT_FILE, file_parameters(file)))

    async def file(self, file_id: FileId) -> StoredFile | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(FILE, {"file_id": file_id}))
        return build_file(row) if row else None

    async def file_by_delivery(self, delivery_token: str) -> StoredFile | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(FILE_BY_DELIVERY, {"delivery_token": delivery_token}))
        return build_file(row) if row else None

    async def list_files(self, account_id: AccountId, *, cursor: str | None, limit: int) -> Page[StoredFile]:
        """See the port."""
        position = parse_cursor(FILE_LIST.name, cursor) if cursor is not None else None
        return await self._readers.run(
            lambda connection: FILE_LIST.page(connection, {"account_id": account_id}, build_file, position=position, limit=limit)
        )

    async def expired_uploads(self, before: datetime, *, after: StoredFile | None, limit: int) -> list[StoredFile]:
        """See the port."""
        parameters = {
            "before": micros(before),
            "after_expiry": micros(after.expires_at) if after is not None and after.expires_at is not None else 0,
            "after_id": after.id if after is not None else "",
            "rows_max": limit,
        }
        rows = await self._readers.run(lambda connection: connection.all(EXPIRED_UPLOADS, parameters))
        return [build_file(row) for row in rows]

    async def is_file_needed(self, file_id: FileId) -> bool:
        """See the port."""
        found = await self._readers.run(lambda connection: connection.one(NEEDS_FILE, {"file_id": file_id}))
        return found is not None

    async def has_blob(self, blob_key: str) -> bool:
        """See the port."""
        return self._readers.point(lambda connection: connection.one(BLOB, {"blob_key": blob_key})) is not None

    async def delete_file(self, file_id: FileId) -> bool:
        """See the port."""
        return await self._writer.write(ChangeRow(DELETE_FILE, {"file_id": file_id})) > 0
