"""Requirements as text: what is taken out, what is a lock, what names an environment."""

from __future__ import annotations

import pytest
from replicate_server.engine.requirements import environment_digest, is_locked, strip_provided

HASH = "--hash=sha256:" + "0" * 64


def test_what_the_platform_provides_is_taken_out_and_told() -> None:
    kept, removed = strip_provided("numpy==2.0\ncog>=0.16  # the SDK\nCogLet==1\ncogwheel==3\n")
    assert kept == "numpy==2.0\ncogwheel==3\n"
    assert removed == ["cog>=0.16", "CogLet==1"]


@pytest.mark.parametrize(
    ("text", "locked"),
    [
        ("", True),
        ("# nothing\n", True),
        (f"numpy==2.0 {HASH}", True),
        (f"numpy==2.0 \\\n    {HASH} \\\n    {HASH}\n", True),
        (f"uvicorn[standard]==0.30 ; python_version >= '3.9' {HASH}", True),
        ("numpy==2.0", False),
        (f"numpy>=2.0 {HASH}", False),
        (f"numpy==2.* {HASH}", False),
        (f"numpy==2.0 {HASH}\nrequests==2.0\n", False),
        ("-r other.txt", False),
    ],
)
def test_a_lock_has_one_release_and_a_hash_for_everything(text: str, locked: bool) -> None:
    assert is_locked(text) is locked


def test_comments_and_layout_do_not_change_an_environments_name() -> None:
    one = environment_digest(interpreter="/p", version="3.11.7", lock=f"numpy==2.0 {HASH}\n")
    two = environment_digest(interpreter="/p", version="3.11.7", lock=f"# made by hand\nnumpy==2.0 {HASH}  # array\n\n")
    assert one == two


@pytest.mark.parametrize("change", [{"interpreter": "/q"}, {"version": "3.11.8"}, {"lock": f"numpy==2.1 {HASH}"}])
def test_whatever_decides_the_content_changes_an_environments_name(change: dict[str, str]) -> None:
    given = {"interpreter": "/p", "version": "3.11.7", "lock": f"numpy==2.0 {HASH}"}
    assert environment_digest(**given) != environment_digest(**{**given, **change})
