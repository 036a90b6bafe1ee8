"""Every call of the API, blocking and asynchronous: both send the same request and read the same answer."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.exceptions import ServerError
from replicate.identifier import ModelVersionIdentifier
from replicate.model import Model
from replicate.prediction import Prediction
from replicate.version import Version

pytestmark = pytest.mark.anyio

MODEL = {"owner": "o", "name": "n", "default_example": {"id": "p1"}}
PREDICTION = {"id": "p1", "status": "succeeded"}
FILE = {"id": "f1", "name": "a.txt"}
FIELDS = {"visibility": "public", "hardware": "cpu", "description": None}

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str, Any]] = [
    ("accounts.current", (), {}, "GET", "/v1/account", {"type": "user", "username": "ada"}),
    ("models.get", ("o/n",), {}, "GET", "/v1/models/o/n", MODEL),
    ("models.get", ("o", "n"), {}, "GET", "/v1/models/o/n", MODEL),
    ("models.list", (), {}, "GET", "/v1/models", {"results": [MODEL]}),
    ("models.create", ("o", "n"), FIELDS, "POST", "/v1/models", MODEL),
    ("files.create", (b"x",), {"filename": "a.txt", "metadata": {"k": 1}}, "POST", "/v1/files", FILE),
    ("files.get", ("f1",), {}, "GET", "/v1/files/f1", FILE),
    ("files.list", (), {}, "GET", "/v1/files", {"results": [FILE]}),
    ("files.delete", ("f1",), {}, "DELETE", "/v1/files/f1", FILE),
    ("predictions.create", ("v1", {"a": 1}), {"wait": 3}, "POST", "/v1/predictions", PREDICTION),
    ("predictions.create", (Version("v1"), {}), {}, "POST", "/v1/predictions", PREDICTION),
    ("predictions.create", (), {"model": Model("o", "n")}, "POST", "/v1/models/o/n/predictions", PREDICTION),
    ("predictions.create", (), {"deployment": ("o", "n")}, "POST", "/v1/deployments/o/n/predictions", PREDICTION),
    ("predictions.get", ("p1",), {}, "GET", "/v1/predictions/p1", PREDICTION),
    ("predictions.list", ("/v1/predictions?cursor=x",), {}, "GET", "/v1/predictions", {"results": [PREDICTION]}),
    ("predictions.cancel", ("p1",), {}, "POST", "/v1/predictions/p1/cancel", PREDICTION),
    ("deployments.run", ("o/n", {}), {}, "POST", "/v1/deployments/o/n/predictions", {**PREDICTION, "output": 1}),
    ("run", (Version("v1"), {}), {}, "POST", "/v1/predictions", {**PREDICTION, "output": 1}),
    ("run", (Model("o", "n"), {}), {}, "POST", "/v1/models/o/n/predictions", {**PREDICTION, "output": 1}),
    ("run", (ModelVersionIdentifier("o", "n"), {}), {}, "POST", "/v1/models/o/n/predictions", {**PREDICTION, "output": 1}),
]


def find(client: Client, path: str, prefix: str = "") -> Callable[..., Any]:
    home, _, name = path.rpartition(".")
    return getattr(attrgetter(home)(client) if home else client, prefix + name)  # type: ignore[no-any-return]


def seen(request: httpx.Request) -> tuple[Any, ...]:
    boundary = request.headers.get("content-type", "").partition("boundary=")[2]
    content = request.content.replace(boundary.encode(), b"-") if boundary else request.content
    names = ("prefer", "idempotency-key", "authorization", "content-length")
    return request.method, request.url, content, [request.headers.get(name) for name in names]


@pytest.mark.parametrize(("path", "arguments", "keywords", "method", "route", "answer"), CALLS)
async def test_both_ways_send_the_same_request(
    path: str, arguments: Any, keywords: Any, method: str, route: str, answer: Any, client: Client, platform: Any
) -> None:
    platform.answer(method, route, answer)
    blocking = find(client, path)(*arguments, **keywords)
    awaited = await find(client, path, "async_")(*arguments, **keywords)
    assert blocking == awaited
    assert [seen(request) for request in platform.requests[:1]] == [seen(request) for request in platform.requests[1:]]
    await client.async_close()


@pytest.mark.parametrize("name", ["reload", "cancel", "wait"])
async def test_a_predictions_methods_update_it_in_place(name: str, client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/predictions/p1", PREDICTION)
    platform.answer("POST", "/v1/predictions/p1/cancel", PREDICTION)
    blocking, awaited = Prediction("p1"), Prediction("p1")
    for prediction in (blocking, awaited):
        prediction.bind(client)
    getattr(blocking, name)()
    await getattr(awaited, f"async_{name}")()
    assert blocking == awaited == Prediction("p1", status="succeeded")


async def test_a_predictions_output_and_events_are_followed(client: Client, platform: Any, event_stream: Any) -> None:
    platform.answer("GET", "/v1/streams/t", event_stream(b"event: done\nid: 1\ndata: {}\n\n"))
    prediction = Prediction("p1", status="succeeded", output=["a"], urls={"stream": "http://api.test/v1/streams/t"})
    prediction.bind(client)
    assert list(prediction.output_iterator()) == [item async for item in prediction.async_output_iterator()] == ["a"]
    assert list(prediction.stream()) == [event async for event in prediction.async_stream()]


async def test_a_model_is_reloaded_and_its_versions_read(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/models/o/n", {**MODEL, "run_count": 2})
    platform.answer("GET", "/v1/models/o/n/versions", {"results": [{"id": "v1"}]})
    platform.answer("GET", "/v1/models/o/n/versions/v1", {"id": "v1"})
    model = client.models.get("o/n")
    model.reload()
    await model.async_reload()
    assert (model.run_count, model.username, model.id) == (2, "o", "o/n")
    assert model.versions.list()[0] == (await model.versions.async_list())[0]
    assert model.versions.get("v1") == await model.versions.async_get("v1")


async def test_an_outputs_error_reaches_an_asynchronous_loop(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/predictions/p1", lambda: httpx.Response(500, text="<html>oops"))
    prediction = Prediction("p1", status="processing", output=["a"])
    prediction.bind(client)
    items = prediction.async_output_iterator()
    assert await items.__anext__() == "a"
    with pytest.raises(ServerError, match="status: 500"):
        await items.__anext__()


async def test_the_webhook_secret_comes_both_ways(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/webhooks/default/secret", {"key": "whsec_aGk="})
    assert client.webhooks.default.secret() == await client.webhooks.default.async_secret()


def test_a_record_is_copied_without_sharing() -> None:
    prediction = Prediction("p1", output=["a"])
    twin = prediction.copy()
    twin.output.append("b")  # type: ignore[union-attr]
    assert prediction.output == ["a"]
