"""Leases: who does not answer and does not work is lost; who computes without answering is not."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from replicate_server.engine.processes import marked_processes
from replicate_server.instances.liveness import Liveness, Verdict

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.


@pytest.mark.anyio
async def test_a_stopped_instance_is_lost_and_killed(short_lease_bench: Bench) -> None:
    instance = await short_lease_bench.start_ready()
    for pid in marked_processes("REPLICATE_INSTANCE_ID", instance.id):
        os.kill(pid, signal.SIGSTOP)
    assert await short_lease_bench.recorder.wait("exited") == "killed by SIGKILL (unresponsive for 0.6 s)"
    assert not marked_processes("REPLICATE_INSTANCE_ID", instance.id)


@pytest.mark.anyio
async def test_code_that_holds_the_interpreter_and_computes_is_tolerated(short_lease_bench: Bench) -> None:
    instance = await short_lease_bench.start_ready()
    done = await short_lease_bench.run(instance, "hold_interpreter", "2")
    assert done.output == "computed"


def test_silence_for_a_lease_is_the_end() -> None:
    liveness = Liveness(15, alive_at=0)
    assert [liveness.tick(now) for now in (4, 5, 10, 15)] == [Verdict.ALIVE, Verdict.SILENT, Verdict.SILENT, Verdict.LOST]


def test_an_answer_renews_the_lease() -> None:
    liveness = Liveness(15, alive_at=0)
    liveness.tick(5)
    liveness.heard(9)
    assert [liveness.tick(now) for now in (10, 15, 20, 24)] == [Verdict.ALIVE, Verdict.SILENT, Verdict.SILENT, Verdict.LOST]


def test_computing_counts_as_living() -> None:
    liveness = Liveness(15, alive_at=0)
    for number, now in enumerate((5, 10, 15, 20, 25, 30)):
        liveness.tick(now)
        liveness.sampled(now, cpu_ticks=number, is_stopped=False)
    assert liveness.judge(30) is Verdict.ALIVE


def test_what_a_stopped_process_computed_before_does_not_count() -> None:
    liveness = Liveness(15, alive_at=0)
    liveness.sampled(5, cpu_ticks=1, is_stopped=False)
    liveness.sampled(10, cpu_ticks=2, is_stopped=True)
    assert liveness.judge(15) is Verdict.LOST


def test_a_pause_of_the_server_itself_starts_the_lease_anew() -> None:
    liveness = Liveness(15, alive_at=0)
    liveness.tick(5)
    assert liveness.tick(3600) is Verdict.ALIVE


def test_the_next_look_is_not_later_than_the_end_of_the_lease() -> None:
    liveness = Liveness(15, alive_at=0)
    assert [liveness.next_tick_seconds(now) for now in (0, 12)] == [5, 3]
