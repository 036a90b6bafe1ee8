"""Predictions through the real server, worker and sandbox, by HTTP alone."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import httpx
import pytest

from tests.conftest import Published

TERMINAL = {"succeeded", "failed", "canceled", "aborted"}


def create(api: httpx.Client, version: str, wait: str | None = "wait", **body: Any) -> dict[str, Any]:
    """Create a prediction and return it."""
    headers = {"Prefer": wait} if wait else {}
    answer = api.post("/v1/predictions", json={"version": version, **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


def wait_for(api: httpx.Client, prediction: dict[str, Any], statuses: set[str]) -> dict[str, Any]:
    """Poll until the prediction has one of the statuses; gives up after a minute."""
    deadline = time.monotonic() + 60
    while prediction["status"] not in statuses:
        assert time.monotonic() < deadline, f"still {prediction['status']}"
        prediction = api.get(f"/v1/predictions/{prediction['id']}").json()
    return prediction


def test_a_waiting_create_answers_with_the_output(api: httpx.Client, published: Published) -> None:
    prediction = create(api, published.versions["echo"], input={"prompt": "hello"})
    assert prediction["status"] == "succeeded"
    assert prediction["output"] == "you said: hello"
    assert prediction["logs"] == "saying hello\n"
    assert prediction["metrics"]["predict_time"] >= 0


@pytest.mark.parametrize(
    "shorten", [lambda v: v, lambda v: v[:8], lambda v: v[:6] + "...", lambda v: f"local/echo:{v}", lambda v: "local/echo"]
)
def test_a_version_may_be_named_in_every_documented_way(api: httpx.Client, published: Published, shorten: Any) -> None:
    version = published.versions["echo"]
    prediction = create(api, shorten(version), input={"prompt": "hi"})
    assert (prediction["version"], prediction["model"]) == (version, "local/echo")


def test_a_model_runs_its_latest_version(api: httpx.Client) -> None:
    answer = api.post("/v1/models/local/echo/predictions", json={"input": {"prompt": "latest"}}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.json()["output"] == "you said: latest"


def test_a_raised_exception_fails_the_prediction_with_its_message_and_keeps_the_logs(
    api: httpx.Client, published: Published
) -> None:
    prediction = create(api, published.versions["broken"], input={"message": "paint is out"})
    assert (prediction["status"], prediction["error"]) == ("failed", "paint is out")
    assert "about to fail" in prediction["logs"]
    assert prediction["logs"].count("ValueError: paint is out") == 1


def test_a_model_that_ends_its_process_fails_after_its_attempts_and_names_the_exit_code(
    api: httpx.Client, published: Published
) -> None:
    prediction = wait_for(api, create(api, published.versions["crash"], input={"code": 7}), TERMINAL)
    assert prediction["status"] == "failed"
    assert "7" in prediction["error"]


def test_a_running_prediction_is_canceled_and_its_instance_stays_usable(api: httpx.Client, published: Published) -> None:
    prediction = create(api, published.versions["slow"], wait=None, input={"seconds": 60})
    wait_for(api, prediction, {"processing"})
    answer = api.post(f"/v1/predictions/{prediction['id']}/cancel")
    assert answer.status_code == 200
    assert wait_for(api, answer.json(), TERMINAL)["status"] == "canceled"
    again = wait_for(api, create(api, published.versions["slow"], input={"seconds": 0}), TERMINAL)
    assert again["output"] == "done waiting"


def test_a_wait_that_runs_out_answers_starting_without_output(api: httpx.Client, published: Published) -> None:
    prediction = create(api, published.versions["slow"], wait="wait=1", input={"seconds": 60})
    assert (prediction["status"], prediction["output"]) == ("starting", None)
    api.post(f"/v1/predictions/{prediction['id']}/cancel")


def test_a_deadline_ends_a_running_prediction(api: httpx.Client, published: Published) -> None:
    headers = {"Cancel-After": "5s"}
    answer = api.post("/v1/predictions", json={"version": published.versions["slow"], "input": {"seconds": 60}}, headers=headers)
    assert wait_for(api, answer.json(), TERMINAL)["status"] == "canceled"


def test_output_files_can_be_fetched_whole_and_in_part(api: httpx.Client, published: Published) -> None:
    prediction = create(api, published.versions["picture"], input={"prompt": "red", "num_outputs": 2})
    first, second = prediction["output"]
    whole = httpx.get(first)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
    assert whole.content.startswith(b"\x89PNG")
    part = httpx.get(first, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert httpx.get(second).content != whole.content


def test_an_uploaded_file_a_data_uri_and_an_output_reach_the_model_as_files(api: httpx.Client, published: Published) -> None:
    content = b"some bytes"
    uploaded = api.post("/v1/files", files={"content": ("note.txt", content, "text/plain")})
    assert uploaded.status_code == 201, uploaded.text
    picture = create(api, published.versions["picture"], input={"prompt": "blue"})["output"][0]
    sources = {
        uploaded.json()["urls"]["get"]: content,
        "data:text/plain;base64,c29tZSBieXRlcw==": content,
        picture: httpx.get(picture).content,
    }
    for url, expected in sources.items():
        prediction = create(api, published.versions["caption"], input={"image": url})
        assert prediction["output"] == f"{len(expected)} bytes, sha256 {hashlib.sha256(expected).hexdigest()}"


def test_invalid_input_is_refused_with_every_problem_named(api: httpx.Client, published: Published) -> None:
    answer = api.post("/v1/predictions", json={"version": published.versions["echo"], "input": {"width": 0, "height": "tall"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["title"] == "Input validation failed"
    fields = {item["field"]: item["type"] for item in problem["invalid_fields"]}
    assert fields == {"input": "required", "input.width": "number_gte", "input.height": "invalid_type"}


def test_pages_follow_one_another_without_gaps_or_repeats(api: httpx.Client, published: Published) -> None:
    made = [create(api, published.versions["echo"], input={"prompt": str(number)})["id"] for number in range(105)]
    seen: list[str] = []
    url: str | None = "/v1/predictions"
    while url:
        page = api.get(url).json()
        seen += [item["id"] for item in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen))
    assert [item for item in seen if item in set(made)] == made[::-1]
