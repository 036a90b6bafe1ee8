"""The command's reference page says what the command's help says."""

from __future__ import annotations

from pathlib import Path

from replicate.cli.reference import build_reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "replicate-command.md"


def test_the_reference_page_is_what_the_command_generates() -> None:
    assert PAGE.read_text(encoding="utf-8") == build_reference()
