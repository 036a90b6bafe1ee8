"""The assembled platform, with an engine that starts no processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replicate_server.bootstrap import build_platform
from replicate_server.engine.fake import FakeEngine
from replicate_server.settings import Settings
from replicate_server.store.opening import StoreInUse

pytestmark = pytest.mark.anyio


def build(folder: Path) -> Any:
    chosen: dict[str, Any] = {"data_dir": folder, "port": 8123}
    return build_platform(Settings(**chosen), build_engine=lambda config, packages: FakeEngine())


async def test_a_platform_starts_and_closes_and_starts_again_on_its_data(tmp_path: Path) -> None:
    for _ in range(2):
        platform = build(tmp_path)
        await platform.start()
        assert platform.settings.base_url == "http://127.0.0.1:8123"
        await platform.close()


async def test_two_platforms_never_share_a_data_folder(tmp_path: Path) -> None:
    platform = build(tmp_path)
    with pytest.raises(StoreInUse):
        build(tmp_path)
    await platform.start()
    await platform.close()


async def test_input_files_of_a_killed_server_are_cleared(tmp_path: Path) -> None:
    left = tmp_path / "inputs" / "old"
    left.mkdir(parents=True)
    platform = build(tmp_path)
    assert not left.exists()
    await platform.start()
    await platform.close()
