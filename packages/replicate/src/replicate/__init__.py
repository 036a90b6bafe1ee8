"""Python SDK for a Replicate-compatible platform.

The functions and namespaces here belong to one default client. Nothing happens at import: the client is made, and the
environment read, when something here is first used; every name below is loaded then. Make a `Client` for other tokens or
addresses.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Callable, Iterator, List, Mapping, Optional, TypeVar

from replicate.__about__ import __version__

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from replicate.client import Client, Replicate
    from replicate.exceptions import ModelError, ReplicateError, ReplicateException
    from replicate.helpers import FileOutput
    from replicate.identifier import ModelVersionIdentifier
    from replicate.model import Model
    from replicate.pagination import Page
    from replicate.prediction import Prediction
    from replicate.resources.accounts import Accounts
    from replicate.resources.deployments import Deployments
    from replicate.resources.files import Files
    from replicate.resources.models import Models
    from replicate.resources.parameters import RunParameters
    from replicate.resources.predictions import Predictions
    from replicate.resources.targets import Reference
    from replicate.resources.webhooks import Webhooks
    from replicate.stream import ServerSentEvent
    from replicate.version import Version

    default_client: Client
    accounts: Accounts
    deployments: Deployments
    files: Files
    models: Models
    predictions: Predictions
    webhooks: Webhooks

T = TypeVar("T")

__all__ = [
    "Client",
    "FileOutput",
    "Model",
    "ModelError",
    "ModelVersionIdentifier",
    "Page",
    "Prediction",
    "Replicate",
    "ReplicateError",
    "ReplicateException",
    "Version",
    "__version__",
    "accounts",
    "async_paginate",
    "async_run",
    "async_stream",
    "default_client",
    "deployments",
    "files",
    "models",
    "paginate",
    "predictions",
    "run",
    "stream",
    "webhooks",
]

_HOMES = {
    "Client": "client",
    "FileOutput": "helpers",
    "Model": "model",
    "ModelError": "exceptions",
    "ModelVersionIdentifier": "identifier",
    "Page": "pagination",
    "Prediction": "prediction",
    "Replicate": "client",
    "ReplicateError": "exceptions",
    "ReplicateException": "exceptions",
    "Version": "version",
}
_NAMESPACES = frozenset({"accounts", "deployments", "files", "models", "predictions", "webhooks"})


def run(
    ref: Reference,
    input: Optional[Mapping[str, Any]] = None,  # the API's word
    *,
    use_file_output: bool = True,
    **parameters: Unpack[RunParameters],
) -> Any:
    """Run a model with the default client and return its output; see `Client.run`."""
    return _client().run(ref, input, use_file_output=use_file_output, **parameters)


async def async_run(
    ref: Reference,
    input: Optional[Mapping[str, Any]] = None,  # the API's word
    *,
    use_file_output: bool = True,
    **parameters: Unpack[RunParameters],
) -> Any:
    """Run a model with the default client and return its output; see `Client.async_run`."""
    return await _client().async_run(ref, input, use_file_output=use_file_output, **parameters)


def stream(
    ref: Reference,
    input: Optional[Mapping[str, Any]] = None,  # the API's word
    *,
    use_file_output: bool = True,
    **parameters: Unpack[RunParameters],
) -> Iterator[ServerSentEvent]:
    """Run a model with the default client and iterate over its events; see `Client.stream`."""
    return _client().stream(ref, input, use_file_output=use_file_output, **parameters)


def async_stream(
    ref: Reference,
    input: Optional[Mapping[str, Any]] = None,  # the API's word
    *,
    use_file_output: bool = True,
    **parameters: Unpack[RunParameters],
) -> AsyncIterator[ServerSentEvent]:
    """Run a model with the default client and iterate over its events; see `Client.async_stream`."""
    return _client().async_stream(ref, input, use_file_output=use_file_output, **parameters)


def paginate(list_method: Callable[..., Page[T]]) -> Iterator[Page[T]]:
    """Iterate over all pages of a ``list`` method, such as ``replicate.models.list``."""
    return _client().paginate(list_method)


def async_paginate(list_method: Callable[..., Awaitable[Page[T]]]) -> AsyncIterator[Page[T]]:
    """Iterate over all pages of an ``async_list`` method."""
    return _client().async_paginate(list_method)


def _client() -> Client:
    """The default client, made on first use."""
    made: Client = getattr(sys.modules[__name__], "default_client")  # noqa: B009  # through __getattr__, also the first time
    return made


def __getattr__(name: str) -> Any:
    if name == "default_client":
        from replicate.client import Client

        return globals().setdefault("default_client", Client())
    if name in _NAMESPACES:
        return getattr(_client(), name)
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package's own kind of module: importing a submodule does not hide the function or namespace of the same name.

    ``replicate.stream`` is a function and also the module that 1.x code imports `ServerSentEvent` from; ``replicate.webhooks``
    likewise.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
