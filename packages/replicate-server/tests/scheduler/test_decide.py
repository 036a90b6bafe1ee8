"""The planner's pure choice, rule by rule, and its invariants over random situations and simulated time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from replicate_server.domain.ids import InstanceId, VersionId
from replicate_server.ports.engine import Resources
from replicate_server.scheduler.decide import decide, fits, subtract, total
from replicate_server.scheduler.decisions import (
    DrainInstance,
    FailQueued,
    InstanceView,
    Limits,
    QueueView,
    Snapshot,
    StartInstance,
    StopInstance,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SMALL = Resources(1, 1024, 0)
LIMITS = Limits(instances_per_version_max=4, instance_idle_seconds=300, starvation_seconds=10, scale_up_seconds=2)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def queue(version: str, *, waited: float = 1, waiting: int = 1, **fields: Any) -> QueueView:
    since = ago(waited)
    return QueueView(VersionId(version), waiting, since, fields.pop("waiting_since", since), fields.pop("needs", SMALL), **fields)


def instance(identity: str, version: str, state: str = "serving", *, running: int = 0, used: float = 20) -> InstanceView:
    return InstanceView(InstanceId(identity), VersionId(version), state, running, 1, ago(used), ago(100), SMALL)


def choose(queues: list[QueueView], instances: list[InstanceView], *, places: float = 2) -> list[Any]:
    snapshot = Snapshot(tuple(queues), tuple(instances), Resources(places, 1024 * 100, 0), LIMITS)
    return decide(snapshot, now=NOW)


def test_nothing_to_do_is_nothing_decided() -> None:
    assert choose([], []) == []


def test_the_first_queued_prediction_starts_an_instance_at_once() -> None:
    assert choose([queue("a")], []) == [StartInstance(VersionId("a"))]


def test_one_instance_that_is_starting_is_enough_for_now() -> None:
    assert choose([queue("a", waiting=1000)], [instance("1", "a", "starting")]) == []


def test_a_short_queue_does_not_get_a_second_instance() -> None:
    assert choose([queue("a", waiting=2, run_seconds=0.1)], [instance("1", "a", running=1)]) == []


def test_a_queue_of_more_work_than_its_instances_do_soon_gets_one_more() -> None:
    queues = [queue("a", waiting=30, run_seconds=1)]
    assert choose(queues, [instance("1", "a", running=1)]) == [StartInstance(VersionId("a"))]


def test_scaling_up_never_evicts_another_version() -> None:
    queues = [queue("a", waiting=30, run_seconds=1)]
    assert choose(queues, [instance("1", "a", running=1), instance("2", "b")]) == []


def test_an_idle_instance_of_another_version_is_evicted_least_recently_used_first() -> None:
    instances = [instance("1", "b", used=30), instance("2", "c", used=60)]
    assert choose([queue("a")], instances) == [StopInstance(InstanceId("2"))]


def test_room_that_is_being_made_is_waited_for() -> None:
    instances = [instance("1", "b", running=1), instance("2", "c", "stopping")]
    assert choose([queue("a", waited=60)], instances) == []


def test_busy_instances_are_left_alone_until_another_version_waits_too_long() -> None:
    instances = [instance("1", "b", running=1), instance("2", "c", running=1)]
    assert choose([queue("a", waited=9)], instances) == []


def test_a_starving_version_drains_an_instance_of_the_version_with_most() -> None:
    instances = [instance("1", "b", running=1), instance("2", "b", running=1), instance("3", "c", running=1)]
    decisions = choose([queue("a", waited=11)], instances, places=3)
    assert len(decisions) == 1
    assert isinstance(decisions[0], DrainInstance)
    assert decisions[0].instance_id in {"1", "2"}


def test_an_instance_keeps_its_place_for_the_starvation_time() -> None:
    young = replace(instance("1", "b", running=1), ready_at=ago(5))
    assert choose([queue("a", waited=60)], [young], places=1) == []


def test_a_drained_instance_is_stopped_when_it_is_idle() -> None:
    instances = [instance("1", "b", "draining", running=0), instance("2", "b", "draining", running=1)]
    assert choose([], instances) == [StopInstance(InstanceId("1"))]


def test_an_instance_idle_beyond_its_time_stops() -> None:
    assert choose([], [instance("1", "a", used=301)]) == [StopInstance(InstanceId("1"))]
    assert choose([], [instance("1", "a", used=299)]) == []


def test_a_quarantined_version_fails_what_waits() -> None:
    quarantined = queue("a", quarantined_until=NOW + timedelta(seconds=1))
    assert choose([quarantined], []) == [FailQueued(VersionId("a"), "quarantined")]
    assert choose([replace(quarantined, quarantined_until=NOW)], []) == [StartInstance(VersionId("a"))]


def test_a_failed_start_is_not_repeated_before_its_time() -> None:
    assert choose([queue("a", retry_at=NOW + timedelta(seconds=1))], []) == []


def test_what_can_never_fit_fails() -> None:
    assert choose([queue("a", needs=Resources(1, 1, 1))], []) == [FailQueued(VersionId("a"), "too_big")]


versions = st.sampled_from("abcde")
views = st.builds(
    instance,
    st.uuids().map(str),
    versions,
    st.sampled_from(["starting", "serving", "draining", "stopping"]),
    running=st.integers(0, 1),
    used=st.floats(0, 1000),
)
waits = st.builds(
    queue, versions, waited=st.floats(0, 100), waiting=st.integers(1, 2000), run_seconds=st.none() | st.floats(0.0001, 100)
)


@given(
    queues=st.lists(waits, unique_by=lambda one: one.version_id), instances=st.lists(views, max_size=6), spare=st.integers(0, 3)
)
def test_capacity_is_never_exceeded(queues: list[QueueView], instances: list[InstanceView], spare: int) -> None:
    capacity = Resources(len(instances) + spare, 1024 * 100, 0)
    decisions = decide(Snapshot(tuple(queues), tuple(instances), capacity, LIMITS), now=NOW)
    started = [SMALL for decision in decisions if isinstance(decision, StartInstance)]
    free = subtract(capacity, total(one.resources for one in instances))
    assert fits(total(started), free)


@given(
    queues=st.lists(waits, unique_by=lambda one: one.version_id), instances=st.lists(views, max_size=6), spare=st.integers(0, 3)
)
def test_only_idle_instances_are_stopped_and_none_twice(
    queues: list[QueueView], instances: list[InstanceView], spare: int
) -> None:
    capacity = Resources(len(instances) + spare, 1024 * 100, 0)
    decisions = decide(Snapshot(tuple(queues), tuple(instances), capacity, LIMITS), now=NOW)
    busy = {one.id for one in instances if one.running}
    touched = [decision.instance_id for decision in decisions if isinstance(decision, StopInstance | DrainInstance)]
    assert not {decision.instance_id for decision in decisions if isinstance(decision, StopInstance)} & busy
    assert max(Counter(touched).values(), default=0) <= 1


class Simulation:
    """A machine with few places and versions whose queues never end: each served prediction takes a second of time."""

    def __init__(self, names: str, places: int) -> None:
        self.now = NOW
        self.places = places
        self.instances: dict[str, InstanceView] = {}
        self.left: dict[str, datetime] = {}
        self.served: Counter[str] = Counter()
        self.names = names

    def tick(self) -> None:
        queues = tuple(
            QueueView(VersionId(name), 100, NOW, max(NOW, self.left.get(name, NOW)), SMALL, run_seconds=1.0)
            for name in self.names
        )
        capacity = Resources(self.places, 1024 * 100, 0)
        snapshot = Snapshot(queues, tuple(self.instances.values()), capacity, LIMITS)
        for decision in decide(snapshot, now=self.now):
            self.perform(decision)
        self.now += timedelta(seconds=1)
        for identity, view in list(self.instances.items()):
            self.serve(identity, view)

    def perform(self, decision: Any) -> None:
        if isinstance(decision, StartInstance):
            identity = f"{decision.version_id}{len(self.instances)}{self.now.isoformat()}"
            self.instances[identity] = replace(
                instance(identity, decision.version_id), running=1, used_at=self.now, ready_at=self.now
            )
        elif isinstance(decision, StopInstance):
            gone = self.instances.pop(decision.instance_id)
            self.left[gone.version_id] = self.now
        elif isinstance(decision, DrainInstance):
            self.instances[decision.instance_id] = replace(self.instances[decision.instance_id], state="draining")

    def serve(self, identity: str, view: InstanceView) -> None:
        self.served[view.version_id] += 1
        running = 0 if view.state == "draining" else 1
        self.instances[identity] = replace(view, running=running, used_at=self.now)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 7), places=st.integers(1, 4))
def test_no_version_starves_however_busy_the_others_are(count: int, places: int) -> None:
    simulation = Simulation("abcdefg"[:count], places)
    for _ in range(20 * count):
        simulation.tick()
    assert set(simulation.served) == set(simulation.names)
