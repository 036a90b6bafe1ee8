"""A process whose children create and finish predictions for ever, and tell each acknowledged write, until it kills them.

Children are forked, so that a kill costs milliseconds and not the start of an interpreter. Prints one JSON line for each write.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from datetime import timedelta

from replicate_server.domain.ids import AccountId, HolderId, InstanceId, ModelId, VersionId, build_prediction_id
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Prediction
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import ClaimRef, Outcome
from replicate_server.store import SqlStore, open_store

CLIENTS = 8


def acknowledge(pipe: int, what: str, prediction: Prediction) -> None:
    """Tell the parent with one system call, so that a kill cannot take back half of it."""
    os.write(pipe, json.dumps([what, prediction.id]).encode() + b"\n")


async def write_for_ever(store: SqlStore, pipe: int) -> None:
    """Create and finish, one prediction after the other."""
    now = SystemClock().now()
    while True:
        prediction = Prediction(
            id=build_prediction_id(secrets.token_bytes(16)),
            account_id=AccountId("a"),
            model_id=ModelId("m"),
            model="o/m",
            version_id=VersionId("v"),
            status=Status.STARTING,
            input={},
            created_at=now,
            attempt=1,
            claim=Claim(HolderId("h"), InstanceId("i"), 1, now + timedelta(seconds=60)),
        )
        await store.create_prediction(prediction)
        acknowledge(pipe, "created", prediction)
        await store.finish_prediction(ClaimRef(prediction.id, 1), Outcome(Status.SUCCEEDED, now, started_at=now))
        acknowledge(pipe, "finished", prediction)


async def run_child(path: str, pipe: int) -> None:
    """Run several writers at once, so that kills hit shared commits."""
    store = open_store(path, clock=SystemClock())
    await asyncio.gather(*(write_for_ever(store, pipe) for _ in range(CLIENTS)))


def kill_after(path: str, line_count: int) -> None:
    """Fork a child, kill it after some acknowledgements, and print all that it sent."""
    reading, writing = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        asyncio.run(run_child(path, writing))
    os.close(writing)
    with os.fdopen(reading) as lines:
        for number, line in enumerate(lines):
            if number == line_count:
                os.kill(process_id, signal.SIGKILL)
            sys.stdout.write(line)
    os.waitpid(process_id, 0)


if __name__ == "__main__":
    for kill in range(int(sys.argv[2])):
        # Spread over a child's life: from its first answer to some hundreds later, at no round number of a batch.
        kill_after(sys.argv[1], kill * 23 % 400)
        sys.stdout.flush()
