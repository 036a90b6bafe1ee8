"""Connections are closed without the program's help: nobody closes the default client."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

BLOCKING = "print(replicate.accounts.current().username)"
AWAITED = """
import asyncio
async def all_at_once():
    print((await asyncio.gather(*(replicate.accounts.async_current() for _ in range(3))))[0].username)
asyncio.run(all_at_once())
"""
LEFT_EARLY = """
import asyncio
async def first():
    async for event in replicate.async_stream("o/n", input={}):
        print(event.data)
        break
asyncio.run(first())
"""


@pytest.mark.parametrize(("program", "printed"), [(BLOCKING, "ada"), (AWAITED, "ada"), (LEFT_EARLY, "Once")])
def test_a_program_that_closes_nothing_leaves_nothing_open(
    program: str, printed: str, served: str, platform: Any, prediction_json: Any, event_stream: Any
) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada"})
    platform.answer("POST", "/v1/models/o/n/predictions", prediction_json(urls={"stream": f"{served}/v1/streams/t"}))
    platform.answer("GET", "/v1/streams/t", event_stream(b"event: output\nid: 1\ndata: Once\n\n", b"event: done\ndata: {}\n\n"))
    code = f"import os\nos.environ['REPLICATE_BASE_URL'] = {served!r}\nimport replicate\n{program}\n"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{printed}\n", "")
