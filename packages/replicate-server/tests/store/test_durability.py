"""Durability: what a write method returned for is on disk, whatever happens to the process a moment later."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from replicate_server.domain.ids import InstanceId, PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Prediction
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import ClaimRef, Outcome
from replicate_server.store import open_store

NewPrediction = Callable[..., Prediction]

KILLS = 30
WRITER_PROGRAM = Path(__file__).with_name("writing_process.py")


@pytest.mark.anyio
async def test_a_copy_of_the_files_taken_when_a_write_returns_has_the_write(
    tmp_path: Path, new_prediction: NewPrediction
) -> None:
    (tmp_path / "live").mkdir()
    store = open_store(tmp_path / "live" / "store.sqlite3", clock=SystemClock())
    born = new_prediction(attempt=1)
    claim = Claim("h", InstanceId("i"), 1, born.created_at)  # type: ignore[arg-type]
    born = new_prediction(attempt=1, claim=claim)
    await store.create_prediction(born)
    shutil.copytree(tmp_path / "live", tmp_path / "created")
    await store.finish_prediction(ClaimRef(born.id, 1), Outcome(Status.SUCCEEDED, born.created_at, started_at=born.created_at))
    shutil.copytree(tmp_path / "live", tmp_path / "finished")
    await store.close()
    for folder, status in (("created", Status.STARTING), ("finished", Status.SUCCEEDED)):
        copy = open_store(tmp_path / folder / "store.sqlite3", clock=SystemClock())
        found = await copy.prediction(born.id)
        assert found is not None
        assert found.status == status
        await copy.close()


async def statuses(path: Path, ids: set[str]) -> dict[str, Status]:
    store = open_store(path, clock=SystemClock())
    found = {one: await store.prediction(PredictionId(one)) for one in ids}
    await store.close()
    return {prediction.id: prediction.status for prediction in found.values() if prediction}


def test_everything_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    program = [sys.executable, str(WRITER_PROGRAM), str(path), str(KILLS)]
    told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    acknowledged: dict[str, set[str]] = {"created": set(), "finished": set()}
    for line in told.splitlines():
        what, prediction_id = json.loads(line)
        acknowledged[what].add(prediction_id)
    found = asyncio.run(statuses(path, acknowledged["created"]))
    assert len(acknowledged["created"]) > KILLS * 10
    assert set(found) == acknowledged["created"] >= acknowledged["finished"]
    assert {found[one] for one in acknowledged["finished"]} == {Status.SUCCEEDED}
