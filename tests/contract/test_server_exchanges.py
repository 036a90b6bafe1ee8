"""The server against ``contract/examples``: every answer, field by field. A change of the wire fails here first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.exchanges import ASKS, read_examples, record
from tests.live import LiveServer

EXAMPLES = read_examples()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a fresh server answers."""
    server = LiveServer(tmp_path_factory.mktemp("contract"))
    server.start()
    yield record(server)
    server.stop()


def test_there_is_one_example_for_each_exchange() -> None:
    assert sorted(EXAMPLES) == sorted(ask.operation for ask in ASKS)


@pytest.mark.parametrize("operation", [ask.operation for ask in ASKS])
def test_the_server_answers_as_recorded(recorded: dict[str, Any], operation: str) -> None:
    assert recorded[operation] == EXAMPLES[operation]
