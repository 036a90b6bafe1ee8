"""Address and token of the command: which place wins, and which pairs are never made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replicate.cli.credentials import Credentials, choose_credentials, load_credentials, parse_dotenv, parse_hosts

LOCAL = "http://127.0.0.1:8000"
HOSTS = {
    "127.0.0.1:8000": {"token": "r8_local", "base_url": LOCAL, "current": False},
    "gpu.example": {"token": "r8_gpu", "base_url": "https://gpu.example", "current": True},
}


@pytest.mark.parametrize(
    ("option", "environment", "dotenv", "hosts", "base_url", "token"),
    [
        (None, {}, {}, {}, LOCAL, None),
        (None, {}, {}, HOSTS, "https://gpu.example", "r8_gpu"),
        (LOCAL + "/v1", {}, {}, HOSTS, LOCAL, "r8_local"),
        ("https://other.example", {}, {}, HOSTS, "https://other.example", None),
        (None, {"REPLICATE_BASE_URL": LOCAL}, {}, HOSTS, LOCAL, "r8_local"),
        (None, {"REPLICATE_API_TOKEN": "r8_env"}, {"REPLICATE_API_TOKEN": "r8_dot"}, {}, LOCAL, "r8_env"),
        (None, {}, {"REPLICATE_API_TOKEN": "r8_dot"}, HOSTS, "https://gpu.example", "r8_dot"),
        (None, {}, {"REPLICATE_API_TOKEN": "r8_dot", "REPLICATE_BASE_URL": "http://dot"}, HOSTS, "http://dot", "r8_dot"),
        (None, {"REPLICATE_API_TOKEN": "r8_env"}, {"REPLICATE_BASE_URL": "http://evil"}, {}, LOCAL, "r8_env"),
        (None, {}, {"REPLICATE_BASE_URL": "http://evil"}, HOSTS, "http://evil", None),
    ],
)
def test_the_most_trusted_place_wins(
    option: Any, environment: Any, dotenv: Any, hosts: Any, base_url: str, token: str | None
) -> None:
    assert choose_credentials(option, environment, dotenv, hosts) == Credentials(base_url, token)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("TOKEN=abc", "abc"),
        ("export TOKEN = abc ", "abc"),
        ("TOKEN='a b # c' # note", "a b # c"),
        ('TOKEN="a b"', "a b"),
        ("TOKEN=abc # note", "abc"),
        ("TOKEN=a#b", "a#b"),
        ("TOKEN=", ""),
        ("TOKEN='open", "'open"),
    ],
)
def test_a_dotenv_line_is_read(line: str, value: str) -> None:
    assert parse_dotenv(f"# comment\n\n{line}\nnot a setting\n") == {"TOKEN": value}


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"h": 1}'])
def test_a_broken_hosts_file_counts_as_none(text: str) -> None:
    assert parse_hosts(text) == {}


def test_the_files_are_found_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "replicate").mkdir()
    (tmp_path / "replicate" / "hosts").write_text('{"h": {"token": "r8_h", "base_url": "http://h", "current": true}}')
    assert load_credentials(None, {"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path) == Credentials("http://h", "r8_h")


def test_credentials_do_not_show_the_token() -> None:
    assert "r8_secret" not in repr(Credentials(LOCAL, "r8_secret"))
