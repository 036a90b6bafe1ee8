"""The Python SDK against ``contract/examples``: its requests are the recorded ones, and it reads every recorded answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import replicate
from replicate.exceptions import ReplicateError

from tests.contract.exchanges import BASE_URL, FILE_ID, PREDICTION_ID, VERSION_ID, read_examples

EXAMPLES = read_examples()
INPUT = {"prompt": "a cat"}

CALLS: dict[str, Any] = {
    "account.get": lambda client: client.accounts.current(),
    "webhooks.default.secret.get": lambda client: client.webhooks.default.secret(),
    "predictions.create": lambda client: client.predictions.create(version=VERSION_ID, input=INPUT, wait=True),
    "models.predictions.create": lambda client: client.predictions.create(model="local/echo", input=INPUT, wait=5),
    "predictions.get": lambda client: client.predictions.get(PREDICTION_ID),
    "predictions.cancel": lambda client: client.predictions.cancel(PREDICTION_ID),
    "predictions.list": lambda client: client.predictions.list(),
    "models.get": lambda client: client.models.get("local/echo"),
    "models.versions.list": lambda client: client.models.get("local/echo").versions.list(),
    "models.versions.get": lambda client: client.models.get("local/echo").versions.get(VERSION_ID),
    "files.get": lambda client: client.files.get(FILE_ID),
    "files.list": lambda client: client.files.list(),
}


def play(example: dict[str, Any], asked: list[httpx.Request]) -> replicate.Client:
    """A client whose server answers with the example, and with the model of ``models.get`` where that is asked for first."""

    def answer(request: httpx.Request) -> httpx.Response:
        # A copy, because the SDK takes the token off a request that was sent (docs/decisions/0073).
        asked.append(httpx.Request(request.method, request.url, headers=request.headers))
        is_model = request.url.path == EXAMPLES["models.get"]["request"]["path"]
        chosen = EXAMPLES["models.get"] if is_model else example
        response = chosen["response"]
        return httpx.Response(response["status"], headers=response["headers"], json=response["body"])

    return replicate.Client(api_token="r8_token", base_url=BASE_URL, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("operation", CALLS)
def test_a_request_is_the_recorded_one_and_its_answer_is_read(operation: str) -> None:
    asked: list[httpx.Request] = []
    example = EXAMPLES[operation]
    result = CALLS[operation](play(example, asked))
    sent, expected = asked[-1], example["request"]
    assert (sent.method, sent.url.path, sent.headers["Authorization"]) == (
        expected["method"],
        expected["path"],
        "Bearer r8_token",
    )
    assert sent.headers.get("Prefer") == expected["headers"].get("Prefer")
    assert result is not None


def test_a_prediction_keeps_every_recorded_field_that_the_sdk_names() -> None:
    body = EXAMPLES["predictions.get"]["response"]["body"]
    read = play(EXAMPLES["predictions.get"], []).predictions.get(PREDICTION_ID).dict()
    shared = read.keys() & body.keys()
    assert {"id", "model", "version", "status", "input", "output", "logs", "error", "metrics", "urls"} <= shared
    assert {name: read[name] for name in ("output", "logs", "status", "urls")} == {
        name: body[name] for name in ("output", "logs", "status", "urls")
    }


@pytest.mark.parametrize("operation", [name for name in EXAMPLES if name.startswith("error.")])
def test_every_recorded_error_becomes_ours(operation: str) -> None:
    example = EXAMPLES[operation]
    with pytest.raises(ReplicateError) as raised:
        play(example, []).predictions.get(PREDICTION_ID)
    body = example["response"]["body"]
    assert (raised.value.status, raised.value.detail) == (example["response"]["status"], body["detail"])
