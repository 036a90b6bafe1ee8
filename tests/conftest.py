"""Fixtures that every kind of test may use: a live server with the test models published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.live import LiveServer

MODEL_NAMES = ("echo", "tokens", "picture", "slow", "broken", "caption", "crash")


@dataclass(frozen=True)
class Published:
    """A live server and the version ids of the test models, published as ``local/<name>``."""

    server: LiveServer
    versions: dict[str, str]

    def reference(self, name: str) -> str:
        """``local/name:id``."""
        return f"local/{name}:{self.versions[name]}"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """One server for all tests of a session that only add to it."""
    server = LiveServer(tmp_path_factory.mktemp("live"), settings={"CANCEL_GRACE_SECONDS": "2"})
    server.start()
    try:
        yield Published(server, {name: server.publish(name, f"local/{name}") for name in MODEL_NAMES})
    finally:
        server.stop()


@pytest.fixture
def api(published: Published) -> Iterator[httpx.Client]:
    """An HTTP client of the live server."""
    with published.server.client() as client:
        yield client
