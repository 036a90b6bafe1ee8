"""Which starter models are published at a start."""

from __future__ import annotations

from pathlib import Path

import pytest
from replicate_server.publish_client import Destination
from replicate_server.quickstart import _attach_files, _describe_output
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
    progress.write("Resolved 3 pack")
    progress.write("ages\n + numpy==2.0.0\n\n" + "x" * 500 + "\nrest")
    assert lines == ["  speak: Resolved 3 packages", "  speak: " + "x" * 110]


def test_files_of_an_example_become_data_uris(models_dir: Path) -> None:
    model = find_models(models_dir)[0]
    attached = _attach_files(model.folder, model.example)
    assert attached["photo"].startswith("data:")
    assert (attached["text"], attached["at"]) == ("hi", "@nobody")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (["Once", " upon"], "Once upon"),
        ("http://x/y.wav", "http://x/y.wav"),
        ({"a": 1}, '{"a": 1}'),
        ([[0.5]], "[[0.5]]"),
        (None, "null"),
        ("x" * 700, "x" * 600 + " …"),
    ],
)
def test_an_output_is_shown_as_a_person_wants_it(output: object, text: str) -> None:
    assert _describe_output(output) == text
