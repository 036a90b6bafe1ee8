"""From a `Setup` message to a runner that answers predictions."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from typing import Any, Callable, Optional

from cog.errors import RunnerError
from cog.loading import concurrency_of, is_async, load_runner, unwrap
from cog.signature import read_signature
from cog.types import Path
from cog.worker.coercion import InputReader
from cog.worker.protocol import Setup

WEIGHTS_FOLDER = "weights"
"""Handed to ``setup(weights)`` when no weights are configured and the model's folder has it, as older releases did."""


@dataclass(frozen=True)
class ReadyRunner:
    """A runner after its ``setup()``."""

    method: Callable[..., Any]
    inputs: InputReader
    is_async: bool
    slots: int


def set_up(message: Setup) -> ReadyRunner:
    """Import the runner, make it, call its ``setup()``.

    Raises:
        BaseException: Whatever the model's code raises; `RunnerError` for what cannot be run at all.
    """
    os.chdir(message.source_dir)
    loaded = load_runner(message.runner, os.path.abspath(message.source_dir))
    owner = loaded.target() if loaded.is_class else None
    method = loaded.method_of(owner)
    runs_async = is_async(method)
    slots = message.concurrency_max if message.concurrency_max > 1 else concurrency_of(method)
    if slots > 1 and not runs_async:
        raise RunnerError(
            f"{loaded.file}: {unwrap(method).__name__}() is not async, so it cannot answer {slots} predictions at once; "
            "make it `async def` or set concurrency.max to 1"
        )
    inputs = InputReader(read_signature(method, loaded.file).parameters)
    _call_setup(owner, message)
    return ReadyRunner(method=method, inputs=inputs, is_async=runs_async, slots=slots)


def _call_setup(owner: Any, message: Setup) -> None:
    setup = getattr(owner, "setup", None)
    if setup is None:
        return
    parameters = inspect.signature(setup).parameters
    result = setup(weights=_weights_for(parameters["weights"], message)) if "weights" in parameters else setup()
    if inspect.iscoroutine(result):
        from cog.worker.event_loop import event_loop

        event_loop().run_until_complete(result)


def _weights_for(parameter: inspect.Parameter, message: Setup) -> Any:
    """The configured weights, or the model's ``weights`` folder, as the type the parameter asks for."""
    found: Optional[str] = message.weights or os.environ.get("COG_WEIGHTS") or None
    if found is None and os.path.exists(os.path.join(message.source_dir, WEIGHTS_FOLDER)):
        found = WEIGHTS_FOLDER
    if found is None:
        return parameter.default if parameter.default is not inspect.Parameter.empty else None
    wanted = str(parameter.annotation)
    return Path(found) if "Path" in wanted and "str" not in wanted and "://" not in found else found
