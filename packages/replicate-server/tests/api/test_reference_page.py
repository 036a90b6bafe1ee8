"""The reference page lists every route, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from replicate_server.api.routes import PROTECTED, PUBLIC

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "http-api.md"


def test_the_reference_lists_the_routes_and_no_others() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {route for route, _ in rows} == {f"{route.method} {route.path}" for route in (*PROTECTED, *PUBLIC)}


def test_the_reference_says_which_routes_are_public() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {route for route, text in rows if "*public*" in text} == {f"{route.method} {route.path}" for route in PUBLIC}
