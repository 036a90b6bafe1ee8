"""Two accounts over every route: nothing of one can be read, listed, changed or run by the other (promises I5 and S3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from replicate_server.api.routes import PROTECTED

from tests.live import LiveServer

COLLECTION = "/v1/collections/{slug}"
NAMING = [route for route in PROTECTED if "{" in route.path and route.path != COLLECTION]
# What is sent along, where it is not an input.
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v1/deployments/{owner}/{name}"): {"max_instances": 2},
    ("PATCH", "/v1/models/{owner}/{name}"): {"description": "theirs"},
    ("POST", "/v1/models/{owner}/{name}/examples"): {"prediction": "0" * 26},
}
# What everybody may ask for, and what of the first account must not be in the answer.
LISTS = {
    "/v1/account": "local",
    "/v1/collections": "{name}",
    COLLECTION: "{name}",
    "/v1/deployments": "{name}",
    "/v1/files": "{file_id}",
    "/v1/models": "{name}",
    "/v1/predictions": "{prediction_id}",
    "/v1/search?query=walled": "{name}",
    "/v1/webhooks/default/secret": "{secret}",
}
# They tell nothing of anybody, or make something of the caller's own.
OWN = {("GET", "/v1/hardware"), *(("POST", f"/v1/{noun}") for noun in ("deployments", "files", "models", "predictions"))}
SEARCH = ("QUERY", "/v1/models")


@dataclass(frozen=True)
class Town:
    """A server with two accounts, and the names of everything that the first one has."""

    mine: httpx.Client
    theirs: httpx.Client
    names: dict[str, str]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A private model with all that hangs on it, its collection, and an upload; the other account has nothing."""
    server = LiveServer(tmp_path_factory.mktemp("town"))
    server.start()
    server.command("replicate-server", "account", "create", "other", "--data-dir", str(server.data_dir))
    created = server.command("replicate-server", "token", "create", "--account", "other", "--data-dir", str(server.data_dir))
    token = created.stdout.split()[-1]
    with server.client() as mine, httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {token}"}) as theirs:
        fields = {"owner": "local", "name": "walled-garden", "visibility": "private", "hardware": "cpu"}
        assert mine.post("/v1/models", json=fields).status_code == 201
        version = server.publish("tokens", "local/walled-garden")
        server.publish("caption", "local/caption")
        body = {"version": version, "input": {"prompt": "mine alone"}}
        prediction = mine.post("/v1/predictions", json=body, headers={"Prefer": "wait"}).json()
        show_off(server, mine, prediction)
        file = mine.post("/v1/files", files={"content": ("mine.txt", b"mine", "text/plain")}).json()
        secret = mine.get("/v1/webhooks/default/secret").json()["key"]
        names = {
            "owner": "local",
            "name": "walled-garden",
            "slug": "walks",
            "version": version,
            "prediction_id": prediction["id"],
            "file_id": file["id"],
        }
        yield Town(mine, theirs, {**names, "secret": secret})
    server.stop()


def show_off(server: LiveServer, mine: httpx.Client, prediction: dict[str, Any]) -> None:
    """Put what only its owner may see wherever a model can be shown: readme, example, deployment, collection."""
    model = "/v1/models/local/walled-garden"
    assert mine.patch(model, json={"readme": "mine", "default_example": prediction["id"]}).status_code == 200
    assert mine.post(f"{model}/examples", json={"prediction": prediction["id"]}).status_code == 201
    deployment = {"name": "walled-garden", "model": "local/walled-garden", "version": prediction["version"], "hardware": "cpu"}
    assert mine.post("/v1/deployments", json={**deployment, "min_instances": 0, "max_instances": 1}).status_code == 200
    at = ("--data-dir", str(server.data_dir))
    server.command("replicate-server", "collection", "create", "walks", *at)
    server.command("replicate-server", "collection", "add", "walks", "local/walled-garden", *at)


def test_every_route_is_in_one_of_the_groups() -> None:
    grouped = {(route.method, route.path) for route in NAMING} | {("GET", path.split("?")[0]) for path in LISTS} | OWN | {SEARCH}
    assert {(route.method, route.path) for route in PROTECTED} == grouped


@pytest.mark.parametrize("route", NAMING, ids=lambda route: f"{route.method} {route.path}")
def test_what_another_account_has_is_not_found(town: Town, route: Any) -> None:
    path = route.path.format(**town.names)
    input = {"input": {"prompt": "theirs"}} if route.method == "POST" else None
    answer = town.theirs.request(route.method, path, json=BODIES.get((route.method, route.path), input))
    assert answer.status_code == 404
    assert "mine" not in answer.text


@pytest.mark.parametrize("path", LISTS)
def test_a_list_has_nothing_of_another_account(town: Town, path: str) -> None:
    answer = town.theirs.get(path.format(**town.names))
    assert answer.status_code == 200
    assert LISTS[path].format(**town.names) not in answer.text


def test_a_search_finds_nothing_of_another_account(town: Town) -> None:
    found = [api.request(*SEARCH, content=b"walled").json()["results"] for api in (town.mine, town.theirs)]
    assert [len(models) for models in found] == [1, 0]


def test_everything_is_still_there_for_its_owner(town: Town) -> None:
    answers = [town.mine.get(route.path.format(**town.names)) for route in NAMING if route.method == "GET"]
    assert {answer.status_code for answer in answers} == {200}
    assert town.mine.get(f"/v1/predictions/{town.names['prediction_id']}").json()["status"] == "succeeded"


def test_a_private_version_cannot_be_run_by_any_reference(town: Town) -> None:
    version = town.names["version"]
    for reference in (version, version[:12], "local/walled-garden", f"local/walled-garden:{version[:12]}"):
        answer = town.theirs.post("/v1/predictions", json={"version": reference, "input": {"prompt": "x"}})
        assert (answer.status_code, answer.json()["title"]) == (422, "Invalid version or not permitted")


def test_an_upload_of_another_account_is_neither_a_download_nor_an_input(town: Town) -> None:
    """Its address is no capability: the other account's prediction does not get the bytes."""
    path = f"/v1/files/{town.names['file_id']}"
    assert town.theirs.get(f"{path}/download").status_code == 404
    assert httpx.get(f"{town.mine.base_url}{path}/download").status_code == 401
    body = {"input": {"image": f"{town.mine.base_url}{path}"}}
    asked = [
        api.post("/v1/models/local/caption/predictions", json=body, headers={"Prefer": "wait"})
        for api in (town.mine, town.theirs)
    ]
    assert [answer.json()["status"] for answer in asked] == ["succeeded", "failed"]
    assert "no such file" in asked[1].json()["error"]
