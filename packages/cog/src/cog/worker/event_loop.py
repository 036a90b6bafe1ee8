"""The one event loop of a worker with async code. asyncio is imported only when a runner needs it."""

from __future__ import annotations

import asyncio
import sys
from typing import List

_loops: List[asyncio.AbstractEventLoop] = []


def event_loop() -> asyncio.AbstractEventLoop:
    """The process's loop, made at the first call. ``setup()`` and predictions share it, so clients opened in one work in both."""
    if not _loops:
        if sys.version_info < (3, 10):
            # Before 3.10 an Event or Lock made while the model was imported is bound to this loop already.
            loop = asyncio.get_event_loop()
        else:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
        _loops.append(loop)
    return _loops[0]
