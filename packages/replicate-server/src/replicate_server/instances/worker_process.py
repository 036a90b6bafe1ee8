"""A worker process with everything around it: sandbox, control group, connection, and an end that leaves nothing behind.

Used alike for instances and for describing a package. It passes the worker's messages on without judging them, and calls
``exited`` once, when no process of it is left and every message that came before the end has been delivered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from cog.worker.client import WorkerClient, WorkerListener, connect
from cog.worker.protocol import ServerMessage

from replicate_server.engine.cgroups import ControlGroup, ControlGroups, Limits
from replicate_server.engine.processes import (
    Activity,
    ChildProcess,
    is_alive,
    kill_processes,
    marked_processes,
    process_tree,
    sample_activity,
)
from replicate_server.engine.sandbox import Launch, Sandbox, SandboxUnusable
from replicate_server.instances.exits import Exit, describe_exit
from replicate_server.instances.scratch import Scratch, create_scratch
from replicate_server.instances.source_copy import copy_source

_LAST_MESSAGES_SECONDS = 2.0
_KILL_ROUNDS_MAX = 200
_KILL_ROUND_SECONDS = 0.02
# The init of a sandbox that is itself stopped cannot report; after this we end what stands above it.
_INIT_REPORT_SECONDS = 2.0

_DISCONNECTED_GRACE_SECONDS = 5.0

_decode: Callable[[Any], Any] = msgspec.json.Decoder().decode
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def _load_json(line: Any) -> Any:
    """Decode what a worker sent, with the errors that the protocol expects."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


BuildLaunch = Callable[[int, ControlGroup | None], Launch]
"""Makes the launch, given the descriptor of the worker's socket and the control group that limits it, if there is one."""


class LaunchFailed(Exception):
    """The worker's process could not be started; nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all worker processes of an engine share."""

    sandbox: Sandbox
    groups: ControlGroups


class WorkerProcess:
    """One worker, from start to a clean end."""

    def __init__(
        self,
        surroundings: Surroundings,
        instance_id: str,
        *,
        limits: Limits,
        wrote: Callable[[str], None],
        exited: Callable[[str], None],
    ) -> None:
        self._instance_id = instance_id
        self._sandbox = surroundings.sandbox
        self._groups = surroundings.groups
        self._limits = limits
        self._wrote = wrote
        self._exited = exited
        self._group: ControlGroup | None = None
        self._child: ChildProcess | None = None
        self._client: WorkerClient | None = None
        self._cause: str | None = None
        self._ending: asyncio.Task[None] | None = None
        self.scratch: Scratch | None = None
        self.source_dir = ""
        self.work_dir = ""

    async def start(self, build_launch: BuildLaunch, listener: WorkerListener) -> None:
        """Start the process and connect to it.

        Raises:
            LaunchFailed: If the process cannot be started; nothing is left behind then.
        """
        ours, theirs = socket.socketpair()
        try:
            self._start_child(build_launch, theirs)
        except (OSError, SandboxUnusable) as error:
            ours.close()
            await self._clean_up()
            raise LaunchFailed(f"the instance cannot be started: {error}") from error
        finally:
            theirs.close()
        self._client = await connect(ours, listener, loads=_load_json, dumps=_encode)
        self._client.closed.add_done_callback(lambda _: self._disconnected())

    def _start_child(self, build_launch: BuildLaunch, theirs: socket.socket) -> None:
        self._group = self._groups.create(self._instance_id, self._limits)
        launch = build_launch(theirs.fileno(), self._group)
        command = self._sandbox.build_command(launch)
        self.source_dir, self.work_dir = command.source_dir, command.work_dir
        self.scratch = create_scratch(launch.folder, model_dir=command.work_dir, owner=command.owner)
        copy_source(launch.source_dir, launch.own_source_dir, shown_at=command.shared_source_dir, owner=command.owner)
        self._child = ChildProcess(
            command.argv,
            variables=command.variables,
            join_files=self._group.join_files if self._group else (),
            inherited_fd=theirs.fileno(),
            wrote=self._wrote,
            exited=self._child_exited,
        )

    @property
    def open_scratch(self) -> Scratch:
        """The folders of a process that was started."""
        if self.scratch is None:
            raise RuntimeError("the process was not started")
        return self.scratch

    def send(self, message: ServerMessage) -> None:
        """Send a message; dropped when the connection is gone, for then the end is on its way."""
        if self._client is not None:
            self._client.send(message)

    def activity(self) -> Activity:
        """What its processes did so far."""
        return sample_activity(self._members())

    def kill(self, cause: str) -> None:
        """End every process of it by force; the first cause is the one reported."""
        self._cause = self._cause if self._cause is not None else cause
        if self._child is None:
            return
        if self._sandbox.has_init:
            # Killing the namespace's first process ends all in it at once; the process above it then reports and ends by itself.
            inside = process_tree(self._child.pid)[1:2]
            kill_processes(inside)
            if inside:
                asyncio.get_running_loop().call_later(_INIT_REPORT_SECONDS, self._child.kill)
                return
        kill_processes(self._members())
        self._child.kill()

    def _members(self) -> list[int]:
        if self._group is not None:
            return self._group.members()
        return process_tree(self._child.pid) if self._child is not None else []

    def _disconnected(self) -> None:
        """A worker that ends closes its connection first; one that lives on without it is of no use."""
        if self._ending is None:
            asyncio.get_running_loop().call_later(_DISCONNECTED_GRACE_SECONDS, self._kill_disconnected)

    def _kill_disconnected(self) -> None:
        if self._ending is None:
            self.kill("it closed its connection and did not end")

    def _child_exited(self, return_code: int) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._end(return_code))

    async def _end(self, return_code: int) -> None:
        """Kill what is left, let the last messages in, clean up, then tell why."""
        out_of_memory_kills = self._group.out_of_memory_kills() if self._group is not None else 0
        await self._kill_leftovers()
        if self._client is not None:
            try:
                async with asyncio.timeout(_LAST_MESSAGES_SECONDS):
                    await asyncio.shield(self._client.closed)
            except TimeoutError:
                self._client.close()
        await self._clean_up()
        end = Exit(return_code, self._sandbox.has_init, out_of_memory_kills, self._limits.memory_bytes, self._cause)
        self._exited(describe_exit(end))

    async def _kill_leftovers(self) -> None:
        """Children of the model may outlive it where no process namespace ends them."""
        for _ in range(_KILL_ROUNDS_MAX):
            if self._group is not None:
                self._group.kill()
                remaining = self._group.members()
            elif self._sandbox.has_init:
                remaining = []
            else:
                remaining = marked_processes("REPLICATE_INSTANCE_ID", self._instance_id)
                kill_processes(remaining)
            if not any(is_alive(pid) for pid in remaining):
                return
            await asyncio.sleep(_KILL_ROUND_SECONDS)

    async def _clean_up(self) -> None:
        for _ in range(_KILL_ROUNDS_MAX):
            if self._group is None or self._group.remove():
                break
            await asyncio.sleep(_KILL_ROUND_SECONDS)
        if self.scratch is not None:
            await asyncio.to_thread(self.scratch.close)
