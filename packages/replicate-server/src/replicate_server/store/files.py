"""The file store: facts about uploads and outputs. Their bytes are in the blob port."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from replicate_server.domain.ids import AccountId, FileId
from replicate_server.domain.records import Page, StoredFile
from replicate_server.store.accounts import ChangeRow
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.prediction_rows import build_file, file_parameters, select_all
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Statement
from replicate_server.store.tables import files
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

    async def delete_file(self, file_id: FileId) -> bool:
        """See the port."""
        return await self._writer.write(ChangeRow(DELETE_FILE, {"file_id": file_id})) > 0
