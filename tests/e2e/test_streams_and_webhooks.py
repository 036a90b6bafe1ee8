"""Event streams and webhooks of the real server."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.conftest import Published
from tests.live import LiveServer

Delivery = tuple[dict[str, str], bytes]


def read_events(url: str, last_event_id: str | None = None) -> list[tuple[str, str, str]]:
    """Read a stream to its end: (event, id, data) of each."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    events, current = [], {"data": []}  # type: ignore[var-annotated]
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        if name == "data":
            current["data"].append(value)
        elif name in {"event", "id"}:
            current[name] = value
        elif not line and "event" in current:
            events.append((current["event"], current["id"], "\n".join(current["data"])))
            current = {"data": []}
    return events


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[Delivery]]]:
    """A local webhook receiver: its URL and what it got."""
    received: Queue[Delivery] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            received.put(({name.lower(): value for name, value in self.headers.items()}, body))

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook?job=7", received
    server.shutdown()
    server.server_close()


def start_stream(server: LiveServer, version: str, prompt: str) -> str:
    """Create a streaming prediction and return its stream URL."""
    with server.client() as api:
        answer = api.post("/v1/predictions", json={"version": version, "input": {"prompt": prompt}})
    url: str = answer.json()["urls"]["stream"]
    return url


def test_a_stream_delivers_every_token_and_ends_with_done(published: Published) -> None:
    url = start_stream(published.server, published.versions["tokens"], "one two\nthree four")
    events = read_events(url)
    assert "".join(data for kind, _, data in events if kind == "output") == "one two\nthree four "
    assert events[-1][0] == "done"
    assert json.loads(events[-1][2]) == {}


def test_a_stream_resumes_after_any_event_exactly_once(published: Published) -> None:
    url = start_stream(published.server, published.versions["tokens"], "a b c d e f g h")
    events = read_events(url)
    for position, (_, event_id, _) in enumerate(events[:-1]):
        assert read_events(url, event_id) == events[position + 1 :]


def test_a_stream_can_be_read_again_after_a_restart_of_the_server(tmp_path: Any) -> None:
    server = LiveServer(tmp_path)
    server.start()
    version = server.publish("tokens", "local/tokens")
    url = start_stream(server, version, "before the restart")
    before = read_events(url)
    server.kill()
    server.start()
    assert read_events(url) == before
    assert read_events(url, before[0][1]) == before[1:]
    server.stop()


def test_a_completed_webhook_carries_the_prediction_and_verifiable_signatures(
    published: Published, api: httpx.Client, receiver: tuple[str, Queue[Delivery]]
) -> None:
    url, received = receiver
    body = {
        "version": published.versions["echo"],
        "input": {"prompt": "hook"},
        "webhook": url,
        "webhook_events_filter": ["completed"],
    }
    prediction = api.post("/v1/predictions", json=body, headers={"Prefer": "wait"}).json()
    headers, content = received.get(timeout=30)
    secret = api.get("/v1/webhooks/default/secret").json()["key"]
    payload = Webhook(secret).verify(content, headers)
    assert payload == api.get(f"/v1/predictions/{prediction['id']}").json()
    seed_signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    assert headers["x-replicate-signature"] == f"sha256={seed_signature}"


def test_webhooks_come_in_order_with_completed_last(
    published: Published, api: httpx.Client, receiver: tuple[str, Queue[Delivery]]
) -> None:
    url, received = receiver
    body = {"version": published.versions["tokens"], "input": {"prompt": "a b c"}, "webhook": url}
    api.post("/v1/predictions", json=body, headers={"Prefer": "wait"})
    statuses = []
    while not statuses or statuses[-1] not in {"succeeded", "failed"}:
        statuses.append(json.loads(received.get(timeout=30)[1])["status"])
    assert statuses[-1] == "succeeded"
    assert set(statuses[:-1]) <= {"starting", "processing"}
