"""A disk that takes no more: new work is refused clearly, running work is kept, all goes on when there is room (promise O8).

The server's limit on the size of files stands for the disk: at zero, every write of every file fails.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.watching import until_status
from tests.live import LiveServer


@contextmanager
def full_disk(server: LiveServer) -> Iterator[None]:
    """Let no file of the server grow or change."""
    assert server.process is not None
    usual = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, usual)


def create_until_logged(api: httpx.Client, server: LiveServer, body: object, text: str) -> list[httpx.Response]:
    """Create until the server logged a text; returns the answers."""
    answers = []
    while text not in "".join(server.output):
        answers.append(api.post("/v1/predictions", json=body, headers={"Prefer": "wait=1"}))
    return answers


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_full_disk_refuses_new_work_keeps_running_work_and_recovers(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    server.start()
    slow, echo = (server.publish(name, f"local/{name}") for name in ("slow", "echo"))
    body = {"version": echo, "input": {"prompt": "hi"}}
    with server.client() as api:
        before = api.post("/v1/predictions", json=body, headers={"Prefer": "wait"}).json()
        running = api.post("/v1/predictions", json={"version": slow, "input": {"seconds": 0.5}}).json()
        until_status(api, running["id"], "processing")
        with full_disk(server):
            refused = create_until_logged(api, server, body, f"a write about prediction {running['id']} failed")
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {"5"}
            assert api.get(f"/v1/predictions/{before['id']}").json() == before
        assert until_status(api, running["id"], "succeeded")["output"] == "done waiting"
        after = api.post("/v1/predictions", json=body, headers={"Prefer": "wait"})
        assert (after.status_code, after.json()["status"]) == (201, "succeeded")
        listed = {each["id"] for each in api.get("/v1/predictions").json()["results"]}
    assert server.stop() == 0
    assert listed == {before["id"], running["id"], after.json()["id"]}
