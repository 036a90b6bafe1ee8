"""Search in the three encodings of clients, its ranking, and what is never found; collections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from replicate_server.domain.errors import Conflict, InvalidRequest, NotFound

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
OTHER = "r8_second_account_of_the_tests"
MODELS = (
    ("llama-3", "public", "a language model"),
    ("sdxl", "public", "Draws pictures from text"),
    ("picture-frame", "public", "Puts a frame around"),
    ("secret-llama", "private", "hidden"),
)


@pytest.fixture(autouse=True)
async def shelf(call: Call, world: Any) -> None:
    for name, visibility, description in MODELS:
        fields = {"owner": "alice", "name": name, "visibility": visibility, "hardware": "cpu", "description": description}
        assert (await call("POST", "/v1/models", json=fields)).status_code == 201


async def query(call: Call, text: str, **options: Any) -> list[str]:
    page = (await call("QUERY", "/v1/models", content=text.encode(), **options)).json()
    return [model["name"] for model in page["results"]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("llama 3", "text/plain"), ('"llama 3"', "text/plain"), ('"llama 3"', "application/json"), ("llama 3", None)],
)
async def test_a_search_is_understood_in_every_encoding(call: Call, body: str, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await call("QUERY", "/v1/models", content=body.encode(), headers=headers)
    assert answer.status_code == 200
    assert (answer.json()["next"], answer.json()["previous"]) == (None, None)
    assert [model["name"] for model in answer.json()["results"]] == ["llama-3"]


async def test_a_word_in_the_name_counts_more_than_one_in_the_description(call: Call) -> None:
    assert await query(call, "picture") == ["picture-frame", "sdxl"]


@pytest.mark.parametrize(("text", "found"), [("LLAM", ["llama-3"]), ("alice sdxl", ["sdxl"]), ("éxt drâws", ["sdxl"])])
async def test_prefixes_owners_case_and_accents(call: Call, text: str, found: list[str]) -> None:
    assert await query(call, text, token=OTHER) == found


async def test_when_nothing_has_every_word_models_with_some_of_them_are_found(call: Call) -> None:
    assert await query(call, "sdxl nonsense") == ["sdxl"]
    assert await query(call, "nonsense") == []


@pytest.mark.parametrize("text", ['"', "AND OR NOT", 'name:x" OR *', "(", "-", "\x00", "*", "a" * 5000, " ".join("ab" * 500)])
async def test_no_text_is_an_error(call: Call, text: str) -> None:
    assert (await call("QUERY", "/v1/models", content=text.encode())).status_code == 200
    assert (await call("GET", "/v1/search", params={"query": text})).status_code == 200


async def test_a_search_without_words_answers_the_list_of_models(call: Call) -> None:
    assert len(await query(call, "")) == 4


async def test_a_text_that_is_not_utf_8_is_refused(call: Call) -> None:
    assert (await call("QUERY", "/v1/models", content=b"\xff")).status_code == 400


async def test_private_models_are_found_by_their_owner_only(call: Call) -> None:
    assert set(await query(call, "llama")) == {"llama-3", "secret-llama"}
    assert await query(call, "llama", token=OTHER) == ["llama-3"]
    assert await query(call, "hidden", token=OTHER) == []


async def test_the_index_follows_changes_and_removals(call: Call) -> None:
    await call("PATCH", "/v1/models/alice/secret-llama", json={"readme": "about zebras"})
    assert await query(call, "zebra") == ["secret-llama"]
    await call("PATCH", "/v1/models/alice/secret-llama", json={"readme": None})
    assert await query(call, "zebra") == []
    await call("DELETE", "/v1/models/alice/secret-llama")
    assert await query(call, "hidden") == []


async def test_equal_matches_are_ordered_by_their_runs(call: Call, world: Any) -> None:
    for name in ("one", "two"):
        fields = {"owner": "alice", "name": name, "visibility": "public", "hardware": "cpu", "description": "twins"}
        await call("POST", "/v1/models", json=fields)
    second = await world.services.models.get(world.account, "alice", "two")
    await world.store.add_runs({second.id: 5})
    assert await query(call, "twins") == ["two", "one"]


async def test_a_search_answers_models_and_collections(call: Call, world: Any) -> None:
    collections = world.services.catalogue.collections
    await collections.create("pictures", name="Pictures", description="Make them")
    for model in ("alice/sdxl", "alice/secret-llama"):
        await collections.add("pictures", model)
    answer = (await call("GET", "/v1/search", params={"query": "pictures", "limit": 1}, token=OTHER)).json()
    assert list(answer) == ["query", "models", "collections", "pages"]
    assert (answer["query"], answer["pages"]) == ("pictures", [])
    (found,) = answer["models"]
    assert found["model"]["name"] == "sdxl"
    assert (found["metadata"]["generated_description"], found["metadata"]["tags"]) == (None, [])
    assert found["metadata"]["score"] > 0
    shown = {"name": "Pictures", "slug": "pictures", "description": "Make them", "models": ["alice/sdxl"]}
    assert answer["collections"] == [shown]


@pytest.mark.parametrize(
    "parameters", [{}, {"query": " "}, {"query": "x", "limit": "0"}, {"query": "x", "limit": "51"}, {"query": "x", "limit": "²"}]
)
async def test_a_bad_search_is_refused_in_plain_json(call: Call, parameters: dict[str, str]) -> None:
    answer = await call("GET", "/v1/search", params=parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert list(answer.json()) == ["detail"]


async def test_the_verb_query_passes_a_real_server(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        headers = {"Authorization": "Bearer r8_first_account_of_the_tests"}
        answer = await client.request("QUERY", "/v1/models", content=b"sdxl", headers=headers)
    assert [model["name"] for model in answer.json()["results"]] == ["sdxl"]


async def test_collections_are_listed_and_shown_with_the_models_that_the_caller_may_see(call: Call, world: Any) -> None:
    collections = world.services.catalogue.collections
    await collections.create("pictures", name="Pictures", description="Make them", full_description="# More")
    for model in ("alice/sdxl", "alice/secret-llama", "alice/sdxl"):
        world.clock.advance(seconds=1)
        await collections.add("pictures", model)
    listed = (await call("GET", "/v1/collections")).json()
    assert listed["results"] == [{"name": "Pictures", "slug": "pictures", "description": "Make them"}]
    shown = (await call("GET", "/v1/collections/pictures", token=OTHER)).json()
    assert (shown["full_description"], [model["name"] for model in shown["models"]]) == ("# More", ["sdxl"])
    own = (await call("GET", "/v1/collections/pictures")).json()
    assert [model["name"] for model in own["models"]] == ["sdxl", "secret-llama"]
    assert (await call("GET", "/v1/collections/none")).status_code == 404


async def test_the_operator_is_told_what_is_wrong_with_a_collection(world: Any) -> None:
    collections = world.services.catalogue.collections
    await collections.create("pictures", name="Pictures", description="")
    with pytest.raises(Conflict):
        await collections.create("pictures", name="Again", description="")
    with pytest.raises(InvalidRequest):
        await collections.create("No Slug", name="x", description="")
    for slug, model in (("none", "alice/sdxl"), ("pictures", "alice/none"), ("pictures", "nonsense")):
        with pytest.raises(NotFound):
            await collections.add(slug, model)
    with pytest.raises(NotFound):
        await collections.remove("pictures", "alice/sdxl")
