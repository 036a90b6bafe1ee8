"""The client over a scripted transport, blocking and asynchronous, with the steps of 1.x programs."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.client import parse_base_url, parse_seconds
from replicate.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ModelError,
    TransportError,
    TransportTimeoutError,
    UnprocessableEntityError,
)
from replicate.helpers import FileOutput

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]


def test_running_a_model_gives_its_output(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json(output="once upon"))
    assert client.run("starter/story", input={"prompt": "once"}) == "once upon"
    request = platform.requests[0]
    assert request.headers["authorization"] == "Bearer r8_secret"
    assert request.headers["prefer"] == "wait"
    assert request.headers["idempotency-key"] == "key-1"
    assert platform.sent() == {"input": {"prompt": "once"}}


async def test_running_asynchronously_gives_the_same(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json(output="once upon"))
    outputs = await asyncio.gather(*(client.async_run("starter/story", input={"prompt": p}) for p in "abc"))
    assert outputs == ["once upon"] * 3
    await client.async_close()


def test_a_version_with_iterator_output_gives_an_iterator(
    client: Client, platform: Any, prediction_json: Make, version_json: Make, text_output: Any
) -> None:
    platform.answer("POST", "/v1/predictions", prediction_json("processing"))
    platform.answer("GET", "/v1/models/starter/story/versions/5c7d", version_json(text_output))
    platform.answer("GET", "/v1/predictions/p1", prediction_json("processing", ["a"]), prediction_json("succeeded", ["a", "b"]))
    output = client.run("starter/story:5c7d", input={"prompt": "once"})
    assert iter(output) is output
    assert list(output) == ["a", "b"]


async def test_an_asynchronous_run_of_it_gives_an_asynchronous_iterator(
    client: Client, platform: Any, prediction_json: Make, version_json: Make, text_output: Any
) -> None:
    platform.answer("POST", "/v1/predictions", prediction_json("succeeded", ["a", "b"]))
    platform.answer("GET", "/v1/models/starter/story/versions/5c7d", version_json(text_output))
    output = await client.async_run("starter/story:5c7d", input={"prompt": "once"})
    assert [item async for item in output] == ["a", "b"]


def test_a_failed_prediction_raises_a_model_error_that_can_be_followed(
    client: Client, platform: Any, prediction_json: Make
) -> None:
    failed = prediction_json("failed", error="no memory")
    platform.answer("POST", "/v1/models/starter/story/predictions", failed)
    platform.answer("GET", "/v1/predictions/p1", {**failed, "logs": "more"})
    with pytest.raises(ModelError, match="no memory") as caught:
        client.run("starter/story", input={})
    caught.value.prediction.reload()
    assert caught.value.prediction.logs == "more"


def test_the_polling_loop_of_1x_programs_works(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/predictions", prediction_json("starting"))
    platform.answer("GET", "/v1/predictions/p1", prediction_json("processing"), prediction_json("succeeded", ["http://h/a.png"]))
    prediction = client.predictions.create(version="5c7d", input={"prompt": "x"})
    while prediction.status not in ["succeeded", "failed", "canceled"]:
        prediction.reload()
    assert prediction.output == ["http://h/a.png"]
    assert prediction.dict()["status"] == "succeeded"
    assert '"status": "succeeded"' in prediction.json()


def test_a_prediction_is_canceled_in_place(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/predictions", prediction_json("starting"))
    platform.answer("POST", "/v1/predictions/p1/cancel", prediction_json("canceled"))
    prediction = client.predictions.create("5c7d", {"prompt": "x"})
    prediction.cancel()
    assert prediction.status == "canceled"


@pytest.mark.parametrize("arguments", [{}, {"version": "a", "model": "o/n"}, {"model": "o/n", "deployment": "o/n"}])
def test_a_create_needs_exactly_one_target(client: Client, arguments: Any) -> None:
    with pytest.raises(ValueError, match="Exactly one"):
        client.predictions.create(input={}, **arguments)


def test_webhook_options_reach_the_request(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/predictions", prediction_json("starting"))
    client.predictions.create(version="5c7d", input={}, webhook="https://h.example/x", webhook_events_filter=["completed"])
    assert platform.sent() == {
        "version": "5c7d",
        "input": {},
        "webhook": "https://h.example/x",
        "webhook_events_filter": ["completed"],
    }


def test_an_open_file_is_uploaded_and_its_url_sent(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/files", {"id": "f1", "urls": {"get": "http://api.test/v1/files/f1"}})
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json())
    client.run("starter/story", input={"image": io.BytesIO(b"content")})
    assert b"content" in platform.requests[0].content
    assert b'name="content"' in platform.requests[0].content
    assert platform.sent() == {"input": {"image": "http://api.test/v1/files/f1"}}


async def test_a_path_is_uploaded_asynchronously(client: Client, platform: Any, prediction_json: Make, tmp_path: Any) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"content")
    platform.answer("POST", "/v1/files", {"id": "f1", "urls": {"get": "http://api.test/v1/files/f1"}})
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json())
    await client.async_run("starter/story", input={"image": path})
    assert b'filename="a.txt"' in platform.requests[0].content


def test_a_lost_answer_is_asked_for_again(client: Client, platform: Any) -> None:
    account = {"type": "user", "username": "ada", "name": "Ada"}
    platform.answer("GET", "/v1/account", httpx.ReadError("cut"), lambda: httpx.Response(503), account)
    assert client.accounts.current().username == "ada"
    assert len(platform.requests) == 3


@pytest.mark.parametrize(
    ("raised", "expected", "family"),
    [
        (httpx.ConnectError("refused"), ConnectionFailedError, httpx.ConnectError),
        (httpx.ReadTimeout("slow"), TransportTimeoutError, httpx.TimeoutException),
        (httpx.RemoteProtocolError("odd"), TransportError, httpx.TransportError),
    ],
)
def test_a_network_error_is_both_ours_and_httpxs(
    client: Client, platform: Any, raised: Exception, expected: type[Exception], family: type[Exception]
) -> None:
    platform.answer("GET", "/v1/account", raised)
    with pytest.raises(expected) as caught:
        client.accounts.current()
    assert isinstance(caught.value, family)
    assert caught.value.__cause__ is raised


def test_no_error_shows_the_token(client: Client, platform: Any) -> None:
    problem = {"title": "Unauthenticated", "detail": "no valid token", "status": 401}
    platform.answer("GET", "/v1/account", lambda: httpx.Response(401, json=problem, headers={"x-request-id": "r1"}))
    with pytest.raises(AuthenticationError) as caught:
        client.accounts.current()
    error = caught.value
    assert error.response is not None
    assert "authorization" not in error.response.request.headers
    assert "r8_secret" not in f"{error}{error!r}{client!r}{vars(error)}"
    assert (error.status, error.title, error.request_id) == (401, "Unauthenticated", "r1")


def test_every_field_error_is_kept(client: Client, platform: Any) -> None:
    fields = [{"type": "required", "field": "input", "description": "prompt is required"}]
    body = {"title": "Input validation failed", "detail": "- input: prompt is required\n", "invalid_fields": fields}
    platform.answer("POST", "/v1/models/o/n/predictions", lambda: httpx.Response(422, json=body))
    with pytest.raises(UnprocessableEntityError) as caught:
        client.run("o/n", input={})
    assert caught.value.body["invalid_fields"] == fields


def test_a_token_set_later_is_used(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada"})
    with Client(base_url="http://api.test", transport=httpx.MockTransport(platform)) as client:
        client.accounts.current()
        monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_later")
        client.accounts.current()
    assert [request.headers.get("authorization") for request in platform.requests] == [None, "Bearer r8_later"]


def test_pages_are_followed_to_the_end(client: Client, platform: Any) -> None:
    first = {"next": "http://public.example/v1/models?cursor=2", "results": [{"owner": "o", "name": "a"}]}
    platform.answer("GET", "/v1/models", first, {"next": None, "results": [{"owner": "o", "name": "b"}]})
    assert [model.id for page in client.paginate(client.models.list) for model in page] == ["o/a", "o/b"]
    assert str(platform.requests[1].url) == "http://api.test/v1/models?cursor=2"


async def test_pages_are_followed_asynchronously(client: Client, platform: Any) -> None:
    first = {"next": "/v1/models?cursor=2", "results": [{"owner": "o", "name": "a"}]}
    platform.answer("GET", "/v1/models", first, {"next": None, "results": [{"owner": "o", "name": "b"}]})
    assert [m.id async for page in client.async_paginate(client.models.async_list) for m in page] == ["o/a", "o/b"]


def test_asking_for_a_page_after_the_last_is_a_mistake(client: Client) -> None:
    with pytest.raises(ValueError, match="cursor cannot be None"):
        client.predictions.list(cursor=None)


def test_a_deployment_is_run_like_a_model(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/deployments/me/fast/predictions", prediction_json(output="http://api.test/delivery/t/a.png"))
    assert isinstance(client.deployments.run("me/fast", input={}), FileOutput)


def test_a_model_and_its_versions_are_read(client: Client, platform: Any, version_json: Make, text_output: Any) -> None:
    version = version_json(text_output)
    platform.answer("GET", "/v1/models/starter/story", {"owner": "starter", "name": "story", "latest_version": version})
    platform.answer("GET", "/v1/models/starter/story/versions", {"results": [version]})
    model = client.models.get("starter/story")
    assert model.latest_version is not None
    assert str(model.latest_version.created_at) == "2026-01-02 03:04:05.678901+00:00"
    assert model.versions.list()[0] == model.latest_version


def test_files_are_described_and_deleted(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/files", {"results": [{"id": "f1", "name": "a.txt"}]})
    platform.answer("DELETE", "/v1/files/f1", lambda: httpx.Response(204))
    assert [file.name for file in client.files.list()] == ["a.txt"]
    assert client.files.delete("f1") is True


@pytest.mark.parametrize("text", ["http://h:1", "http://h:1/", "http://h:1/v1", " http://h:1/v1/ "])
def test_a_base_url_may_end_in_v1_or_not(text: str) -> None:
    assert parse_base_url(text) == "http://h:1"


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan"])
def test_a_bad_poll_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="REPLICATE_POLL_INTERVAL"):
        parse_seconds(text, default=0.5)


def test_two_event_loops_can_share_a_client(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada"})
    for _ in range(2):
        assert asyncio.run(client.accounts.async_current()).username == "ada"
