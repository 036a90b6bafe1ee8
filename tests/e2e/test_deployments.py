"""A deployment and the removal of a version on the real platform: what was published is run through a name, and then gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Published
from tests.live import MODELS, LiveServer


def publish_saying(server: LiveServer, folder: Path, word: str) -> str:
    """Publish a copy of the echo model that says another word; returns the version id."""
    folder.mkdir()
    for path in (MODELS / "echo").iterdir():
        (folder / path.name).write_text(path.read_text(encoding="utf-8").replace("you said", word), encoding="utf-8")
    return server.publish(folder, "local/passing")


def content_of(server: LiveServer, version: str) -> list[Path]:
    """The manifest's blob and the unpacked files of a version, where they exist."""
    folder = server.data_dir
    places = (folder / "blobs" / "oci" / version, folder / "packages" / version)
    return [place for place in places if place.exists()]


def test_a_deployment_runs_its_release_and_a_version_nobody_needs_goes_away(
    api: httpx.Client, published: Published, tmp_path: Path
) -> None:
    server = published.server
    first = publish_saying(server, tmp_path / "first", "first")
    second = publish_saying(server, tmp_path / "second", "second")
    fields = {"name": "prod", "model": "local/passing", "version": first, "hardware": "cpu", "min_instances": 0}
    assert api.post("/v1/deployments", json={**fields, "max_instances": 1}).status_code == 200
    run: dict[str, Any] = {
        "url": "/v1/deployments/local/prod/predictions",
        "json": {"input": {"prompt": "hi"}},
        "headers": {"Prefer": "wait"},
    }
    prediction = api.post(**run).json()
    assert (prediction["deployment"], prediction["version"], prediction["output"]) == ("local/prod", first, "first: hi")
    path = f"/v1/models/local/passing/versions/{first}"
    assert api.delete(path).status_code == 409
    assert api.patch("/v1/deployments/local/prod", json={"version": second}).json()["current_release"]["number"] == 2
    assert len(content_of(server, first)) == 2
    assert api.delete(path).status_code == 202
    assert content_of(server, first) == []
    assert api.post(**run).json()["output"] == "second: hi"
    assert api.post("/v1/predictions", json={"version": first, "input": {"prompt": "hi"}}).status_code == 422
    assert api.get(f"/v1/predictions/{prediction['id']}").json()["output"] == "first: hi"
    assert api.delete("/v1/deployments/local/prod").status_code == 409
