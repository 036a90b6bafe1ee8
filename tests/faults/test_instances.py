"""Instances that are killed or stopped while they run predictions: the predictions run again soon (promises J3, J4, J5)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.watching import descendants, signal_all, until_status
from tests.live import LiveServer

ROUNDS = 6
SETTINGS = {"LEASE_SECONDS": "1", "PREDICTION_ATTEMPTS_MAX": "3", "INSTANCES_PER_VERSION_MAX": "1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path, SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_predictions_of_lost_instances_run_again(server: LiveServer, number: signal.Signals) -> None:
    version = server.publish("slow", "local/slow")
    assert server.process is not None
    with server.client() as api:
        for _ in range(ROUNDS):
            made = [api.post("/v1/predictions", json={"version": version, "input": {"seconds": 0.2}}).json() for _ in range(3)]
            until_status(api, made[0]["id"], "processing")
            signal_all(descendants(server.process.pid), number)
            ended = [until_status(api, each["id"], "succeeded", "failed", "canceled") for each in made]
            assert [(each["status"], each["output"]) for each in ended] == [("succeeded", "done waiting")] * 3


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_prediction_that_loses_its_instance_too_often_fails_with_the_cause(server: LiveServer) -> None:
    version = server.publish("slow", "local/slow")
    assert server.process is not None
    with server.client() as api:
        made = api.post("/v1/predictions", json={"version": version, "input": {"seconds": 30}}).json()
        for _ in range(int(SETTINGS["PREDICTION_ATTEMPTS_MAX"])):
            until_status(api, made["id"], "processing")
            signal_all(descendants(server.process.pid), signal.SIGKILL)
            until_status(api, made["id"], "starting", "failed")
        ended = until_status(api, made["id"], "failed")
    assert ended["error"].startswith("Prediction interrupted; please retry (code: PA): ")
