"""What can be said of every starter model without running it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

STARTER = Path(__file__).resolve().parents[1] / "starter"
NAMES = ["embed", "remove-background", "speak", "story"]
PACKAGE_SIZE_BYTES_MAX = 10_000_000
HEADINGS = ["## Example", "## Inputs", "## Limits", "## Licenses"]


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of one model."""
    return STARTER / str(request.param)


def test_the_starter_models_are_these_four() -> None:
    assert sorted(path.name for path in STARTER.iterdir() if path.is_dir()) == NAMES


def test_the_configuration_names_the_lock_and_the_predictor_and_leaves_python_to_the_server(folder: Path) -> None:
    config = yaml.safe_load((folder / "cog.yaml").read_text())
    assert config == {"build": {"python_requirements": "requirements.txt"}, "predict": "predict.py:Predictor"}


def test_every_requirement_is_pinned_with_hashes_and_without_an_address(folder: Path) -> None:
    lock = (folder / "requirements.txt").read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())
    pattern = re.compile(r"[a-z0-9-]+==[0-9.]+( ; [^\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n?)+")
    assert [entry for entry in entries if not pattern.fullmatch(entry)] == []
    assert "://" not in lock


def test_every_requirement_asked_for_is_locked(folder: Path) -> None:
    asked = set((folder / "requirements.in").read_text().split())
    locked = set(re.findall(r"^([a-z0-9-]+)==", (folder / "requirements.txt").read_text(), re.MULTILINE))
    assert locked == asked


def test_no_requirement_needs_a_gpu_or_a_model_hub(folder: Path) -> None:
    lock = (folder / "requirements.txt").read_text()
    assert re.findall(r"^(nvidia|torch|tensorflow|jax|huggingface)[a-z0-9-]*==", lock, re.MULTILINE) == []


def test_the_example_has_an_input_whose_files_lie_beside_it(folder: Path) -> None:
    example = json.loads((folder / "example.json").read_text())
    assert list(example) == ["input"]
    names = [value[1:] for value in example["input"].values() if str(value).startswith("@")]
    assert [name for name in names if not (folder / name).is_file()] == []


def test_the_readme_says_what_a_user_must_know(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    assert [heading for heading in HEADINGS if heading not in readme] == []


def test_the_package_is_small_enough_for_a_repository(folder: Path) -> None:
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert size_bytes < PACKAGE_SIZE_BYTES_MAX
