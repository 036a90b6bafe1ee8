"""``make bench``: runs every measurement, prints a table, writes JSON. ``--quick`` for a rough look, ``--only NAME`` for one."""

from __future__ import annotations

import argparse
import json
import platform as machine
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import cold_start, stored, streaming, throughput
from bench.processes import ROOT

MEASUREMENTS: dict[str, Callable[..., dict[str, object]]] = {
    "throughput": throughput.measure,
    "streaming": streaming.measure,
    "cold start": cold_start.measure,
    "stored predictions": stored.measure,
}


def _rows(name: str, report: dict[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _rows(f"{name} · {key}", value)
        else:
            yield f"{name} · {key}", f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows")
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), help="run one measurement")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results" / "latest.json")
    arguments = parser.parse_args()
    console = Console()
    results: dict[str, object] = {
        "machine": {"processor": machine.processor() or machine.machine(), "python": machine.python_version()}
    }
    table = Table("measurement", "value")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name, measure in MEASUREMENTS.items():
            if arguments.only in (None, name):
                console.print(f"measuring {name} …", style="dim")
                report = measure(Path(folder), quick=arguments.quick)
                results[name] = report
                for row in _rows(name, report):
                    table.add_row(*row)
    console.print(table)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
