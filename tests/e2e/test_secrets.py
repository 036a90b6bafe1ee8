"""A secret input reaches the model, and nobody else: not the answers, not the log, not a webhook."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.live import LiveServer

CANARY = "canary-71b5-do-not-show"
MASK = "**********"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of its own, for what it prints is looked at."""
    live = LiveServer(tmp_path_factory.mktemp("secrets"))
    live.start()
    live.publish("secret", "local/secret")
    yield live
    live.stop()


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[bytes]]]:
    """A webhook's receiver: its address, and the bodies it got."""
    posted: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    site = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{site.server_port}/", posted
    site.shutdown()
    site.server_close()


def run(server: LiveServer, *, input: dict[str, Any], **fields: Any) -> httpx.Response:
    with server.client() as client:
        body = {"input": {"key": CANARY, **input}, **fields}
        return client.post("/v1/models/local/secret/predictions", json=body, headers={"Prefer": "wait"})


def test_the_model_gets_the_secret_and_the_answers_do_not(server: LiveServer) -> None:
    created = run(server, input={})
    with server.client() as client:
        answers = [created, client.get(f"/v1/predictions/{created.json()['id']}"), client.get("/v1/predictions")]
    assert created.json()["output"] == hashlib.sha256(CANARY.encode()).hexdigest()
    assert (created.json()["input"], created.json()["logs"]) == ({"key": MASK}, f"opening the door with {MASK}\n")
    assert [CANARY in answer.text for answer in answers] == [False, False, False]


def test_an_error_that_quotes_the_secret_is_masked(server: LiveServer) -> None:
    failed = run(server, input={"fails": True})
    assert (failed.json()["status"], failed.json()["error"]) == ("failed", f"the key {MASK} does not fit")
    assert "Traceback" in failed.json()["logs"]
    assert CANARY not in failed.text


def test_no_webhook_tells_the_secret(server: LiveServer, receiver: tuple[str, Queue[bytes]]) -> None:
    address, posted = receiver
    run(server, input={}, webhook=address, webhook_events_filter=["start", "logs", "completed"])
    bodies: list[bytes] = []
    while not bodies or b'"succeeded"' not in bodies[-1]:
        bodies.append(posted.get(timeout=30))
    assert CANARY.encode() not in b"".join(bodies)


def test_the_server_says_nothing_of_it_on_its_own_output(server: LiveServer) -> None:
    run(server, input={"fails": True})
    assert CANARY not in "".join(server.output)
