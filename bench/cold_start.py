"""A new instance's first answer, against the bare cost of an interpreter of the same environment and ``setup()``."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import cog
import httpx

from bench.processes import ROOT, platform

MODEL = ROOT / "bench" / "models" / "setup"
BARE = "from predict import Predictor; p = Predictor(); p.setup(); print(p.predict('x'))"


def _bare_seconds(python: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        [str(python), "-c", BARE],
        cwd=MODEL,
        env={"PYTHONPATH": str(Path(cog.__file__).parent.parent)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def measure(folder: Path, *, quick: bool) -> dict[str, object]:
    """Take the median of several cold starts and of as many bare starts, alternating.

    Returns:
        Both medians in seconds and the difference: what the platform adds (sandbox, worker, queue, two commits).
    """
    ours, bare = [], []
    data_dir = folder / "cold-start"
    with platform(data_dir, instance_idle_seconds="0") as server, httpx.Client(timeout=60) as client:
        version = server.publish(MODEL, "local/setup")
        python = next((data_dir / "environments").glob("*/bin/python"))
        for _ in range(4 if quick else 12):
            began = time.perf_counter()
            answer = client.post(
                f"{server.base_url}/v1/predictions",
                json={"version": version, "input": {"value": "x"}},
                headers={**server.headers, "Prefer": "wait"},
            )
            ours.append(time.perf_counter() - began)
            if answer.json()["status"] != "succeeded":
                raise RuntimeError(answer.text)
            bare.append(_bare_seconds(python))
            time.sleep(1.5)  # noqa: TID251 - the idle instance has to be gone before the next cold start
    return {
        "first_answer_seconds": statistics.median(ours),
        "bare_seconds": statistics.median(bare),
        "added_seconds": statistics.median(ours) - statistics.median(bare),
    }
