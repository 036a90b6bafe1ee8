"""Pages: keyset-ordered, stable while rows are added, the same cost at any depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId, FileId, ModelId, PredictionId, VersionId
from replicate_server.domain.records import Model, Prediction, StoredFile, Version
from replicate_server.ports.store import CursorInvalid, PredictionFilter, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]
NewModel = Callable[..., Model]
NewVersion = Callable[..., Version]

MINE = PredictionFilter(AccountId("acct_a"))


async def create(store: Store, predictions: list[Prediction]) -> list[PredictionId]:
    for prediction in predictions:
        await store.create_prediction(prediction)
    return [prediction.id for prediction in sorted(predictions, key=lambda one: (one.created_at, one.id), reverse=True)]


async def walk(store: Store, filters: PredictionFilter, limit: int) -> list[PredictionId]:
    ids: list[PredictionId] = []
    cursor: str | None = None
    for _ in range(100):
        page = await store.list_predictions(filters, cursor=cursor, limit=limit)
        ids += [prediction.id for prediction in page.results]
        cursor = page.next_cursor
        if cursor is None:
            return ids
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_walking_forwards_gives_every_prediction_once_newest_first(
    store: Store, new_prediction: NewPrediction, limit: int
) -> None:
    newest_first = await create(store, [new_prediction() for _ in range(7)])
    assert await walk(store, MINE, limit) == newest_first


async def test_predictions_of_the_same_moment_are_neither_repeated_nor_lost(
    store: Store, at: At, new_prediction: NewPrediction
) -> None:
    newest_first = await create(store, [new_prediction(created_at=at(5)) for _ in range(9)])
    assert await walk(store, MINE, 2) == newest_first


async def test_walking_back_gives_the_same_pages(store: Store, new_prediction: NewPrediction) -> None:
    await create(store, [new_prediction() for _ in range(7)])
    first = await store.list_predictions(MINE, cursor=None, limit=3)
    second = await store.list_predictions(MINE, cursor=first.next_cursor, limit=3)
    back = await store.list_predictions(MINE, cursor=second.previous_cursor, limit=3)
    again = await store.list_predictions(MINE, cursor=back.next_cursor, limit=3)
    assert first.previous_cursor is None
    assert (back.results, back.previous_cursor) == (first.results, None)
    assert again.results == second.results


async def test_new_predictions_do_not_move_a_page_that_was_begun(store: Store, new_prediction: NewPrediction) -> None:
    newest_first = await create(store, [new_prediction() for _ in range(6)])
    first = await store.list_predictions(MINE, cursor=None, limit=3)
    [newer] = await create(store, [new_prediction()])
    second = await store.list_predictions(MINE, cursor=first.next_cursor, limit=3)
    back = await store.list_predictions(MINE, cursor=first.next_cursor, limit=1)
    newest = await store.list_predictions(MINE, cursor=back.previous_cursor, limit=9)
    assert [prediction.id for prediction in second.results] == newest_first[3:]
    assert [prediction.id for prediction in newest.results] == [newer, *newest_first[:3]]


async def test_a_list_shows_only_its_account_source_and_times(store: Store, at: At, new_prediction: NewPrediction) -> None:
    await store.create_prediction(new_prediction(account_id=AccountId("acct_b")))
    api = await create(store, [new_prediction(created_at=at(second)) for second in (10, 11, 12, 13)])
    web = await create(store, [new_prediction(created_at=at(second), source="web") for second in (10, 11)])
    other = await create(store, [new_prediction(created_at=at(10), source="cli")])
    assert await walk(store, replace(MINE, source="api"), 3) == api
    assert await walk(store, replace(MINE, source="web"), 1) == web
    assert await walk(store, replace(MINE, source="cli"), 1) == other
    window = replace(MINE, source="api", created_after=at(11), created_before=at(13))
    assert await walk(store, window, 1) == api[1:3]
    assert await walk(store, PredictionFilter(AccountId("acct_none")), 3) == []


@pytest.mark.parametrize("cursor", ["", "x", "!!", "bnVsbA", "W10", "WyJmaWxlcyIsdHJ1ZSwxLCJhIl0", "W" * 2000, "é"])
async def test_a_cursor_that_was_never_given_out_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await store.list_predictions(MINE, cursor=cursor, limit=3)
    with pytest.raises(CursorInvalid):
        await store.list_versions(ModelId("m"), cursor=cursor, limit=3)


async def test_a_cursor_of_another_order_is_refused(store: Store, new_model: NewModel) -> None:
    for name in ("a", "b"):
        await store.create_model(new_model(name))
    viewer = AccountId("acct_a")
    page = await store.list_models(viewer=viewer, sort_by="model_created_at", descending=True, cursor=None, limit=1)
    with pytest.raises(CursorInvalid):
        await store.list_models(viewer=viewer, sort_by="model_created_at", descending=False, cursor=page.next_cursor, limit=1)


async def test_uploads_are_listed_newest_first_without_outputs(store: Store, at: At) -> None:
    def file(number: int, **changes: object) -> StoredFile:
        plain = StoredFile(
            FileId(f"f{number}"), AccountId("acct_a"), "n", "t", 1, "s", "m", f"k{number}", at(number), at(99), {"a": [1]}
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    uploads = [file(number) for number in range(5)]
    for one in (*uploads, file(7, prediction_id="p", delivery_token="d"), file(8, account_id="acct_b")):
        await store.create_file(one)
    first = await store.list_files(AccountId("acct_a"), cursor=None, limit=3)
    second = await store.list_files(AccountId("acct_a"), cursor=first.next_cursor, limit=3)
    assert [*first.results, *second.results] == uploads[::-1]
    assert second.next_cursor is None


async def test_versions_are_listed_newest_first(store: Store, at: At, new_model: NewModel, new_version: NewVersion) -> None:
    model = new_model("hello")
    await store.create_model(model)
    versions = [new_version(f"{number:064x}", model, created_at=at(number)) for number in range(5)]
    for version in versions:
        await store.create_version(version)
    first = await store.list_versions(model.id, cursor=None, limit=4)
    second = await store.list_versions(model.id, cursor=first.next_cursor, limit=4)
    assert [*first.results, *second.results] == versions[::-1]
    assert await store.list_versions(ModelId("model_none"), cursor=None, limit=4) == replace(
        second, results=(), previous_cursor=None
    )
    assert await store.version(model.id, VersionId("none")) is None
