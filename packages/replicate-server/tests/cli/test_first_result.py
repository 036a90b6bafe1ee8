"""The first result: what is asked for, and what is shown of the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from replicate_server.first_result import attach_files, build_command, describe_output, read_output_events, show_example
from replicate_server.starter_models import StarterModel

STREAM = "event: output\nid: 1:1\ndata: Once\n\n: alive\n\nevent: output\ndata:  upon\ndata: a time\n\nevent: done\ndata: {}\n\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def model(tmp_path: Path) -> StarterModel:
    (tmp_path / "speak").mkdir()
    (tmp_path / "speak" / "cog.yaml").write_text("run: predict.py:Predictor\n")
    (tmp_path / "speak" / "example.json").write_text(json.dumps({"input": {"text": "hi you", "photo": "@cog.yaml", "n": 2}}))
    return StarterModel(tmp_path / "speak", "digest")


def serve(prediction: dict[str, Any], *, status: int = 201) -> httpx.AsyncClient:
    """A client of a server that answers every prediction alike."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/stream":
            return httpx.Response(200, text=STREAM)
        return httpx.Response(status if request.method == "POST" else 200, json={"id": "p1", "urls": {}} | prediction)

    return httpx.AsyncClient(base_url="http://api.test", transport=httpx.MockTransport(answer))


@pytest.mark.anyio
async def test_text_is_written_piece_by_piece(model: StarterModel) -> None:
    written: list[str] = []
    client = serve({"status": "succeeded", "urls": {"stream": "http://api.test/stream"}, "output": ["not", "this"]})
    assert await show_example(client, model, written.append) is None
    assert written[1:] == ["Once", " upon\na time", "\n"]


@pytest.mark.anyio
async def test_an_output_without_a_stream_is_written_at_the_end(model: StarterModel) -> None:
    written: list[str] = []
    assert await show_example(serve({"status": "succeeded", "output": "http://x/y.wav"}), model, written.append) is None
    assert written[1:] == ["http://x/y.wav\n"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("prediction", "status", "reason"),
    [
        ({"status": "failed", "error": "no voice"}, 201, "no voice"),
        ({"status": "canceled"}, 201, "canceled"),
        ({"detail": "no such model"}, 404, "no such model"),
    ],
)
async def test_a_missing_result_is_told_with_its_reason(
    model: StarterModel, prediction: dict[str, Any], status: int, reason: str
) -> None:
    assert await show_example(serve(prediction, status=status), model, lambda text: None) == reason


@pytest.mark.anyio
async def test_only_output_events_are_read() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in ("event: logs", "data: x", "", "event: output", "data: y", ""):
            yield line

    assert [text async for text in read_output_events(lines())] == ["y"]


def test_the_command_of_an_example_can_be_repeated(model: StarterModel) -> None:
    expected = f".venv/bin/replicate run starter/speak -i 'text=hi you' -i photo=@{model.folder}/cog.yaml -i n=2"
    assert build_command(model) == expected


def test_files_of_an_example_become_data_uris(model: StarterModel) -> None:
    attached = attach_files(model.folder, {**model.example, "at": "@nobody"})
    assert attached["photo"].startswith("data:")
    assert (attached["text"], attached["at"]) == ("hi you", "@nobody")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (["Once", " upon"], "Once upon"),
        ("http://x/y.wav", "http://x/y.wav"),
        ({"a": 1}, '{"a": 1}'),
        ([[0.5]], "[[0.5]]"),
        (None, "null"),
        ("x" * 700, "x" * 600 + " …"),
    ],
)
def test_an_output_is_shown_as_a_person_wants_it(output: object, text: str) -> None:
    assert describe_output(output) == text
