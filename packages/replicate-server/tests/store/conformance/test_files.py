"""What the sweeping of files asks of a store: which uploads expired, which are still needed, which bytes have a name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId, FileId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction, StoredFile
from replicate_server.ports.store import ClaimRef, Outcome, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewFile = Callable[..., StoredFile]
NewPrediction = Callable[..., Prediction]
Claimed = Callable[..., Awaitable[Prediction]]
URL = {"image": "http://server/v1/files/needed"}


@pytest.fixture
def new_file(at: At) -> NewFile:
    def build(file_id: str, **changes: object) -> StoredFile:
        plain = StoredFile(FileId(file_id), AccountId("acct_a"), "n", "t", 1, "s", "m", f"files/{file_id}", at(0), at(50), {})
        return replace(plain, **changes)  # type: ignore[arg-type]

    return build


async def test_expired_uploads_come_longest_expired_first_and_page_by_page(store: Store, at: At, new_file: NewFile) -> None:
    expired = [new_file(f"f{number}", expires_at=at(number // 2)) for number in range(5)]
    others = [new_file("young", expires_at=at(99)), new_file("for ever", expires_at=None)]
    output = new_file("output", expires_at=at(1), prediction_id="p", delivery_token="d")
    for one in (*reversed(expired), *others, output):
        await store.create_file(one)
    first = await store.expired_uploads(at(60), after=None, limit=3)
    assert [*first, *await store.expired_uploads(at(60), after=first[-1], limit=3)] == expired


async def test_a_file_is_needed_while_a_prediction_that_names_it_is_queued_or_runs(
    store: Store, claimed: Claimed, new_prediction: NewPrediction, at: At
) -> None:
    await store.create_prediction(new_prediction(version_id=VersionId("v2"), input={"image": "http://server/v1/files/queued"}))
    running = await claimed(input=URL)
    assert await store.is_file_needed(FileId("queued"))
    assert await store.is_file_needed(FileId("needed"))
    assert running.claim is not None
    ref = ClaimRef(running.id, running.claim.token)
    await store.finish_prediction(ref, Outcome(Status.SUCCEEDED, at(9), started_at=at(8), output=1))
    assert not await store.is_file_needed(FileId("needed"))


async def test_bytes_have_a_name_as_long_as_their_file_is_known(store: Store, new_file: NewFile) -> None:
    await store.create_file(new_file("a"))
    assert await store.has_blob("files/a")
    await store.delete_file(FileId("a"))
    assert not await store.has_blob("files/a")
