"""The pages of promises name tests that exist, and say why where there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "docs" / "promises").glob("*.md"))
NAMED_TEST = re.compile(r"`([\w./-]+\.py)::(\w+)`")
ROW = re.compile(r"^\| ([A-Z]+\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def defined_tests(path: Path) -> set[str]:
    """Names of the test functions of a file; empty when there is no such file."""
    tree = ast.parse(path.read_text() if path.is_file() else "")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_named_test_exists(page: Path) -> None:
    named = NAMED_TEST.findall(page.read_text())
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in defined_tests(ROOT / file)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_promise_names_a_test_or_a_reason(page: Path) -> None:
    rows = ROW.findall(page.read_text())
    assert [row for row in rows if not NAMED_TEST.search(row[2]) and not row[2].startswith("Not ")] == []
