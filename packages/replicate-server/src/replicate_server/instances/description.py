"""Asks a package for its OpenAPI document: a worker that imports the runner, answers once and is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from cog.worker.protocol import Describe, Described, Done, Log, Metric, Output, Pong, Ready, SetupFailed

from replicate_server.domain.records import Package
from replicate_server.instances.worker_process import BuildLaunch, LaunchFailed, WorkerProcess
from replicate_server.ports.engine import PackageBroken


class Description:
    """Hears one worker until it has described its package or cannot."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._kept: list[str] = []
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self._gone: asyncio.Future[str] = loop.create_future()

    async def ask(
        self, worker: WorkerProcess, build_launch: BuildLaunch, package: Package, *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """Start the worker, ask, wait for the answer and for the worker's end.

        Raises:
            PackageBroken: If no document comes, with everything the author's code said.
        """
        try:
            await worker.start(build_launch, self)
        except LaunchFailed as error:
            raise PackageBroken(str(error)) from error
        worker.send(Describe(runner=package.runner, source_dir=worker.source_dir, train=package.train))
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._answer
        except TimeoutError as error:
            message = f"importing {package.runner} took longer than {timeout_seconds:g} s"
            raise PackageBroken(message, "".join(self._kept)) from error
        finally:
            worker.kill("it was asked to describe itself")
            await asyncio.shield(self._gone)

    def wrote(self, text: str) -> None:
        """Text beside the protocol."""
        self._tell(text if text.endswith("\n") else text + "\n")

    def exited(self, reason: str) -> None:
        """The worker is gone."""
        self._fail(f"the model's code ended the process: {reason}")
        self._gone.set_result(reason)

    def described(self, message: Described) -> None:
        """The answer."""
        if not self._answer.done():
            self._answer.set_result(message.openapi_schema)

    def setup_failed(self, message: SetupFailed) -> None:
        """The runner cannot be imported."""
        if message.traceback:
            self._tell(message.traceback.rstrip("\n") + "\n")
        self._fail(message.error)

    def log(self, message: Log) -> None:
        """What the author's module prints while it is imported."""
        self._tell(message.text)

    def broken(self, error: BaseException) -> None:
        """Not our protocol."""
        self._fail(f"the worker broke the instance protocol: {error}")

    def ready(self, message: Ready) -> None:
        """Not asked for."""

    def output(self, message: Output) -> None:
        """Not asked for."""

    def metric(self, message: Metric) -> None:
        """Not asked for."""

    def done(self, message: Done) -> None:
        """Not asked for."""

    def pong(self, message: Pong) -> None:
        """Not asked for."""

    def _tell(self, text: str) -> None:
        self._kept.append(text)
        self._log(text)

    def _fail(self, message: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(PackageBroken(message, "".join(self._kept)))
            self._answer.exception()  # Marks it as seen: nobody may be waiting any more.
