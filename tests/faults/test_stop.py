"""SIGTERM: new work is refused at once, running work ends or is handed over, and nobody is cut off (promise O11)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.watching import until_status
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def start(folder: Path, grace_seconds: float) -> LiveServer:
    server = LiveServer(folder, {"SHUTDOWN_GRACE_SECONDS": str(grace_seconds)})
    server.start()
    return server


def answers_after_signal(server: LiveServer, api: httpx.Client, body: object) -> Iterator[httpx.Response]:
    """Ask the server to end, and create predictions all the while."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    while True:
        yield api.post("/v1/predictions", json=body)


def test_a_stop_refuses_new_work_and_answers_who_waits_with_the_result(tmp_path: Path) -> None:
    server = start(tmp_path, 20)
    version = server.publish("slow", "local/slow")
    waited: list[httpx.Response] = []

    def wait() -> None:
        with server.client() as api:
            body = {"version": version, "input": {"seconds": 2}}
            waited.append(api.post("/v1/predictions", json=body, headers={"Prefer": "wait"}))

    waiter = threading.Thread(target=wait)
    waiter.start()
    with server.client() as api:
        while not (running := api.get("/v1/predictions").json()["results"]):
            pass
        until_status(api, running[0]["id"], "processing")
        answers = answers_after_signal(server, api, {"version": version, "input": {"seconds": 0}})
        refused = next(answer for answer in answers if answer.status_code != 201)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert api.get(f"/v1/predictions/{running[0]['id']}").status_code == 200
    waiter.join()
    assert server.stop() == 0
    assert [(answer.status_code, answer.json()["output"]) for answer in waited] == [(201, "done waiting")]


def test_a_stop_ends_open_streams_and_waits_and_the_next_server_runs_what_is_left(tmp_path: Path) -> None:
    server = start(tmp_path, 0.5)
    slow, ticker = (server.publish(name, f"local/{name}") for name in ("slow", "ticker"))
    waited: list[httpx.Response] = []

    def wait() -> None:
        with server.client() as api:
            body = {"version": slow, "input": {"seconds": 30}}
            waited.append(api.post("/v1/predictions", json=body, headers={"Prefer": "wait"}))

    waiter = threading.Thread(target=wait)
    waiter.start()
    with server.client() as api:
        ticking = api.post("/v1/predictions", json={"version": ticker, "input": {"seconds": 30}}).json()
        until_status(api, ticking["id"], "processing")
        while len(found := api.get("/v1/predictions").json()["results"]) < 2:
            pass
        left = next(each["id"] for each in found if each["id"] != ticking["id"])
        until_status(api, left, "processing")
        with api.stream("GET", ticking["urls"]["stream"]) as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line == "event: output")
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert "event: done" in list(lines)
    waiter.join()
    assert server.stop() == 0
    assert [(answer.status_code, answer.json()["status"]) for answer in waited] == [(201, "starting")]
    server.start()
    with server.client() as api:
        assert until_status(api, ticking["id"], "failed")["error"].startswith("Prediction interrupted")
        until_status(api, left, "processing")
        assert api.post(f"/v1/predictions/{left}/cancel").json()["status"] == "canceled"
    server.stop()
