"""Server-sent events: time to the first token, and tokens/s over 32 streams at once."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.processes import ROOT, Platform, platform

TOKENS = 500
STREAMS = 32


async def _read_stream(url: str) -> tuple[float, float, int]:
    """Read one stream to its end; returns when the first and the last output came, and how many came."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n".encode()
    )
    first, last, count, tail = 0.0, 0.0, 0, b""
    while chunk := await reader.read(65536):
        found = (tail + chunk).count(b"event: output\n") - tail.count(b"event: output\n")
        tail = chunk[-20:]
        if found:
            last = time.perf_counter()
            first = first or last
            count += found
    writer.close()
    return first, last, count


async def _one(client: httpx.AsyncClient, server: Platform, version: str, count: int) -> tuple[float, float, float, int]:
    began = time.perf_counter()
    answer = await client.post(
        f"{server.base_url}/v1/predictions", json={"version": version, "input": {"count": count}}, headers=server.headers
    )
    answer.raise_for_status()
    return (began, *await _read_stream(answer.json()["urls"]["stream"]))


async def _run(server: Platform, version: str, *, quick: bool) -> dict[str, object]:
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=STREAMS)) as client:
        await _one(client, server, version, 10)
        singles = [await _one(client, server, version, 50) for _ in range(5 if quick else 20)]
        began = time.perf_counter()
        many = await asyncio.gather(*(_one(client, server, version, TOKENS) for _ in range(STREAMS)))
        elapsed = max(last for _, _, last, _ in many) - began
    counts = {count for *_, count in many}
    if counts != {TOKENS}:
        raise RuntimeError(f"streams lost or repeated tokens: {json.dumps(sorted(counts))}")
    return {
        "first_token_p50_ms": statistics.median(first - start for start, first, _, _ in singles) * 1000,
        "streams": STREAMS,
        "tokens_per_second": STREAMS * TOKENS / elapsed,
    }


def measure(folder: Path, *, quick: bool) -> dict[str, object]:
    """Measure streams of the token model; every stream must deliver every token exactly once."""
    with platform(folder / "streaming", instances_per_version_max="4") as server:
        version = server.publish(ROOT / "bench" / "models" / "tokens", "local/tokens")
        return asyncio.run(_run(server, version, quick=quick))
