"""What the SDK's tests share: a scripted platform behind httpx.MockTransport, and the same behind a real socket."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from replicate import Client
from replicate.core.retry import RetryPolicy

VERSION_ID = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
STORY_INPUT = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "x-order": 0, "description": "How it begins"},
        "max_tokens": {"type": "integer", "x-order": 1, "default": 64},
        "image": {"type": "string", "format": "uri", "x-order": 2},
    },
}
TEXT_OUTPUT = {
    "type": "array",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}


def build_version(output: dict[str, Any], version_id: str = VERSION_ID) -> dict[str, Any]:
    """A version as the API shows it."""
    schema = {"openapi": "3.0.2", "components": {"schemas": {"Input": STORY_INPUT, "Output": output}}}
    return {"id": version_id, "created_at": "2026-01-02T03:04:05.678901234Z", "cog_version": "0.16.0", "openapi_schema": schema}


def build_prediction(status: str = "succeeded", output: Any = None, **fields: Any) -> dict[str, Any]:
    """A prediction as the API shows it."""
    return {
        "id": "p1",
        "model": "starter/story",
        "version": VERSION_ID,
        "input": {"prompt": "once"},
        "output": output,
        "logs": "",
        "error": None,
        "status": status,
        "created_at": "2026-01-02T03:04:05.678Z",
        "urls": {"get": "http://api.test/v1/predictions/p1", "cancel": "http://api.test/v1/predictions/p1/cancel"},
        **fields,
    }


class Platform:
    """Answers requests from a script, and remembers them. The last answer of a route is given again and again."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._answers: dict[tuple[str, str], list[Any]] = {}

    def answer(self, method: str, path: str, *answers: Any) -> None:
        """Say what a route answers: a JSON value, a status, an exception to raise, or an httpx.Response builder."""
        self._answers[method, path] = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        # A copy: the client takes the token off a request once it has been answered.
        self.requests.append(
            httpx.Request(request.method, request.url, headers=request.headers.multi_items(), content=request.content)
        )
        script = self._answers.get((request.method, request.url.path))
        if not script:
            return httpx.Response(404, json={"detail": "The requested resource could not be found", "status": 404})
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else httpx.Response(200, json=answer)

    def sent(self, index: int = -1) -> Any:
        """The JSON body of a request."""
        return json.loads(self.requests[index].content)

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [f"{request.method} {request.url.path}" for request in self.requests]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the asynchronous tests."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "REPLICATE_POLL_INTERVAL", "REPLICATE_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def platform() -> Platform:
    """A scripted platform."""
    return Platform()


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    """A client of the scripted platform that does not dawdle."""
    policy = RetryPolicy(attempts_max=3, backoff_seconds=0.0, draw=lambda: 0.0, new_key=lambda: "key-1")
    with Client(
        "r8_secret",
        base_url="http://api.test",
        transport=httpx.MockTransport(platform),
        poll_interval=0.001,
        retry_policy=policy,
    ) as made:
        yield made


@pytest.fixture
def runner() -> CliRunner:
    """Runs the command with standard error kept apart, which click before 8.2 does only when told to."""
    is_old = "mix_stderr" in inspect.signature(CliRunner).parameters
    arguments: dict[str, Any] = {"mix_stderr": False} if is_old else {}
    return CliRunner(**arguments)


@pytest.fixture
def prediction_json() -> Callable[..., dict[str, Any]]:
    """Builds predictions as the API shows them."""
    return build_prediction


@pytest.fixture
def version_json() -> Callable[..., dict[str, Any]]:
    """Builds versions as the API shows them."""
    return build_version


@pytest.fixture
def text_output() -> dict[str, Any]:
    """The output schema of a model that streams text."""
    return TEXT_OUTPUT


class _Handler(BaseHTTPRequestHandler):
    """Gives the scripted platform's answers over a socket; a list of byte strings is sent piece by piece, chunked."""

    protocol_version = "HTTP/1.1"
    platform: Platform

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        host = f"http://{self.headers['host']}"
        answer = self.platform(httpx.Request(self.command, host + self.path, headers=list(self.headers.items()), content=content))
        self.send_response(answer.status_code)
        pieces = answer.extensions.get("pieces")
        self.send_header("content-type", answer.headers.get("content-type", "application/octet-stream"))
        if pieces is None:
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = _serve  # the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # http.server's name
        """Stay quiet."""


@pytest.fixture
def served(platform: Platform) -> Iterator[str]:
    """The scripted platform on a loopback port; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"platform": platform}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def event_stream() -> Callable[..., Callable[[], httpx.Response]]:
    """Builds a streamed answer from pieces of an event stream, for both transports."""

    def build(*pieces: bytes) -> Callable[[], httpx.Response]:
        return lambda: httpx.Response(
            200,
            headers={"content-type": "text/event-stream; charset=utf-8"},
            content=b"".join(pieces),
            extensions={"pieces": pieces},
        )

    return build
