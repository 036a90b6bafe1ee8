"""The reference pages are what the code says."""

from __future__ import annotations

from pathlib import Path

from replicate_server import command_reference, settings_reference
from replicate_server.settings import Settings
from replicate_server.webhooks.schedule import DELAYS_SECONDS

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


def test_the_command_page_is_current() -> None:
    assert (REFERENCE / "server-command.md").read_text() == command_reference.build_reference()


def test_the_settings_page_is_current() -> None:
    assert (REFERENCE / "settings.md").read_text() == settings_reference.build_reference()


def test_every_setting_has_a_heading_and_a_description() -> None:
    page = (REFERENCE / "settings.md").read_text()
    assert [name for name in Settings.model_fields if f"## `REPLICATE_SERVER_{name.upper()}`" not in page] == []
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_webhooks_page_names_the_schedule_and_real_settings() -> None:
    page = (REFERENCE / "webhooks.md").read_text()
    assert "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h" in page
    assert list(DELAYS_SECONDS) == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    known = {f"REPLICATE_SERVER_{name.upper()}" for name in Settings.model_fields}
    named = {word.strip("`|.,;()") for word in page.split() if "REPLICATE_SERVER_" in word}
    assert named <= known
