"""Creates that are sent again under their Idempotency-Key, at once and across kills, make one prediction each (promise J8).

A failure names the seed; ``KILL_SEED=… make test`` replays its moments.
"""

from __future__ import annotations

import contextlib
import os
import random  # noqa: TID251 - the moments of the kills come from a printed seed
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import LiveServer

KILLS = 12
SEED = int(os.environ.get("KILL_SEED", "20261120"))
DUPLICATES = 100


def create(api: httpx.Client, version: str, key: str, **headers: str) -> dict[str, Any]:
    body = {"version": version, "input": {"prompt": key}}
    answer = api.post("/v1/predictions", json=body, headers={"Idempotency-Key": key, **headers})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def prompts(api: httpx.Client) -> Counter[str]:
    """How often each prompt was predicted, over all pages."""
    counted: Counter[str] = Counter()
    url: str | None = "/v1/predictions"
    while url is not None:
        page = api.get(url).json()
        counted.update(item["input"]["prompt"] for item in page["results"])
        url = page["next"]
    return counted


def create_until_killed(server: LiveServer, version: str, keys: list[str]) -> None:
    """Create with fresh keys until the connection breaks; the last key's fate is unknown to the client."""
    with server.client() as api, contextlib.suppress(httpx.TransportError):
        while True:
            keys.append(f"key-{len(keys)}")
            create(api, version, keys[-1])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_repeating_a_create_after_a_kill_never_makes_a_second_prediction(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    server, keys = LiveServer(tmp_path), list[str]()
    server.start()
    version = server.publish("echo", "local/echo")
    for _ in range(KILLS):
        client = threading.Thread(target=create_until_killed, args=(server, version, keys))
        client.start()
        time.sleep(moments.uniform(0.0, 0.2))  # noqa: TID251 - the random moment is what is tested
        server.kill()
        client.join()
        server.start()
        with server.client() as api:
            first, second = create(api, version, keys[-1]), create(api, version, keys[-1])
            assert first["id"] == second["id"], f"seed {SEED}"
    with server.client() as api:
        assert prompts(api) == Counter(keys), f"seed {SEED}"
    server.stop()


@pytest.mark.slow
def test_a_hundred_clients_with_one_key_make_one_prediction_and_read_its_outcome(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    server.start()
    version = server.publish("echo", "local/echo")

    def send(_: int) -> dict[str, Any]:
        with server.client() as api:
            return create(api, version, "order-17", Prefer="wait")

    with ThreadPoolExecutor(DUPLICATES) as clients:
        answers = list(clients.map(send, range(DUPLICATES)))
    with server.client() as api:
        assert prompts(api) == {"order-17": 1}
    server.stop()
    assert len({answer["id"] for answer in answers}) == 1
    assert {answer["output"] for answer in answers} == {"you said: order-17"}
