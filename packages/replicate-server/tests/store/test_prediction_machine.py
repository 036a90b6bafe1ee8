"""Random operations on predictions against a small model: one outcome ever, nothing lost, tokens that only grow."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from replicate_server.domain.ids import AccountId, HolderId, InstanceId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import TERMINAL, TRANSITIONS, Status
from replicate_server.domain.records import Claim, Event, Prediction
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import ClaimRef, Consequences, Outcome
from replicate_server.store import open_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
V1 = VersionId("v1")
HOLDER = HolderId("holder")
INSTANCE = InstanceId("instance")
ATTACKS = (
    "status = 'starting', completed_at = NULL",
    "status = 'processing'",
    "error = 'x'",
    "output = '1'",
    "completed_at = 1",
    "claim_token = claim_token - 1",
)


@cache
def migrated_database() -> Path:
    """A new database, made once: migrating costs more than a whole run of the machine."""
    path = Path(tempfile.mkdtemp(prefix="store-machine-")) / "empty.sqlite3"
    asyncio.run(open_store(path, clock=SystemClock()).close())
    return path


@dataclass
class Expected:
    """What the model knows of one prediction."""

    status: Status = Status.STARTING
    token: int = 0
    is_claimed: bool = False
    attempt: int = 0
    error: str | None = None
    event_count: int = 0


class PredictionMachine(RuleBasedStateMachine):
    """Compares the store with the model after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-machine-"))
        shutil.copy(migrated_database(), self.folder / "store.sqlite3")
        self.runner = asyncio.Runner()
        self.model: dict[PredictionId, Expected] = {}

    @initialize()
    def open(self) -> None:
        self.store = open_store(self.folder / "store.sqlite3", clock=SystemClock())

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def pick(self, number: int) -> tuple[PredictionId, Expected]:
        """One of the predictions there are."""
        chosen = sorted(self.model)[number % len(self.model)]
        return chosen, self.model[chosen]

    @rule(is_claimed=st.booleans())
    def create(self, is_claimed: bool) -> None:
        number = len(self.model)
        claim = Claim(HOLDER, INSTANCE, 1, NOW) if is_claimed else None
        prediction = Prediction(
            id=PredictionId(f"p{number:03}"), account_id=AccountId("a"), model_id=ModelId("m"), model="o/m", version_id=V1,
            status=Status.STARTING, input={}, created_at=NOW + timedelta(seconds=number), attempt=int(is_claimed), claim=claim,
        )  # fmt: skip
        self.runner.run(self.store.create_prediction(prediction))
        self.model[prediction.id] = Expected(token=int(is_claimed), is_claimed=is_claimed, attempt=int(is_claimed))

    @rule(claims_max=st.integers(1, 3))
    def claim(self, claims_max: int) -> None:
        claimed = self.runner.run(
            self.store.claim_predictions(V1, claims_max=claims_max, holder=HOLDER, instance_id=INSTANCE, expires_at=NOW)
        )
        waiting = [one for one, known in sorted(self.model.items()) if known.status == "starting" and not known.is_claimed]
        assert [prediction.id for prediction in claimed] == waiting[:claims_max]
        for prediction in claimed:
            known = self.model[prediction.id]
            known.token, known.attempt, known.is_claimed = known.token + 1, known.attempt + 1, True
            assert prediction.claim is not None
            assert prediction.claim.token == known.token

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50), age=st.integers(0, 2))
    def release(self, number: int, age: int) -> None:
        chosen, known = self.pick(number)
        self.runner.run(self.store.release_claims([ClaimRef(chosen, known.token - age)]))
        if age == 0 and known.is_claimed and known.status is Status.STARTING:
            known.is_claimed, known.attempt = False, known.attempt - 1

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50), age=st.integers(0, 2))
    def append(self, number: int, age: int) -> None:
        chosen, known = self.pick(number)
        event = Event(chosen, known.event_count + 1, "log", "x", NOW)
        consequences = Consequences(events=[event])
        accepted = self.runner.run(
            self.store.append_events(ClaimRef(chosen, known.token - age), started_at=NOW, consequences=consequences)
        )
        assert accepted == (known.is_claimed and age == 0)
        if accepted:
            known.status, known.event_count = Status.PROCESSING, known.event_count + 1

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50), age=st.integers(0, 2))
    def requeue(self, number: int, age: int) -> None:
        chosen, known = self.pick(number)
        accepted = self.runner.run(self.store.requeue_prediction(ClaimRef(chosen, known.token - age)))
        assert accepted == (known.is_claimed and age == 0)
        if accepted:
            known.status, known.is_claimed = Status.STARTING, False

    @precondition(lambda self: self.model)
    @rule(
        number=st.integers(0, 50),
        age=st.integers(0, 2),
        status=st.sampled_from(sorted(TRANSITIONS[Status.PROCESSING] & TERMINAL)),
    )
    def finish(self, number: int, age: int, status: Status) -> None:
        chosen, known = self.pick(number)
        outcome = Outcome(status, NOW, started_at=NOW, error=f"{status} {number}")
        accepted = self.runner.run(self.store.finish_prediction(ClaimRef(chosen, known.token - age), outcome))
        assert accepted == (known.is_claimed and age == 0)
        if accepted:
            known.status, known.is_claimed, known.error = status, False, outcome.error

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50), status=st.sampled_from(sorted(TRANSITIONS[Status.STARTING] & TERMINAL)))
    def finish_unclaimed(self, number: int, status: Status) -> None:
        chosen, known = self.pick(number)
        outcome = Outcome(status, NOW, error=f"unclaimed {number}")
        accepted = self.runner.run(self.store.finish_unclaimed(chosen, outcome))
        assert accepted == (known.status is Status.STARTING and not known.is_claimed)
        if accepted:
            known.status, known.error = status, outcome.error

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50))
    def request_cancel(self, number: int) -> None:
        chosen, known = self.pick(number)
        assert self.runner.run(self.store.request_cancel(chosen, at=NOW)) == (known.status not in TERMINAL)

    @precondition(lambda self: any(known.status in TERMINAL for known in self.model.values()))
    @rule(change=st.sampled_from(ATTACKS))
    def attack(self, change: str) -> None:
        """Raw SQL against outcomes; each change is illegal for every ended prediction."""
        raw = sqlite3.connect(self.folder / "store.sqlite3", isolation_level=None)
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(f"UPDATE predictions SET {change} WHERE completed_at IS NOT NULL")
        raw.close()

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.close())
        self.open()

    @invariant()
    def store_and_model_agree(self) -> None:
        for prediction_id, known in self.model.items():
            stored = self.runner.run(self.store.prediction(prediction_id))
            assert stored is not None
            token = stored.claim.token if stored.claim else known.token
            assert (stored.status, stored.claim is not None, token, stored.attempt, stored.error) == (
                known.status, known.is_claimed, known.token, known.attempt, known.error
            )  # fmt: skip

    @invariant()
    def queues_hold_what_nobody_claimed(self) -> None:
        waiting = [known for known in self.model.values() if known.status is Status.STARTING and not known.is_claimed]
        assert sum(queue.queued for queue in self.runner.run(self.store.queues())) == len(waiting)


TestPredictionMachine = PredictionMachine.TestCase
TestPredictionMachine.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
