"""``kill -9`` between the outcome, the request, its answer and its mark: every terminal webhook arrives (promises W1, W3)."""

from __future__ import annotations

import os
import random  # noqa: TID251 - the moments of the kills come from a printed seed
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.receiver import Receiver
from tests.live import LiveServer

SEED = int(os.environ.get("KILL_SEED", "20261120"))
KILLS = 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def create_until_killed(server: LiveServer, version: str, url: str, accepted: list[str]) -> None:
    body = {"version": version, "input": {"prompt": "hi"}, "webhook": url, "webhook_events_filter": ["completed"]}
    with server.client() as api:
        try:
            while True:
                accepted.append(api.post("/v1/predictions", json=body).json()["id"])
        except httpx.TransportError:
            return


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killing_the_server_while_it_delivers_loses_no_terminal_webhook(tmp_path: Path, receiver: Receiver) -> None:
    moments = random.Random(f"{SEED} webhooks")
    server = LiveServer(tmp_path)
    server.start()
    version = server.publish("echo", "local/echo")
    server.kill()
    accepted: list[str] = []
    for _ in range(KILLS):
        server.start()
        client = threading.Thread(target=create_until_killed, args=(server, version, receiver.url, accepted))
        client.start()
        time.sleep(moments.uniform(0.1, 0.5))  # noqa: TID251 - the random moment is what is tested
        server.kill()
        client.join()
    server.start()
    arrived = receiver.until_all_came(accepted)
    server.stop()
    assert arrived, f"{len(set(accepted) - set(receiver.received))} of {len(accepted)} never came, KILL_SEED={SEED}"
    assert len(accepted) > KILLS
    assert {id: sent for id, sent in receiver.received.items() if len(sent) != 1} == {}, "a repetition differs"
