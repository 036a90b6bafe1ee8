"""Account routes: who is calling, the webhook secret, the hardware on offer."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire
from replicate_server.api.answers import json_answer
from replicate_server.api.calls import Call


async def get(call: Call) -> ASGIApp:
    """``GET /v1/account``."""
    return json_answer(wire.build_account(call.account))


async def get_webhook_secret(call: Call) -> ASGIApp:
    """``GET /v1/webhooks/default/secret``."""
    return json_answer(wire.build_webhook_secret(await call.services.accounts.webhook_secret(call.account.id)))


async def list_hardware(call: Call) -> ASGIApp:
    """``GET /v1/hardware``: a bare array, not a page."""
    return json_answer(wire.build_hardware())
