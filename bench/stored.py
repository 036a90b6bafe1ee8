"""What stored predictions cost: the server's memory at rest and with 100,000 rows, and a page at 1,000 and at 1,000,000 rows."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from replicate_server.domain.ids import AccountId, ModelId, VersionId, build_prediction_id
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.clock import SystemClock, system_randomness
from replicate_server.store import open_store

from bench.processes import Platform, platform

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 2000


def _finished(account_id: AccountId, number: int) -> Prediction:
    created_at = EPOCH + timedelta(milliseconds=number)
    return Prediction(
        id=build_prediction_id(system_randomness(16)),
        account_id=account_id,
        model_id=ModelId("model_bench"),
        model="local/noop",
        version_id=VersionId("0" * 64),
        status=Status.SUCCEEDED,
        input={"value": "x"},
        output="x",
        metrics={"predict_time": 0.001},
        created_at=created_at,
        started_at=created_at,
        completed_at=created_at,
    )


async def _store_predictions(data_dir: Path, *, first: int, last: int) -> None:
    store = await open_store(data_dir / "platform.db", clock=SystemClock())
    try:
        account = (await store.list_accounts())[0]
        for start in range(first, last, BATCH):
            await asyncio.gather(
                *(store.create_prediction(_finished(account.id, number)) for number in range(start, min(start + BATCH, last)))
            )
    finally:
        await store.close()


def _page_ms(server: Platform) -> float:
    """The median time of the first page and of one far from it."""
    middle = (EPOCH + timedelta(milliseconds=500)).isoformat()
    seconds = []
    with httpx.Client(headers=server.headers, timeout=60) as client:
        for _ in range(20):
            for query in ("", f"?created_before={middle.replace('+00:00', 'Z')}"):
                began = time.perf_counter()
                client.get(f"{server.base_url}/v1/predictions{query}").raise_for_status()
                seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


def measure(folder: Path, *, quick: bool) -> dict[str, object]:
    """Fill the store step by step; between the steps start the server on it, read pages and look at its memory."""
    data_dir = folder / "stored"
    many = 50_000 if quick else 1_000_000
    steps = (0, 1_000, 20_000 if quick else 100_000, many)
    memory, page = {}, {}
    for before, rows in zip((0, *steps), steps, strict=False):
        if rows:
            asyncio.run(_store_predictions(data_dir, first=before, last=rows))
        with platform(data_dir) as server:
            memory[rows] = server.memory_bytes()
            if rows:
                page[rows] = _page_ms(server)
                memory[rows] = server.memory_bytes()
    return {
        "memory_mb": {f"{rows:,} rows": size / 1e6 for rows, size in memory.items()},
        "page_ms": {f"{rows:,} rows": time_ms for rows, time_ms in page.items()},
        "page_ratio": page[many] / page[1_000],
    }
