"""Every method and its asynchronous twin have one signature, and every public function has its twin."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import replicate
from replicate.client import Client
from replicate.core.wire import AsyncWire, Wire
from replicate.helpers import FileOutput
from replicate.model import Model
from replicate.prediction import Prediction
from replicate.resources.accounts import Accounts
from replicate.resources.deployments import Deployments
from replicate.resources.files import Files
from replicate.resources.models import Models
from replicate.resources.predictions import Predictions
from replicate.resources.versions import Versions

HOMES: list[Any] = [replicate, Client, Accounts, Deployments, Files, Models, Predictions, Versions, Prediction, Model]
PAIRS = [(home, name) for home in HOMES for name in vars(home) if name.startswith("async_")]


def shape(function: Any) -> list[tuple[str, Any, Any, str]]:
    parameters = inspect.signature(function).parameters.values()
    return [
        (p.name, p.kind, p.default, str(p.annotation).replace("Callable[..., Awaitable[Page[T]]]", "Callable[..., Page[T]]"))
        for p in parameters
    ]


def result(function: Any) -> str:
    text = str(inspect.signature(function).return_annotation)
    return text.replace("AsyncIterator", "Iterator")


@pytest.mark.parametrize(("home", "name"), PAIRS, ids=[f"{home.__name__}.{name}" for home, name in PAIRS])
def test_a_twin_has_the_same_parameters_and_result(home: Any, name: str) -> None:
    twin, original = getattr(home, name), getattr(home, name[len("async_") :])
    assert shape(twin) == shape(original)
    assert result(twin) == result(original)


@pytest.mark.parametrize("home", [Accounts, Deployments, Files, Models, Predictions, Versions])
def test_every_request_of_a_namespace_has_a_twin(home: Any) -> None:
    without_requests = {"versions_of"}
    public = {name for name in vars(home) if not name.startswith(("_", "async_"))} - without_requests
    assert public == {name[len("async_") :] for name in vars(home) if name.startswith("async_")}


def test_the_two_wires_perform_the_same_actions() -> None:
    actions = [name for name in vars(Wire) if not name.startswith("_")]
    assert actions == [name for name in vars(AsyncWire) if not name.startswith("_")]
    assert [shape(getattr(Wire, name)) for name in actions] == [shape(getattr(AsyncWire, name)) for name in actions]


def test_reading_a_file_has_its_twin() -> None:
    assert {"read", "aread", "__iter__", "__aiter__"} <= set(vars(FileOutput))
