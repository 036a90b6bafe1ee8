"""The cog.yaml page names every key the parser knows, and its example is one the parser reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cog.packaging import config

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "cog-yaml.md"


def section(title: str) -> str:
    """The text under a heading."""
    return re.split(r"^## ", PAGE.read_text().partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("title", "keys"), [("Root", config.ROOT_KEYS), ("build", config.BUILD_KEYS), ("concurrency", config.CONCURRENCY_KEYS)]
)
def test_every_key_has_a_row_and_no_row_names_another(title: str, keys: tuple[str, ...]) -> None:
    cells = re.findall(r"^\| (`.+?) \|", section(title), flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(keys)


def test_every_refused_variable_is_listed() -> None:
    named = set(re.findall(r"`(\w+)`", section("environment")))
    assert named == config.ENVIRONMENT_NAMES_REFUSED | set(config.ENVIRONMENT_PREFIXES_REFUSED)


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert config.parse_config(example).runner == "run.py:Runner"
