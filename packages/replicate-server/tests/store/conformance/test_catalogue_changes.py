"""Changes of models, removals, examples, collections, deployments and search, on every adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from replicate_server.domain.catalogue import Collection, Deployment, DeploymentRelease
from replicate_server.domain.ids import AccountId, ModelId, VersionId
from replicate_server.domain.records import Account, Model, Prediction, Version
from replicate_server.ports.catalogue import RecordInUse
from replicate_server.ports.store import NameTaken, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewModel = Callable[..., Model]
NewVersion = Callable[..., Version]
Claimed = Callable[..., Awaitable[Prediction]]
ADA = AccountId("acct_a")


async def test_changes_of_a_model_are_kept_and_the_rest_stays(store: Store, new_model: NewModel) -> None:
    model = new_model("hello", description="d", run_count=3)
    await store.create_model(model)
    changes: dict[str, Any] = {
        "readme": "r",
        "weights_url": "w",
        "is_official": True,
        "description": None,
        "default_example_id": "p",
    }
    changed = await store.update_model(model.id, changes)
    assert changed == replace(model, **changes)
    assert await store.model("ada", "hello") == changed
    assert await store.update_model(ModelId("none"), {}) is None


async def test_a_model_with_versions_is_not_removed(store: Store, new_model: NewModel, new_version: NewVersion) -> None:
    model = new_model("hello")
    await store.create_model(model)
    version = new_version("a" * 64, model)
    await store.create_version(version)
    with pytest.raises(RecordInUse, match="versions"):
        await store.delete_model(model.id)
    assert await store.delete_version(model.id, version.id)
    assert not await store.delete_version(model.id, version.id)
    assert await store.delete_model(model.id)
    assert await store.model("ada", "hello") is None
    assert not await store.delete_model(model.id)


async def test_a_version_with_a_running_prediction_is_not_removed(
    store: Store, new_model: NewModel, new_version: NewVersion, claimed: Claimed
) -> None:
    model = new_model("hello", id=ModelId("model_m"))
    await store.create_model(model)
    await store.create_version(new_version("v1", model))
    await claimed()
    with pytest.raises(RecordInUse, match="queued or running"):
        await store.delete_version(model.id, VersionId("v1"))


async def test_a_removed_version_leaves_the_same_version_of_another_model(
    store: Store, new_model: NewModel, new_version: NewVersion
) -> None:
    models = [new_model("one"), new_model("two")]
    manifest = b'{"config": {"digest": "sha256:cc"}, "layers": [{"digest": "sha256:aa"}]}'
    for model in models:
        await store.create_model(model)
        await store.create_version(new_version("a" * 64, model, manifest=manifest))
    await store.delete_version(models[0].id, VersionId("a" * 64))
    digests = ["a" * 64, "aa", "cc", "dd"]
    assert await store.referenced_content(digests) == {"a" * 64, "aa", "cc"}
    await store.delete_version(models[1].id, VersionId("a" * 64))
    assert await store.referenced_content(digests) == set()


async def test_a_removed_example_is_no_default_any_more(store: Store, at: At, new_model: NewModel, claimed: Claimed) -> None:
    model = new_model("hello")
    await store.create_model(model)
    prediction = await claimed()
    for _ in range(2):
        await store.add_example(model.id, prediction.id, at=at(1))
    await store.update_model(model.id, {"default_example_id": prediction.id})
    page = await store.list_examples(model.id, cursor=None, limit=9)
    assert [example.id for example in page.results] == [prediction.id]
    assert await store.remove_example(model.id, prediction.id)
    assert not await store.remove_example(model.id, prediction.id)
    assert await store.model("ada", "hello") == model


async def test_a_collection_lists_what_the_viewer_may_see_in_the_order_of_adding(
    store: Store, at: At, new_model: NewModel
) -> None:
    await store.create_collection(Collection("c", "C", "d", at(0), "full"))
    with pytest.raises(NameTaken):
        await store.create_collection(Collection("c", "Again", "d", at(0)))
    for number, (name, visibility) in enumerate((("late", "public"), ("hidden", "private"), ("first", "public"))):
        model = new_model(name, visibility=visibility)
        await store.create_model(model)
        await store.add_to_collection("c", model.id, at=at(9 - number))
    assert await store.collection("c") == Collection("c", "C", "d", at(0), "full")
    for viewer, expected in (("acct_a", ["first", "hidden", "late"]), ("acct_b", ["first", "late"])):
        models = await store.collection_models("c", viewer=AccountId(viewer), limit=9)
        assert [model.name for model in models] == expected
    assert await store.remove_from_collection("c", ModelId("model_first"))
    assert not await store.remove_from_collection("c", ModelId("model_first"))
    assert [found.slug for found in (await store.list_collections(cursor=None, limit=9)).results] == ["c"]


async def new_deployment(store: Store, at: At) -> Deployment:
    """A stored deployment with its first release."""
    account = Account(ADA, "ada", "Ada", "user", at(0))
    await store.create_account(account)
    release = DeploymentRelease(1, ModelId("model_m"), "ada/hello", VersionId("v1"), "cpu", 0, 1, at(1), account)
    deployment = Deployment("deployment_1", ADA, "ada", "prod", at(1), release)
    await store.create_deployment(deployment)
    return deployment


async def test_a_release_follows_the_current_one_or_is_refused(store: Store, at: At) -> None:
    deployment = await new_deployment(store, at)
    with pytest.raises(NameTaken, match="ada/prod"):
        await store.create_deployment(replace(deployment, id="deployment_2"))
    second = replace(deployment.release, number=2, hardware="gpu-t4", created_at=at(2))
    assert await store.release_deployment(deployment.id, second)
    assert not await store.release_deployment(deployment.id, second)
    assert await store.deployment("ada", "prod") == replace(deployment, release=second)
    assert (await store.list_deployments(ADA, cursor=None, limit=9)).results == (replace(deployment, release=second),)


async def test_a_deployment_in_use_is_not_removed(store: Store, at: At, claimed: Claimed) -> None:
    deployment = await new_deployment(store, at)
    await claimed(deployment="ada/prod")
    with pytest.raises(RecordInUse, match="running"):
        await store.delete_deployment(deployment, unused_since=at(99))


async def test_an_unused_deployment_is_removed_and_its_name_is_free(store: Store, at: At) -> None:
    deployment = await new_deployment(store, at)
    assert await store.delete_deployment(deployment, unused_since=at(99))
    assert not await store.delete_deployment(deployment, unused_since=at(99))
    await store.create_deployment(deployment)
    assert await store.deployment("ada", "prod") == deployment


async def test_a_search_ranks_names_over_readmes_and_hides_private_models(store: Store, new_model: NewModel) -> None:
    await store.create_model(new_model("about", readme="a zebra is an animal " * 3))
    await store.create_model(new_model("zebra-maker"))
    await store.create_model(new_model("zebra-secret", visibility="private"))
    for viewer, expected in (("acct_b", ["zebra-maker", "about"]), ("acct_a", ["zebra-maker", "zebra-secret", "about"])):
        found = await store.search_models(["zeb"], viewer=AccountId(viewer), limit=9)
        assert [item.model.name for item in found] == expected
        assert sorted((item.score for item in found), reverse=True) == [item.score for item in found]
