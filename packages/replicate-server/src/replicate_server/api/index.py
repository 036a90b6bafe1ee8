"""What a person or a probe finds without a token: the index and the health check."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api.answers import json_answer
from replicate_server.api.calls import Call


async def show(call: Call) -> ASGIApp:
    """``GET /``: what this is and where its API is."""
    return json_answer({"name": "replicate-server", "description": "Runs machine-learning models", "api": f"{call.urls.base}/v1"})


async def health(call: Call) -> ASGIApp:
    """``GET /healthz``: the process answers."""
    return json_answer({"status": "ok"})
