"""Uploaded files and output downloads: facts in the store, bytes in the blobs. Does not know HTTP or multipart."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from replicate_server.domain.errors import FieldError, InvalidInput, InvalidRequest, NotFound, TooLarge
from replicate_server.domain.file_names import NAME_BYTES_MAX, safe_file_name
from replicate_server.domain.ids import FileId, build_file_id, build_secret_text
from replicate_server.domain.media_types import DEFAULT
from replicate_server.domain.records import Account, Page, StoredFile
from replicate_server.ports.blobs import BlobStore, BlobTooLarge
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.store import AccountStore, CursorInvalid, FileStore

PAGE_SIZE = 100
CONTENT_TYPE_LENGTH_MAX = 255

_FILE_ID = re.compile(r"[A-Za-z0-9+/=]{48}")
_NOT_FOUND = "File not found"
_SIGNING_SECRET = "files-signing"  # noqa: S105 - the name of a stored secret, not its value


class FilesStore(FileStore, AccountStore, Protocol):
    """What this module needs of the store."""


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """What a client said about an upload."""

    name: str
    content_type: str
    metadata: Mapping[str, Any]


class Upload(Protocol):
    """An upload being received. The facts are complete only when the content has been read to its end."""

    def content(self) -> AsyncIterator[bytes]:
        """The file's bytes. To be read once."""
        ...

    def facts(self) -> UploadFacts:
        """What was said about them.

        Raises:
            InvalidRequest: If there was no content, or a field cannot be read.
        """
        ...


class FileService:
    """Use cases around files."""

    def __init__(
        self,
        store: FilesStore,
        blobs: BlobStore,
        clock: Clock,
        randomness: Randomness,
        *,
        size_bytes_max: int,
        expiry_seconds: float,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._randomness = randomness
        self._size_bytes_max = size_bytes_max
        self._expiry = timedelta(seconds=expiry_seconds)

    async def create(self, account: Account, upload: Upload) -> StoredFile:
        """Keep an upload.

        The bytes are stored first and the record after them: a crash in between leaves an unnamed blob, never a file without
        bytes.

        Raises:
            TooLarge: If the content exceeds the limit; reading stops there.
            InvalidRequest: If the request is not a whole upload.
            InvalidInput: If a name or type is too long.
        """
        key = f"files/{self._randomness(16).hex()}"
        try:
            written = await self._blobs.write(key, upload.content(), size_bytes_max=self._size_bytes_max)
        except BlobTooLarge as error:
            raise TooLarge(f"Files must be under {_in_words(self._size_bytes_max)}") from error
        try:
            facts = _checked(upload.facts())
        except (InvalidRequest, InvalidInput):
            await self._blobs.delete(key)
            raise
        now = self._clock.now()
        file = StoredFile(
            id=build_file_id(self._randomness(16)),
            account_id=account.id,
            name=facts.name,
            content_type=facts.content_type,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            md5=written.md5,
            blob_key=key,
            created_at=now,
            expires_at=now + self._expiry,
            metadata=facts.metadata,
        )
        await self._store.create_file(file)
        return file

    async def get(self, account: Account, file_id: str) -> StoredFile:
        """Load one of the caller's uploads.

        Raises:
            NotFound: If there is none, it has expired, or it is another account's.
        """
        file = await self._upload(file_id)
        if file.account_id != account.id:
            raise NotFound(_NOT_FOUND)
        return file

    async def list(self, account: Account, *, cursor: str | None) -> Page[StoredFile]:
        """One page of the caller's uploads, newest first.

        Raises:
            InvalidRequest: If the cursor is unknown.
        """
        try:
            page = await self._store.list_files(account.id, cursor=cursor, limit=PAGE_SIZE)
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error
        kept = [file for file in page.results if not self._is_expired(file)]
        return Page(kept, page.next_cursor, page.previous_cursor)

    async def delete(self, account: Account, file_id: str) -> None:
        """Forget one of the caller's uploads, then remove its bytes.

        Raises:
            NotFound: As for `get`.
        """
        file = await self.get(account, file_id)
        await self._store.delete_file(file.id)
        await self._blobs.delete(file.blob_key)

    async def sign_download(self, account: Account, file: StoredFile, *, expires_at: datetime) -> dict[str, str]:
        """The query parameters that let anybody download a file until a moment."""
        expiry = int(expires_at.timestamp())
        signature = await self._signature(account.username, file.id, expiry)
        return {"owner": account.username, "expiry": str(expiry), "signature": signature}

    async def signed(self, file_id: str, *, owner: str, expiry: str, signature: str) -> StoredFile:
        """The upload that a signed download link names.

        Raises:
            NotFound: If the signature is wrong, the link or the file has expired, or there is no such file.
        """
        is_number = expiry.isascii() and expiry.isdecimal() and len(expiry) <= 12
        expected = await self._signature(owner, file_id, int(expiry)) if is_number else ""
        # Some clients do not percent-encode the plus signs of base64; query parsing turns those into spaces.
        given = signature.replace(" ", "+")
        if not expected or not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise NotFound(_NOT_FOUND)
        if datetime.fromtimestamp(int(expiry), UTC) <= self._clock.now():
            raise NotFound(_NOT_FOUND)
        file = await self._upload(file_id)
        account = await self._store.account(file.account_id)
        if account is None or account.username != owner:
            raise NotFound(_NOT_FOUND)
        return file

    async def delivered(self, delivery_token: str, name: str) -> StoredFile:
        """The output file at a delivery URL.

        Raises:
            NotFound: If the URL names none.
        """
        file = await self._store.file_by_delivery(delivery_token)
        if file is None or file.name != name or self._is_expired(file):
            raise NotFound(_NOT_FOUND)
        return file

    def read(self, file: StoredFile, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream a file's bytes from ``start`` (inclusive) to ``end`` (exclusive)."""
        return self._blobs.read(file.blob_key, start=start, end=end)

    async def _upload(self, file_id: str) -> StoredFile:
        file = await self._store.file(FileId(file_id)) if _FILE_ID.fullmatch(file_id) else None
        if file is None or file.delivery_token is not None or self._is_expired(file):
            raise NotFound(_NOT_FOUND)
        return file

    def _is_expired(self, file: StoredFile) -> bool:
        return file.expires_at is not None and file.expires_at <= self._clock.now()

    async def _signature(self, owner: str, file_id: str, expiry: int) -> str:
        secret = await self._store.server_secret(_SIGNING_SECRET, if_missing=build_secret_text(self._randomness(32)))
        message = f"{owner} {file_id} {expiry}".encode("utf-8", "replace")
        return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def _checked(facts: UploadFacts) -> UploadFacts:
    """The facts as they may be stored."""
    if len(facts.name.encode("utf-8", "replace")) > NAME_BYTES_MAX:
        description = f"Must be at most {NAME_BYTES_MAX} bytes long"
        raise InvalidInput([FieldError("string_lte", "filename", description)])
    content_type = facts.content_type.strip() or DEFAULT
    is_header_safe = content_type.isascii() and content_type.isprintable() and "/" in content_type
    if len(content_type) > CONTENT_TYPE_LENGTH_MAX or not is_header_safe:
        raise InvalidInput([FieldError("format", "type", "Not a valid media type")])
    return UploadFacts(safe_file_name(facts.name), content_type, facts.metadata)


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes // 1024**2}MB" if size_bytes >= 1024**2 else f"{size_bytes} bytes"
