"""The README's example runs as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cog
from click.testing import CliRunner
from cog.cli import main
from cog.packaging.config import load_config

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def block(language: str) -> str:
    """The one code block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return str(found)


def test_the_example_answers_a_prediction_and_streams(start_worker: Callable[..., Any], write_model: Callable[..., Path]) -> None:
    folder = write_model(run=block("python"))
    (folder / "cog.yaml").write_text(block("yaml"))
    worker = start_worker("", runner=load_config(folder).runner)
    ending = worker.predict(name="Ada", times=2)
    assert (ending.outputs, ending.text()) == (["hello Ada"] * 2, "greeting Ada\n" * 2)


def test_the_command_prints_the_examples_schema(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(block("python"))
    (tmp_path / "cog.yaml").write_text(block("yaml"))
    result = CliRunner().invoke(main, ["schema", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["components"]["schemas"]["Input"]["required"] == ["name"]


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text("rum: run.py:Runner")
    result = CliRunner().invoke(main, ["schema", str(tmp_path)])
    assert (result.exit_code, result.output) == (1, "Error: cog.yaml:1: rum: unknown key; did you mean `run`?\n")


def test_every_public_name_is_in_the_readme_or_deprecated() -> None:
    unlisted = {"ExperimentalFeatureWarning", "FieldInfo", "URLFile", "URLPath", "__version__", "emit_metric"}
    assert [name for name in cog.__all__ if name not in unlisted and name not in README] == []
