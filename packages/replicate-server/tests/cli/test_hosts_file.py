"""The hosts file that command-line tools read."""

from __future__ import annotations

import json
from pathlib import Path

from replicate_server.hosts_file import Host, current_host, hosts_path, remember_host


def test_the_path_follows_xdg() -> None:
    assert hosts_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/replicate/hosts")
    assert hosts_path({}) == Path.home() / ".config/replicate/hosts"


def test_a_remembered_host_is_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "replicate" / "hosts"
    remember_host(path, Host("http://127.0.0.1:8000", "r8_a"))
    remember_host(path, Host("http://127.0.0.1:9000", "r8_b"))
    assert current_host(path) == Host("http://127.0.0.1:9000", "r8_b")
    assert json.loads(path.read_text()) == {
        "127.0.0.1:8000": {"token": "r8_a", "base_url": "http://127.0.0.1:8000", "current": False},
        "127.0.0.1:9000": {"token": "r8_b", "base_url": "http://127.0.0.1:9000", "current": True},
    }


def test_a_server_that_moved_has_one_entry(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    for port in (8000, 9000):
        remember_host(path, Host(f"http://127.0.0.1:{port}", "r8_a"))
    assert list(json.loads(path.read_text())) == ["127.0.0.1:9000"]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    remember_host(tmp_path / "hosts", Host("http://127.0.0.1:8000", "r8_a"))
    assert (tmp_path / "hosts").stat().st_mode & 0o777 == 0o600


def test_a_missing_or_damaged_file_has_no_host(tmp_path: Path) -> None:
    assert current_host(tmp_path / "hosts") is None
    (tmp_path / "hosts").write_text("not json")
    assert current_host(tmp_path / "hosts") is None
