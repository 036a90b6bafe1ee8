"""What a model's owner may change and remove, and what everybody sees of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction, WebhookSubscription

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
OTHER = "r8_second_account_of_the_tests"
ECHO = "/v1/models/alice/echo"
SECRET = {"owner": "alice", "name": "secret", "visibility": "private", "hardware": "cpu"}


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def store_prediction(world: Any, number: int = 0, **changes: Any) -> Prediction:
    """A prediction in the store that has succeeded."""
    values = {"status": Status.SUCCEEDED, "started_at": world.clock.now(), "completed_at": world.clock.now(), "output": "hi"}
    prediction: Prediction = world.prediction(**{"id": f"prediction{number}", **values, **changes})
    await world.store.create_prediction(prediction)
    return prediction


async def test_a_patch_changes_what_it_names_and_nothing_else(call: Call) -> None:
    first = {"description": "says it again", "readme": "# Echo", "github_url": "https://example.com/echo"}
    await call("PATCH", ECHO, json=first)
    answer = await call("PATCH", ECHO, json={"github_url": None, "weights_url": "https://example.com/w"})
    assert answer.status_code == 200
    assert (answer.json()["description"], answer.json()["github_url"]) == ("says it again", None)
    assert answer.json()["latest_version"]["id"] == "a" * 64
    assert (await call("GET", ECHO)).json() == answer.json()


async def test_every_bad_field_of_a_patch_is_reported_and_nothing_changed(call: Call) -> None:
    answer = await call("PATCH", ECHO, json={"name": "other", "paper_url": "no", "readme": 3, "description": "new"})
    assert answer.status_code == 400
    assert {item["pointer"] for item in answer.json()["errors"]} == {"/name", "/paper_url", "/readme"}
    assert (await call("GET", ECHO)).json()["description"] is None


@pytest.mark.parametrize(("method", "path"), [("PATCH", ECHO), ("DELETE", ECHO), ("DELETE", f"{ECHO}/versions/{'a' * 64}")])
async def test_a_public_model_of_somebody_else_may_be_seen_but_not_changed(call: Call, method: str, path: str) -> None:
    answer = await call(method, path, token=OTHER, json={})
    assert answer.status_code == 403


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("GET", "/readme"), ("GET", "/examples")])
async def test_a_private_model_of_somebody_else_is_not_found(call: Call, method: str, path: str) -> None:
    await call("POST", "/v1/models", json=SECRET)
    answer = await call(method, f"/v1/models/alice/secret{path}", token=OTHER, json={})
    assert answer.status_code == 404


async def test_the_readme_is_plain_text_and_not_found_before_there_is_one(call: Call) -> None:
    assert (await call("GET", f"{ECHO}/readme")).status_code == 404
    await call("PATCH", ECHO, json={"readme": "# Écho"})
    answer = await call("GET", f"{ECHO}/readme")
    assert (answer.text, answer.headers["content-type"]) == ("# Écho", "text/plain; charset=utf-8")


async def test_a_private_model_without_versions_can_be_deleted_and_its_name_used_again(call: Call) -> None:
    await call("POST", "/v1/models", json=SECRET)
    answer = await call("DELETE", "/v1/models/alice/secret")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await call("GET", "/v1/models/alice/secret")).status_code == 404
    assert (await call("POST", "/v1/models", json=SECRET)).status_code == 201


async def test_a_model_that_is_public_or_has_versions_is_kept_and_the_reason_said(call: Call, world: Any) -> None:
    public = await call("DELETE", ECHO)
    assert (public.status_code, public.json()["detail"]) == (409, "The model cannot be deleted: only private models can.")
    await call("POST", "/v1/models", json=SECRET)
    await world.publish("c", await world.services.models.get(world.account, "alice", "secret"))
    used = await call("DELETE", "/v1/models/alice/secret")
    assert used.status_code == 409
    assert used.json()["errors"][0]["detail"].endswith("It has versions; delete them first.")


async def test_an_owner_chooses_the_example_that_everybody_sees(call: Call, world: Any) -> None:
    hook = WebhookSubscription("https://example.com/secret-hook", frozenset({"completed"}))
    prediction = await store_prediction(world, webhook=hook)
    assert (await call("PATCH", ECHO, json={"default_example": prediction.id})).status_code == 200
    shown = (await call("GET", ECHO, token=OTHER)).json()["default_example"]
    assert (shown["id"], shown["output"]) == (prediction.id, "hi")
    assert "webhook" not in shown
    listed = (await call("GET", f"{ECHO}/examples", token=OTHER)).json()
    assert [item["id"] for item in listed["results"]] == [prediction.id]
    assert (await call("PATCH", ECHO, json={"default_example": None})).json()["default_example"] is None


async def test_examples_are_added_listed_newest_first_and_removed(call: Call, world: Any) -> None:
    for number in range(2):
        world.clock.advance(seconds=1)
        prediction = await store_prediction(world, number)
        assert (await call("POST", f"{ECHO}/examples", json={"prediction": prediction.id})).status_code == 201
    page = (await call("GET", f"{ECHO}/examples")).json()
    assert [item["id"] for item in page["results"]] == ["prediction1", "prediction0"]
    assert (await call("DELETE", f"{ECHO}/examples/prediction1")).status_code == 204
    assert (await call("DELETE", f"{ECHO}/examples/prediction1")).status_code == 404
    assert [item["id"] for item in (await call("GET", f"{ECHO}/examples")).json()["results"]] == ["prediction0"]


@pytest.mark.parametrize(
    "changes", [{"status": Status.FAILED}, {"account_id": "acct_other"}, {"model_id": "model_other"}, {"data_removed": True}]
)
async def test_only_the_owners_succeeded_predictions_of_the_model_become_examples(
    call: Call, world: Any, changes: dict[str, Any]
) -> None:
    prediction = await store_prediction(world, **changes)
    for method, path, name in (("PATCH", ECHO, "default_example"), ("POST", f"{ECHO}/examples", "prediction")):
        answer = await call(method, path, json={name: prediction.id})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{name}")


async def test_a_deleted_version_is_gone_with_the_content_that_no_other_version_needs(call: Call, world: Any) -> None:
    shared, own = "1" * 64, "2" * 64
    for digest in (shared, own, "b" * 64):
        await world.blobs.write(f"oci/{digest}", once(b"x"), size_bytes_max=9)
    for digit, layers in (("b", (shared, own)), ("c", (shared,))):
        manifest = {"layers": [{"digest": f"sha256:{layer}"} for layer in layers]}
        await world.publish_content(digit, manifest, layers)
    assert (await call("GET", ECHO)).json()["latest_version"]["id"] == "c" * 64
    answer = await call("DELETE", f"{ECHO}/versions/{'b' * 64}")
    assert (answer.status_code, answer.content) == (202, b"")
    sizes = [await world.blobs.size_bytes(f"oci/{digest}") for digest in (shared, own, "b" * 64)]
    assert sizes == [1, None, None]
    assert world.packages.discarded == ["b" * 64]
    assert (await call("GET", f"{ECHO}/versions/{'b' * 64}")).status_code == 404
    assert (await call("POST", "/v1/predictions", json={"version": "b" * 64, "input": {"prompt": ""}})).status_code == 422


async def test_deleting_the_latest_version_makes_the_newest_other_one_the_latest(call: Call, world: Any) -> None:
    world.clock.advance(seconds=1)
    await world.publish("b")
    assert (await call("DELETE", f"{ECHO}/versions/{'b' * 64}")).status_code == 202
    assert (await call("GET", ECHO)).json()["latest_version"]["id"] == "a" * 64
    assert (await call("DELETE", f"{ECHO}/versions/{'a' * 64}")).status_code == 202
    assert (await call("GET", ECHO)).json()["latest_version"] is None


async def test_a_version_with_a_queued_prediction_is_kept(call: Call, world: Any) -> None:
    await world.store.create_prediction(world.prediction())
    answer = await call("DELETE", f"{ECHO}/versions/{'a' * 64}")
    assert answer.status_code == 409
    assert "queued or running" in answer.json()["detail"]
    assert (await call("GET", f"{ECHO}/versions/{'a' * 64}")).status_code == 200


async def test_a_version_that_runs_unstored_predictions_is_kept(call: Call, world: Any) -> None:
    world.packages.running.add("a" * 64)
    assert (await call("DELETE", f"{ECHO}/versions/{'a' * 64}")).status_code == 409


async def test_an_abbreviated_id_deletes_nothing(call: Call) -> None:
    assert (await call("DELETE", f"{ECHO}/versions/aaaaaaaa")).status_code == 404


async def test_an_official_model_does_not_list_its_versions(call: Call, world: Any) -> None:
    await world.store.update_model(world.model.id, {"is_official": True})
    answer = await call("GET", f"{ECHO}/versions")
    assert answer.json() == {
        "title": "Not found",
        "detail": "This model is an official model and does not expose a list of versions.",
        "status": 404,
    }
    assert (await call("GET", ECHO)).json()["is_official"] is True


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/models", "GET, POST, QUERY, HEAD, OPTIONS"),
        ("/v1/files", "GET, POST, HEAD, OPTIONS"),
        ("/v1/account", "GET, HEAD, OPTIONS"),
    ],
)
async def test_answers_about_records_name_the_methods_of_their_path(call: Call, path: str, allowed: str) -> None:
    assert (await call("GET", path)).headers["allow"] == allowed
    options = await call("OPTIONS", path, token=None)
    assert (options.status_code, options.headers["allow"]) == (204, allowed)


async def test_answers_about_predictions_do_not_name_methods(call: Call) -> None:
    assert "allow" not in (await call("GET", "/v1/predictions")).headers


async def test_a_changed_readme_survives_beside_run_counts(call: Call, world: Any) -> None:
    await call("PATCH", ECHO, json={"readme": "r"})
    await world.store.add_runs({world.model.id: 2})
    loaded = await world.store.model("alice", "echo")
    assert loaded == replace(world.model, readme="r", run_count=2, latest_version_id="a" * 64)
