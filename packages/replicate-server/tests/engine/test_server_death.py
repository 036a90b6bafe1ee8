"""A server that is killed takes its instances with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from replicate_server.engine.processes import marked_processes

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.

SERVER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from replicate_server.domain.records import Package, Version
from replicate_server.engine.config import LocalEngineConfig, SandboxChoice
from replicate_server.engine.local import LocalEngine
from replicate_server.ports.engine import InstanceSpec, Resources

data_dir, source_dir, sandbox, name = sys.argv[1:]

class Observer:
    def __getattr__(self, event):
        return lambda *arguments: print(event, flush=True)

class Packages:
    async def source_dir(self, version_id, package):
        return source_dir

async def main():
    engine = LocalEngine(LocalEngineConfig(Path(data_dir), SandboxChoice(sandbox)), Packages())
    package = Package("predict.py:Predictor", (), "3.11", "")
    version = Version("v", "m", "o", "n", datetime.now(UTC), "", {}, b"", package)
    await engine.start_instance(InstanceSpec(name, version, Resources(memory_bytes=2**28), 30), Observer())
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_killing_the_server_ends_its_instances(config: Any, shared_dir: Path) -> None:
    name = f"orphan-{config.sandbox}"
    arguments = [str(config.data_dir), str(shared_dir / "model"), str(config.sandbox), name]
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, *arguments, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    async with asyncio.timeout(30):
        while await server.stdout.readline() != b"ready\n":
            continue
    assert marked_processes("REPLICATE_INSTANCE_ID", name)
    server.send_signal(signal.SIGKILL)
    await server.wait()
    async with asyncio.timeout(10):
        while marked_processes("REPLICATE_INSTANCE_ID", name):  # noqa: ASYNC110 - its parent is dead: nobody tells us
            await asyncio.sleep(0.01)
