"""Operations as values: paths, bodies, headers, and the reading of answers."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from replicate.core import operations
from replicate.core.inputs import build_upload, encode_input
from replicate.core.steps import Call, Load, Repeat, Upload
from replicate.exceptions import UnexpectedAnswerError
from replicate.file import File
from replicate.helpers import FileOutput
from replicate.pagination import parse_cursor


@pytest.mark.parametrize(
    ("wait", "header", "read_timeout_seconds"),
    [
        (None, {}, None),
        (False, {}, None),
        (True, {"Prefer": "wait"}, 65.0),
        (5, {"Prefer": "wait=5"}, 10.0),
        (0.2, {"Prefer": "wait=1"}, 6.0),
        (900, {"Prefer": "wait=60"}, 65.0),
    ],
)
@pytest.mark.parametrize("target", [{"version": "abc"}, {"model": ("o", "n")}, {"deployment": ("o", "n")}])
def test_every_kind_of_create_honours_wait(
    target: Any, wait: Any, header: dict[str, str], read_timeout_seconds: float | None
) -> None:
    request = operations.create_prediction(**target, body={"input": {}}, wait=wait).request
    assert (request.headers, request.read_timeout_seconds) == (header, read_timeout_seconds)
    assert request.repeat is Repeat.KEYED


@pytest.mark.parametrize(
    ("target", "path", "body"),
    [
        ({"version": "abc"}, "/v1/predictions", {"version": "abc", "input": {}, "webhook": "https://x"}),
        ({"model": ("o", "n n")}, "/v1/models/o/n%20n/predictions", {"input": {}, "webhook": "https://x"}),
        ({"deployment": ("o", "n")}, "/v1/deployments/o/n/predictions", {"input": {}, "webhook": "https://x"}),
    ],
)
def test_a_create_sends_only_what_was_given(target: Any, path: str, body: Any) -> None:
    request = operations.create_prediction(**target, body={"input": {}, "webhook": "https://x", "stream": None}).request
    assert (request.path, request.json) == (path, body)


def test_an_answer_that_is_not_json_is_an_error_of_ours() -> None:
    with pytest.raises(UnexpectedAnswerError, match="not JSON"):
        operations.get_account().parse(httpx.Response(200, text="<html>"))


def test_an_answer_that_lacks_its_identity_is_an_error_of_ours() -> None:
    with pytest.raises(UnexpectedAnswerError, match="Prediction without id"):
        operations.get_prediction("p").parse(httpx.Response(200, json={"status": "starting"}))


@pytest.mark.parametrize(
    "cursor",
    [
        "http://public.example/v1/models?cursor=abc%3D",
        "/v1/models?cursor=abc%3D",
        "https://gw.example/prefix/v1/models?cursor=abc%3D",
    ],
)
def test_a_cursor_is_followed_below_the_clients_own_base_url(cursor: str) -> None:
    assert parse_cursor(cursor) == "/v1/models?cursor=abc%3D"


def test_a_cursor_that_leads_out_of_the_api_is_refused() -> None:
    with pytest.raises(ValueError, match="not a page"):
        parse_cursor("http://elsewhere.example/steal")


def finish(flow: Any, answer: Any) -> Any:
    with pytest.raises(StopIteration) as finished:
        flow.send(answer)
    return finished.value.value


def test_files_nested_in_an_input_are_uploaded_in_order() -> None:
    flow = encode_input({"images": [io.BytesIO(b"1"), {"deep": b"2"}], "prompt": "x"})
    for number in ("1", "2"):
        step = next(flow) if number == "1" else flow.send(File(id="f1", urls={"get": "http://h/v1/files/f1"}))
        assert isinstance(step, Call)
        assert step.request.path == "/v1/files"
    assert finish(flow, File(id="f2", urls={"get": "http://h/v1/files/f2"})) == {
        "images": ["http://h/v1/files/f1", {"deep": "http://h/v1/files/f2"}],
        "prompt": "x",
    }


def test_the_base64_strategy_puts_a_file_into_the_input(tmp_path: Any) -> None:
    path = tmp_path / "a.png"
    flow = encode_input({"image": path}, "base64")
    assert next(flow) == Load(Upload(path, "a.png", "image/png"))
    assert finish(flow, b"hi") == {"image": "data:image/png;base64,aGk="}


def test_an_output_file_goes_back_as_its_url() -> None:
    assert finish_at_once(encode_input([FileOutput("https://files.example/a.png")])) == ["https://files.example/a.png"]


def finish_at_once(flow: Any) -> Any:
    with pytest.raises(StopIteration) as finished:
        next(flow)
    return finished.value.value


@pytest.mark.parametrize(
    ("source", "name", "content_type"),
    [
        ("folder/a.png", "a.png", "image/png"),
        (b"bytes", "file", "application/octet-stream"),
        (bytearray(b"bytes"), "file", "application/octet-stream"),
    ],
)
def test_an_uploads_name_and_type_come_from_its_source(source: Any, name: str, content_type: str) -> None:
    upload = build_upload(source)
    assert (upload.name, upload.content_type) == (name, content_type)


def test_a_pipe_is_uploaded_without_retries() -> None:
    class Pipe(io.RawIOBase):
        def seekable(self) -> bool:
            return False

    assert operations.create_file(build_upload(Pipe())).request.repeat is Repeat.NEVER
