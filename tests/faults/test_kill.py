"""``kill -9`` of the server at random moments under load: nothing accepted is lost, nothing ends twice (promises J1, J2, J3).

A failure names the seed; ``KILL_SEED=… make test`` replays its moments. ``KILL_COUNT`` sets how many kills (200 by default).
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - the moments of the kills come from a printed seed
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import LiveServer

KILLS = int(os.environ.get("KILL_COUNT", "200"))
SEED = int(os.environ.get("KILL_SEED", "20261120"))
CLIENTS = 4
TERMINAL = {"succeeded", "failed", "canceled"}
SETTLE_SECONDS_MAX = 180


@dataclass
class Load:
    """Clients that create predictions for as long as the server answers, and remember what they were promised."""

    server: LiveServer
    version: str
    accepted: dict[str, str] = field(default_factory=dict)
    """Prediction id → the prompt it was created with."""
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Prediction id → the terminal answer that some client saw."""
    count: int = 0
    are_ready: threading.Barrier = field(default_factory=lambda: threading.Barrier(CLIENTS + 1))
    """Passed when every client can send: making one takes longer than a server may live here when the machine is busy."""

    def run_until_killed(self, wait: bool) -> None:
        """Create predictions on one connection until it breaks."""
        with self.server.client() as api:
            self.are_ready.wait()
            try:
                while True:
                    self.count += 1
                    prompt = f"p{self.count}"
                    body = {"version": self.version, "input": {"prompt": prompt}}
                    answer = api.post("/v1/predictions", json=body, headers={"Prefer": "wait"} if wait else {})
                    assert answer.status_code == 201, answer.text
                    self.remember(answer.json(), prompt)
            except httpx.TransportError:
                return

    def remember(self, prediction: dict[str, Any], prompt: str) -> None:
        """Note a promise, and an outcome when there is one."""
        self.accepted[prediction["id"]] = prompt
        if prediction["status"] in TERMINAL:
            self.outcomes[prediction["id"]] = prediction


def live_through_a_kill(load: Load, pause_seconds: float) -> None:
    """Start the server, load it, kill it at the given moment."""
    load.server.start()
    threads = [threading.Thread(target=load.run_until_killed, args=(number % 2 == 0,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    load.are_ready.wait()
    time.sleep(pause_seconds)  # noqa: TID251 - the random moment is what is tested
    load.server.kill()
    for thread in threads:
        thread.join()


def settle(load: Load) -> dict[str, dict[str, Any]]:
    """Wait until every accepted prediction has ended; returns them by id."""
    ended: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    with load.server.client() as api:
        for prediction_id in load.accepted:
            while prediction_id not in ended:
                answer = api.get(f"/v1/predictions/{prediction_id}")
                assert answer.status_code == 200, f"{prediction_id} was accepted and is lost (seed {SEED}): {answer.text}"
                ended |= {prediction_id: answer.json()} if answer.json()["status"] in TERMINAL else {}
                assert time.monotonic() < deadline, f"{prediction_id} is still {answer.json()['status']}"
    return ended


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killing_the_server_loses_no_accepted_prediction_and_no_outcome_changes(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    server = LiveServer(tmp_path)
    server.start()
    load = Load(server, server.publish("echo", "local/echo"))
    server.kill()
    for _ in range(KILLS):
        live_through_a_kill(load, moments.uniform(0.0, 0.3))
    server.start()
    ended = settle(load)
    server.stop()
    assert len(load.accepted) > KILLS, f"seed {SEED}"
    for prediction_id, prompt in load.accepted.items():
        assert ended[prediction_id]["output"] == f"you said: {prompt}", ended[prediction_id]
    for prediction_id, outcome in load.outcomes.items():
        assert {**outcome} == {**ended[prediction_id]}
