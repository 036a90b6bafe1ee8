"""File names taken from URLs and headers never leave their folder."""

from __future__ import annotations

import httpx
import pytest
from replicate_server.fetching.targets import build_file_name


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/a/photo.png", None, "photo.png"),
        ("/a/my%20photo.png", None, "my photo.png"),
        ("/", None, "file"),
        ("/..", None, "file"),
        ("/a/..%2f..%2fetc%2fpasswd", None, "passwd"),
        ("/a/..%5c..%5cboot.ini", None, "boot.ini"),
        ("/x", 'attachment; filename="report.pdf"', "report.pdf"),
        ("/x", 'attachment; filename="../../etc/cron.d/x"', "x"),
        ("/x", "attachment; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("/x", 'attachment; filename="a\x00b"', "a_b"),
        ("/x", "attachment", "x"),
        ("/.bashrc", None, "bashrc"),
        ("/" + "n" * 300 + ".jpeg", None, "n" * 115 + ".jpeg"),
    ],
)
def test_a_file_name_is_one_safe_segment(path: str, disposition: str | None, name: str) -> None:
    assert build_file_name(httpx.URL("https://example.com" + path), disposition) == name
