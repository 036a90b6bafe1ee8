"""Models and versions: unique names, the latest version, prefixes, orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId, ModelId
from replicate_server.domain.records import Model, Version
from replicate_server.ports.store import NameTaken, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewModel = Callable[..., Model]
NewVersion = Callable[..., Version]


async def names(store: Store, sort_by: str, *, descending: bool) -> list[str]:
    page = await store.list_models(viewer=AccountId("acct_a"), sort_by=sort_by, descending=descending, cursor=None, limit=50)
    return [model.name for model in page.results]


async def test_every_field_of_a_model_survives_storage(store: Store, new_model: NewModel) -> None:
    model = new_model(
        "hello", visibility="private", hardware="gpu-a40", description="d", github_url="g", paper_url="p",
        license_url="l", cover_image_url="c", readme="r", run_count=3,
    )  # fmt: skip
    await store.create_model(model)
    assert await store.model("ada", "hello") == model
    assert await store.model("ada", "other") is None


async def test_a_second_model_of_the_same_name_is_refused(store: Store, new_model: NewModel) -> None:
    await store.create_model(new_model("hello"))
    with pytest.raises(NameTaken, match="ada/hello"):
        await store.create_model(new_model("hello", id=ModelId("model_other")))
    await store.create_model(new_model("hello", id=ModelId("model_third"), owner="bob", account_id=AccountId("acct_b")))
    assert await store.count_models(AccountId("acct_a")) == 1


async def test_a_published_version_becomes_the_latest(store: Store, new_model: NewModel, new_version: NewVersion) -> None:
    model = new_model("hello")
    await store.create_model(model)
    first, second = new_version("a" * 64, model), new_version("b" * 64, model)
    assert await store.create_version(first)
    assert await store.create_version(second)
    assert await store.version(model.id, second.id) == second
    assert await store.model("ada", "hello") == replace(model, latest_version_id=second.id)


async def test_publishing_a_version_again_makes_it_the_latest_again(
    store: Store, at: At, new_model: NewModel, new_version: NewVersion
) -> None:
    model = new_model("hello")
    await store.create_model(model)
    first, second = new_version("a" * 64, model), new_version("b" * 64, model)
    for version in (first, second):
        await store.create_version(version)
    assert not await store.create_version(replace(first, created_at=at(99)))
    assert await store.model("ada", "hello") == replace(model, latest_version_id=first.id)
    assert await store.version(model.id, first.id) == first


async def test_one_version_may_belong_to_two_models(store: Store, new_model: NewModel, new_version: NewVersion) -> None:
    models = [new_model("one"), new_model("two")]
    for model in models:
        await store.create_model(model)
        assert await store.create_version(new_version("a" * 64, model))
    assert {one.name for one in await store.versions_by_prefix("aaaaaa", model_id=None, limit=9)} == {"one", "two"}


async def test_a_prefix_finds_the_versions_that_begin_with_it_newest_first(
    store: Store, at: At, new_model: NewModel, new_version: NewVersion
) -> None:
    one, two = new_model("one"), new_model("two")
    for model in (one, two):
        await store.create_model(model)
    for number, (digits, model) in enumerate([("abc1", one), ("abcf", one), ("abd0", one), ("abc2", two)]):
        await store.create_version(new_version(digits.ljust(64, "f"), model, created_at=at(number)))
    everywhere = await store.versions_by_prefix("abc", model_id=None, limit=9)
    of_one = await store.versions_by_prefix("abc", model_id=one.id, limit=9)
    assert [version.id[:4] for version in everywhere] == ["abc2", "abcf", "abc1"]
    assert [version.id[:4] for version in of_one] == ["abcf", "abc1"]
    assert len(await store.versions_by_prefix("abc", model_id=None, limit=1)) == 1
    assert await store.versions_by_prefix("abc'%_", model_id=None, limit=9) == []


async def test_models_are_listed_by_their_latest_version_with_those_without_one_last(
    store: Store, at: At, new_model: NewModel, new_version: NewVersion
) -> None:
    for number, name in enumerate(("none", "old", "new", "hidden")):
        model = new_model(name, created_at=at(number), visibility="private" if name == "hidden" else "public")
        await store.create_model(model)
    for name, second in (("new", 20), ("old", 10), ("hidden", 30)):
        await store.create_version(new_version("c" * 64, new_model(name), created_at=at(second)))
    assert await names(store, "latest_version_created_at", descending=True) == ["new", "old", "none"]
    assert await names(store, "latest_version_created_at", descending=False) == ["old", "new", "none"]
    assert await names(store, "model_created_at", descending=True) == ["new", "old", "none"]
    assert await names(store, "model_created_at", descending=False) == ["none", "old", "new"]


@pytest.mark.parametrize("sort_by", ["model_created_at", "latest_version_created_at"])
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_of_models_join_into_the_whole_list(
    store: Store, at: At, new_model: NewModel, new_version: NewVersion, sort_by: str, descending: bool
) -> None:
    for number in range(6):
        await store.create_model(new_model(f"m{number}", created_at=at(number // 2)))
    for number in (1, 2, 4):
        await store.create_version(new_version("c" * 64, new_model(f"m{number}"), created_at=at(number)))
    whole = await names(store, sort_by, descending=descending)
    joined: list[str] = []
    cursor = None
    for _ in range(3):
        page = await store.list_models(viewer=AccountId("acct_a"), sort_by=sort_by, descending=descending, cursor=cursor, limit=2)
        joined += [model.name for model in page.results]
        cursor = page.next_cursor
    assert cursor is None
    assert joined == whole


async def test_runs_are_added(store: Store, new_model: NewModel) -> None:
    models = [new_model("one"), new_model("two", run_count=5)]
    for model in models:
        await store.create_model(model)
    await store.add_runs({models[0].id: 2, models[1].id: 3, ModelId("unknown"): 1})
    await store.add_runs({models[0].id: 2})
    loaded = [await store.model("ada", name) for name in ("one", "two")]
    assert [model.run_count for model in loaded if model] == [4, 8]
