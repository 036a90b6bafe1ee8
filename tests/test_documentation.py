"""What can be checked about the pages without running them: links lead somewhere, and the index names every page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
TRACKED = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
PAGES = sorted(set(subprocess.run(TRACKED, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()))
INDEXED = [page.removeprefix("docs/") for page in PAGES if re.match(r"docs/(tutorial|how-to|reference)/", page)]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    path = ROOT / page
    assert [link for link in LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()] == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page for page in INDEXED if f"]({page})" not in index] == []
