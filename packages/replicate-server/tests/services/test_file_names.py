"""Names and types of files from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server.domain.file_names import safe_file_name
from replicate_server.domain.media_types import extension_of, media_type_of


@given(st.text(max_size=400))
def test_any_text_becomes_one_safe_component(text: str) -> None:
    name = safe_file_name(text)
    assert name not in ("", ".", "..")
    assert not set(name) & set("/\\\x00\r\n")
    assert len(name.encode()) <= 255


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a/b/c.png", "c.png"), ("c:\\x\\y.txt", "y.txt"), ("..", "file"), (".profile", "profile"), ("ü.png", "ü.png")],
)
def test_an_honest_name_is_kept(text: str, expected: str) -> None:
    assert safe_file_name(text) == expected


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_file_name("ä" * 300 + ".png").endswith("ä.png")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.wav", "audio/wav"),
        ("a.webp", "image/webp"),
        ("a.json", "application/json"),
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.tar.gz", "application/octet-stream"),
        ("noending", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_an_ending_says_the_type(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [("image/png", ".png"), ("image/jpeg; q=1", ".jpg"), ("AUDIO/X-WAV", ".wav"), ("nonsense", ""), ("", "")],
)
def test_a_type_says_the_ending(media_type: str, extension: str) -> None:
    assert extension_of(media_type) == extension
