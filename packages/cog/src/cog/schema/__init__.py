"""The OpenAPI document of a model, made by importing its runner. Standard library only.

`build_schema` is the whole interface. Importing sees what the author wrote as Python sees it: computed defaults, imported
choices, aliases and inherited methods need no special case.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from cog.errors import RunnerError
from cog.loading import LoadedRunner, load_runner, unwrap
from cog.schema.document import assemble
from cog.schema.inputs import InputSchema, describe_inputs
from cog.schema.outputs import describe_output, is_iterator_output
from cog.signature import Signature, read_signature

__all__ = ["build_schema", "describe_runner"]


def build_schema(runner: str, source_dir: str, *, train: Optional[str] = None) -> Dict[str, Any]:
    """Import a runner and describe it.

    Args:
        runner: ``file.py:Class`` or ``file.py:function``, relative to ``source_dir``.
        source_dir: The model's folder.
        train: The same for a training function, when the model has one.

    Returns:
        The OpenAPI 3.0.2 document with sorted keys.

    Raises:
        RunnerError: Naming the file, the parameter and what to do.
        BaseException: Whatever importing the model raises.
    """
    return describe_runner(load_runner(runner, source_dir), load_runner(train, source_dir) if train else None)


def describe_runner(loaded: LoadedRunner, training: Optional[LoadedRunner] = None) -> Dict[str, Any]:
    """Describe a runner that is imported already.

    Raises:
        RunnerError: As `build_schema`.
    """
    method = loaded.method_of(loaded.target)
    signature = read_signature(method, loaded.file)
    taken: Dict[str, Any] = {}
    inputs = describe_inputs(signature.parameters, loaded.file, title="Input", taken=taken)
    output = describe_output(signature.returns, _place(loaded, method))
    is_streaming = bool(getattr(method, "__cog_streaming__", False))
    if is_streaming and not is_iterator_output(signature.returns):
        raise RunnerError(f"{_place(loaded, method)}: @streaming needs an iterator as its return type, such as Iterator[str]")
    trained = _describe_training(training, taken) if training else None
    return assemble(inputs=inputs, output=output, training=trained, is_streaming=is_streaming)


def _describe_training(training: LoadedRunner, taken: Dict[str, Any]) -> Dict[str, Any]:
    method = _train_method(training)
    signature: Signature = read_signature(method, training.file)
    inputs: InputSchema = describe_inputs(signature.parameters, training.file, title="TrainingInput", taken=taken)
    return {"inputs": inputs, "output": describe_output(signature.returns, _place(training, method))}


def _train_method(training: LoadedRunner) -> Callable[..., Any]:
    """A training target is a function, or a class with ``train()`` or what predictions have."""
    train = getattr(training.target, "train", None) if training.is_class else None
    return train if train is not None else training.method_of(training.target)


def _place(loaded: LoadedRunner, method: Callable[..., Any]) -> str:
    """Where in the author's source something is, for messages."""
    return f"{loaded.file}: {unwrap(method).__name__}()"
