"""The words for an end."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.instances.exits import Exit, describe_exit, format_bytes

GIBIBYTE = 1024**3


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"return_code": 0}, "exited with code 0"),
        ({"return_code": 3}, "exited with code 3"),
        ({"return_code": 0, "cause": "stopped"}, "exited with code 0 (stopped)"),
        ({"return_code": -9}, "killed by SIGKILL"),
        ({"return_code": -11}, "killed by SIGSEGV"),
        ({"return_code": -9, "cause": "stopped"}, "killed by SIGKILL (stopped)"),
        ({"return_code": -9, "out_of_memory_kills": 1}, "killed by SIGKILL (out of memory, limit 2 GiB)"),
        ({"return_code": 1, "out_of_memory_kills": 1}, "exited with code 1"),
        ({"return_code": 137}, "exited with code 137"),
        ({"return_code": 137, "has_init": True}, "killed by SIGKILL"),
        ({"return_code": 139, "has_init": True}, "killed by SIGSEGV"),
        ({"return_code": 255, "has_init": True}, "exited with code 255"),
        ({"return_code": -40}, "killed by signal 40"),
    ],
)
def test_an_end_is_told_by_its_signal_or_exit_code(facts: dict[str, Any], words: str) -> None:
    given = {"has_init": False, "out_of_memory_kills": 0, "memory_bytes": 2 * GIBIBYTE, **facts}
    assert describe_exit(Exit(**given)) == words


@pytest.mark.parametrize(
    ("size", "text"),
    [(2 * GIBIBYTE, "2 GiB"), (GIBIBYTE * 3 // 2, "1.5 GiB"), (64 * 1024**2, "64 MiB"), (512, "0.5 KiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text
