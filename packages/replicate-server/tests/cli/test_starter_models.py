"""Which starter models are published at a start."""

from __future__ import annotations

from pathlib import Path

import pytest
from replicate_server.publish_client import Destination
from replicate_server.starter_models import CondensedProgress, PublishedMemory, find_models, find_unpublished, publish_models


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    for name in ("speak", "embed"):
        folder = tmp_path / "models" / "starter" / name
        folder.mkdir(parents=True)
        (folder / "cog.yaml").write_text("run: predict.py:Predictor\n")
        (folder / "example.json").write_text('{"input": {"text": "hi", "photo": "@cog.yaml", "at": "@nobody"}}')
    return tmp_path / "models"


async def knows_all(name: str, version_id: str) -> bool:
    return True


async def knows_nothing(name: str, version_id: str) -> bool:
    return False


def test_the_models_are_found_by_name(models_dir: Path) -> None:
    assert [model.name for model in find_models(models_dir)] == ["starter/embed", "starter/speak"]


@pytest.mark.anyio
async def test_only_new_content_is_published_again(models_dir: Path, tmp_path: Path) -> None:
    memory = PublishedMemory(tmp_path)
    assert len(await find_unpublished(find_models(models_dir), memory, knows_all)) == 2
    for model in find_models(models_dir):
        memory.remember(model, "v1")
    assert await find_unpublished(find_models(models_dir), PublishedMemory(tmp_path), knows_all) == []
    (models_dir / "starter" / "speak" / "cog.yaml").write_text("run: other.py:Predictor\n")
    assert [model.name for model in await find_unpublished(find_models(models_dir), memory, knows_all)] == ["starter/speak"]


@pytest.mark.anyio
async def test_a_server_that_forgot_gets_the_models_again(models_dir: Path, tmp_path: Path) -> None:
    memory = PublishedMemory(tmp_path)
    for model in find_models(models_dir):
        memory.remember(model, "v1")
    assert len(await find_unpublished(find_models(models_dir), memory, knows_nothing)) == 2


@pytest.mark.anyio
async def test_a_model_that_cannot_be_published_is_named_with_the_reason(models_dir: Path, tmp_path: Path) -> None:
    failures = await publish_models(
        find_models(models_dir), PublishedMemory(tmp_path), Destination("http://127.0.0.1:1", "r8_a"), lambda line: None
    )
    assert failures.keys() == {"starter/embed", "starter/speak"}
    assert "cannot be reached" in failures["starter/speak"]


def test_build_output_is_condensed_to_short_whole_lines() -> None:
    lines: list[str] = []
    progress = CondensedProgress("speak", lines.append)
    progress.write("Resolved 3 packages in 5ms\nDownloading num")
    progress.write("py (16.1MiB)\n + numpy==2.0.0\n\n" + "x" * 500 + "\nrest")
    assert lines == ["  speak: Downloading numpy (16.1MiB)", "  speak: " + "x" * 110]
