"""Creating, reading, listing and canceling predictions: bodies, headers and errors as documented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from replicate_server.domain.errors import QueueFull
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import WebhookSubscription
from replicate_server.ports.store import StorageUnavailable

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]


def body(world: Any, **fields: Any) -> dict[str, Any]:
    return {"version": world.version.id, "input": {"prompt": "hi"}, **fields}


async def test_a_create_answers_the_minimal_object_that_suits_every_client(call: Call, world: Any) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "id": "hdwst0bb05rgp0cf0p29mzk2am",
        "model": "alice/echo",
        "version": "a" * 64,
        "input": {"prompt": "hi"},
        "output": None,
        "logs": "",
        "error": None,
        "status": "starting",
        "created_at": "2024-08-22T12:26:51.079000Z",
        "started_at": None,
        "completed_at": None,
        "metrics": {},
        "data_removed": False,
        "source": "api",
        "urls": {
            "get": "http://testserver/v1/predictions/hdwst0bb05rgp0cf0p29mzk2am",
            "cancel": "http://testserver/v1/predictions/hdwst0bb05rgp0cf0p29mzk2am/cancel",
            "web": "http://testserver/p/hdwst0bb05rgp0cf0p29mzk2am",
        },
        "platform": {"phases": [{"name": "queued", "started_at": "2024-08-22T12:26:51.079000Z"}]},
    }


@pytest.mark.parametrize(
    "reference", ["a" * 64, "aaaaaaaa", "aaaaaa...", "alice/echo", "alice/echo:aaaaaaaa...", "alice/echo:" + "a" * 64]
)
async def test_a_version_is_found_by_every_kind_of_reference(call: Call, world: Any, reference: str) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world, version=reference))
    assert answer.status_code == 201
    assert answer.json()["version"] == "a" * 64


@pytest.mark.parametrize(
    "reference", ["b" * 64, "aaaaa", "nobody/echo", "alice/echo:bbbbbbbb", "", "a:b", "../../etc", "alice/echo/x"]
)
async def test_an_unknown_version_is_refused_in_the_documented_words(call: Call, world: Any, reference: str) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world, version=reference))
    assert answer.status_code == 422
    assert answer.json() == {
        "title": "Invalid version or not permitted",
        "detail": "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "status": 422,
    }


async def test_the_model_route_runs_the_latest_version(call: Call, world: Any) -> None:
    world.clock.advance(seconds=1)
    await world.publish("b")
    answer = await call("POST", "/v1/models/alice/echo/predictions", json={"input": {"prompt": "hi"}})
    assert answer.status_code == 201
    assert answer.json()["version"] == "b" * 64


async def test_the_model_route_does_not_find_an_unknown_model(call: Call) -> None:
    answer = await call("POST", "/v1/models/alice/nothing/predictions", json={"input": {}})
    assert answer.content == b'{"detail":"The requested resource could not be found","status":404}\n'
    assert answer.status_code == 404


async def test_a_bad_input_lists_every_problem(call: Call, world: Any) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world, input={"steps": 9, "scheduler": "x"}))
    assert answer.status_code == 422
    assert answer.content.endswith(b"\n")
    fields = {item["type"]: (item["field"], item["description"]) for item in answer.json()["invalid_fields"]}
    assert fields == {
        "required": ("input", "prompt is required"),
        "number_lte": ("input.steps", "Must be less than or equal to 4"),
        "enum": ("input.scheduler", 'scheduler must be one of the following: "EulerA", "MultistepDPM-Solver"'),
    }
    assert "- input.steps: Must be less than or equal to 4\n" in answer.json()["detail"]
    assert answer.json()["title"] == "Input validation failed"


async def test_unknown_and_missing_body_fields_are_reported_together(call: Call) -> None:
    answer = await call("POST", "/v1/predictions", json={"model": "a/b", "input": []})
    assert answer.status_code == 422
    assert answer.json()["invalid_fields"] == [
        {"type": "required", "field": "", "description": "version is required"},
        {"type": "additional_property_not_allowed", "field": "", "description": "Additional property model is not allowed"},
        {"type": "invalid_type", "field": "input", "description": "Invalid type. Expected: object, given: array"},
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 5000])
async def test_broken_json_is_a_bad_request(call: Call, content: bytes) -> None:
    answer = await call("POST", "/v1/predictions", content=content)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The request body is not valid JSON"


async def test_a_body_that_is_no_object_is_invalid(call: Call) -> None:
    answer = await call("POST", "/v1/predictions", content=b"[]")
    assert answer.status_code == 422
    assert answer.json()["invalid_fields"][0]["description"] == "Invalid type. Expected: object, given: array"


async def test_a_body_over_the_limit_is_too_large(call: Call, world: Any) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world, input={"prompt": "x" * 200_000}))
    assert answer.status_code == 413
    assert answer.json()["status"] == 413


async def test_a_body_in_many_pieces_is_read_whole(call: Call, world: Any) -> None:
    async def pieces() -> Any:
        for piece in (b'{"version":"', b"a" * 64, b'","input":{"prompt":', b'"hi"}}'):
            yield piece

    assert (await call("POST", "/v1/predictions", content=pieces())).status_code == 201


async def test_an_older_clients_fields_are_accepted(call: Call, world: Any) -> None:
    fields = body(world, stream=True, webhook_completed="https://example.com/hook", webhook=None)
    assert (await call("POST", "/v1/predictions", json=fields)).status_code == 201
    subscription = WebhookSubscription("https://example.com/hook", frozenset({"completed"}))
    assert world.predictions.requests[0].webhook == subscription


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(None, {"start", "output", "logs", "completed"}), (["completed"], {"completed"}), ([], set())],
)
async def test_a_webhook_gets_the_events_it_asked_for(call: Call, world: Any, chosen: Any, expected: set[str]) -> None:
    fields = body(world, webhook="https://example.com/hook?id=1", webhook_events_filter=chosen)
    await call("POST", "/v1/predictions", json=fields)
    assert world.predictions.requests[0].webhook == WebhookSubscription("https://example.com/hook?id=1", frozenset(expected))


@pytest.mark.parametrize("url", ["http://example.com", "ftp://example.com", "nonsense", ""])
async def test_a_webhook_that_is_not_https_is_refused(call: Call, world: Any, url: str) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world, webhook=url))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "- webhook: Not a valid HTTPS URL\n"
    assert answer.json()["invalid_fields"] == [{"type": "format", "field": "webhook", "description": "Not a valid HTTPS URL"}]


async def test_a_webhook_to_a_refused_address_is_invalid(call: Call, world: Any) -> None:
    world.fetcher.refused.add("10.0.0.1")
    answer = await call("POST", "/v1/predictions", json=body(world, webhook="https://10.0.0.1/x"))
    assert answer.json()["invalid_fields"][0]["description"] == "The address is private"


async def test_an_unknown_webhook_event_is_invalid(call: Call, world: Any) -> None:
    fields = body(world, webhook="https://example.com", webhook_events_filter=["start", "end"])
    (problem,) = (await call("POST", "/v1/predictions", json=fields)).json()["invalid_fields"]
    assert (problem["type"], problem["field"]) == ("enum", "webhook_events_filter.1")


@pytest.mark.parametrize(
    ("prefer", "seconds", "applied"),
    [
        ("wait", 60.0, "wait"),
        ("wait=10", 10.0, "wait=10"),
        ("respond-async, wait=5", 5.0, "wait=5"),
        ("wait=90", 60.0, "wait=90"),
        ("wait=0", 1.0, "wait=0"),
        ("return=minimal", None, None),
    ],
)
async def test_a_wait_is_clamped_and_echoed(call: Call, world: Any, prefer: str, seconds: float, applied: str) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world), headers={"Prefer": prefer})
    assert world.predictions.requests[0].wait_seconds == seconds
    assert answer.headers.get("preference-applied") == applied


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("5", 5)])
async def test_a_cancel_after_is_a_duration(call: Call, world: Any, text: str, seconds: float) -> None:
    await call("POST", "/v1/predictions", json=body(world), headers={"Cancel-After": text})
    assert world.predictions.requests[0].cancel_after_seconds == seconds


@pytest.mark.parametrize("text", ["4", "0s", "soon", "-5", "1d", "5s5m", "99999999h"])
async def test_a_bad_cancel_after_is_refused(call: Call, world: Any, text: str) -> None:
    answer = await call("POST", "/v1/predictions", json=body(world), headers={"Cancel-After": text})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Cancel-After must be ")


async def test_a_full_queue_says_when_to_come_back(call: Call, world: Any) -> None:
    world.predictions.failure = QueueFull("The queue is full", headers={"Retry-After": "3"})
    answer = await call("POST", "/v1/predictions", json=body(world))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["retry_after"] == 3


async def test_an_unavailable_store_says_when_to_come_back(call: Call, world: Any) -> None:
    world.predictions.failure = StorageUnavailable("disk full at /secret/path")
    answer = await call("POST", "/v1/predictions", json=body(world))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "/secret/path" not in answer.text


async def test_another_accounts_prediction_is_not_found(call: Call, world: Any) -> None:
    path = f"/v1/predictions/{world.prediction(account_id=world.other.id).id}"
    assert (await call("GET", path)).status_code == 404
    assert (await call("POST", f"{path}/cancel")).status_code == 404


async def test_a_cancel_with_a_json_content_type_and_no_body_works(call: Call, world: Any) -> None:
    path = f"/v1/predictions/{world.prediction().id}/cancel"
    answer = await call("POST", path, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


async def test_aborted_is_shown_to_those_who_know_it(call: Call, world: Any) -> None:
    path = f"/v1/predictions/{world.prediction(status=Status.ABORTED).id}"
    assert (await call("GET", path)).json()["status"] == "canceled"
    assert (await call("GET", path, headers={"Replicate-Statuses": "aborted"})).json()["status"] == "aborted"


async def test_a_list_leaves_logs_out_and_keeps_filters_in_its_links(call: Call, world: Any) -> None:
    world.prediction(logs="line")
    world.predictions.next_cursor = "c/="
    answer = await call("GET", "/v1/predictions?created_after=2024-01-01T00:00:00%2B01:00&unknown=1")
    page = answer.json()
    assert page["next"] == "http://testserver/v1/predictions?created_after=2024-01-01T00%3A00%3A00%2B01%3A00&cursor=c%2F%3D"
    assert page["previous"] is None
    assert "logs" not in page["results"][0]
    assert world.predictions.filters[0].created_after == datetime(2023, 12, 31, 23, tzinfo=UTC)


async def test_web_predictions_are_those_of_the_last_two_weeks(call: Call, world: Any) -> None:
    await call("GET", "/v1/predictions?source=web")
    (filters,) = world.predictions.filters
    assert filters.source == "web"
    assert filters.created_after == world.clock.now() - timedelta(days=14)


@pytest.mark.parametrize(
    "query",
    [
        "source=api",
        "created_after=yesterday",
        "created_before=",
        "created_after=0001-01-01T00:00:00%2B23:59",
        "created_before=9999-12-31T23:59:59-23:59",
    ],
)
async def test_a_bad_filter_is_a_bad_request(call: Call, query: str) -> None:
    assert (await call("GET", f"/v1/predictions?{query}")).status_code == 400


async def test_a_finished_prediction_has_its_extras(call: Call, world: Any) -> None:
    webhook = WebhookSubscription("https://example.com", frozenset({"start", "completed"}))
    deadline = world.clock.now() + timedelta(minutes=5)
    made = world.prediction(status=Status.FAILED, error="boom", webhook=webhook, deadline_at=deadline, stream_token="t" * 43)
    shown = (await call("GET", f"/v1/predictions/{made.id}")).json()
    assert shown["error"] == "boom"
    assert shown["deadline"] == "2024-08-22T12:31:51.079000Z"
    assert shown["webhook_events_filter"] == ["completed", "start"]
    assert shown["urls"]["stream"] == "http://testserver/v1/streams/" + "t" * 43
    world.predictions.add(replace(made, is_file_stream=True))
    shown = (await call("GET", f"/v1/predictions/{made.id}")).json()
    assert shown["urls"]["stream"] == "http://testserver/v1/files/" + "t" * 43


async def test_every_list_filter_is_applied_and_kept_in_the_links(call: Call, world: Any) -> None:
    world.predictions.next_cursor = "c"
    query = "status=failed&model=alice%2Fecho&version=" + "a" * 64 + "&deployment=alice%2Ffast"
    page = (await call("GET", f"/v1/predictions?{query}")).json()
    (filters,) = world.predictions.filters
    assert (filters.status, filters.model) == (Status.FAILED, "alice/echo")
    assert (filters.version_id, filters.deployment) == ("a" * 64, "alice/fast")
    assert page["next"] == f"http://testserver/v1/predictions?{query}&cursor=c"


async def test_an_unknown_status_is_refused_with_the_known_ones(call: Call) -> None:
    answer = await call("GET", "/v1/predictions?status=done")
    assert answer.status_code == 400
    assert "starting, processing, succeeded" in answer.json()["detail"]
