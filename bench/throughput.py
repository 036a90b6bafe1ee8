"""No-op predictions over HTTP with ``Prefer: wait``, against LitServe under the same load, in alternating rounds.

Ours are on disk before they are answered; LitServe stores nothing. Both run one worker of the same model.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from bench.http_load import LoadResult, run_load
from bench.processes import ROOT, Platform, litserve, platform

BODY = {"input": {"value": "x"}}


def _median(results: list[LoadResult]) -> dict[str, float]:
    """The median of each field over the rounds."""
    return {
        field: statistics.median(getattr(result, field) for result in results) for field in ("per_second", "p50_ms", "p99_ms")
    }


def _round(server: Platform, peer: str, version: str, *, clients: int, requests: int) -> tuple[LoadResult, LoadResult]:
    ours = run_load(
        f"{server.base_url}/v1/predictions",
        {"version": version, **BODY},
        headers={**server.headers, "Prefer": "wait"},
        clients=clients,
        requests=requests,
    )
    return ours, run_load(peer, BODY, headers={}, clients=clients, requests=requests)


def measure(folder: Path, *, quick: bool) -> dict[str, object]:
    """Alternate rounds at 1 and at 32 clients and compare the medians.

    Returns:
        Per client count the medians of both, the ratio of predictions/s (ours by theirs) and of p50 (ours by theirs).
    """
    rounds = 2 if quick else 5
    report: dict[str, object] = {}
    with platform(folder / "throughput", instances_per_version_max="1") as server, litserve() as peer:
        version = server.publish(ROOT / "bench" / "models" / "noop", "local/noop")
        _round(server, peer, version, clients=4, requests=400)
        for clients, requests in ((1, 600), (32, 6400)):
            pairs = [
                _round(server, peer, version, clients=clients, requests=requests // (4 if quick else 1)) for _ in range(rounds)
            ]
            ours, theirs = _median([pair[0] for pair in pairs]), _median([pair[1] for pair in pairs])
            report[f"{clients} clients"] = {
                "ours": ours,
                "litserve": theirs,
                "throughput_ratio": ours["per_second"] / theirs["per_second"],
                "p50_ratio": ours["p50_ms"] / theirs["p50_ms"],
            }
    return report
