"""A home and a data folder of its own for each test of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLICATE_BASE_URL", "REPLICATE_API_TOKEN", "REPLICATE_SERVER_DATA_DIR", "REPLICATE_SERVER_BOOTSTRAP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()
