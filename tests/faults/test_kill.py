"""``kill -9`` of the server at random moments under load: nothing accepted is lost, nothing ends twice (promises J1, J2, J3).

The kills are dealt to independent shards, each with a server of its own, so that they run side by side. A failure names its seed;
``KILL_SEED=… make test`` replays the moments. ``KILL_COUNT`` sets how many kills in all (200 by default).
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - the moments of the kills come from a printed seed
from pathlib import Path

import pytest

from tests.faults.load import MODELS, Load
from tests.live import LiveServer

KILLS = int(os.environ.get("KILL_COUNT", "200"))
SEED = int(os.environ.get("KILL_SEED", "20261120"))
SHARDS = 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", [pytest.param(n, marks=pytest.mark.xdist_group(f"kill {n}")) for n in range(SHARDS)])
def test_killing_the_server_loses_no_accepted_prediction_and_no_outcome_changes(tmp_path: Path, shard: int) -> None:
    moments = random.Random(f"{SEED} {shard}")
    server = LiveServer(tmp_path)
    server.start()
    load = Load(server, {name: server.publish(name, f"local/{name}") for name in MODELS})
    server.kill()
    for _ in range(shard, KILLS, SHARDS):
        load.run_for(moments.uniform(0.0, 0.5))
    server.start()
    ended = load.settle()
    server.stop()
    assert load.surprises == [], f"KILL_SEED={SEED}"
    assert set(ended) == set(load.promises), f"KILL_SEED={SEED}"
    assert len(ended) > KILLS // SHARDS
    breaches = {id: promise.find_breach(ended[id]) for id, promise in load.promises.items()}
    assert {id: breach for id, breach in breaches.items() if breach} == {}, f"KILL_SEED={SEED}"
