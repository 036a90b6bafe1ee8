"""File routes: decode, call the service, encode. Downloads are in `downloads`."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire
from replicate_server.api.answers import json_answer, no_content
from replicate_server.api.calls import Call
from replicate_server.api.uploads import MultipartUpload

LIST_PATH = "/v1/files"


async def create(call: Call) -> ASGIApp:
    """``POST /v1/files``: multipart."""
    upload = MultipartUpload(call.header(b"content-type"), call.receive)
    return json_answer(wire.build_file(await call.services.files.create(call.account, upload), call.urls), status=201)


async def get(call: Call) -> ASGIApp:
    """``GET /v1/files/{file_id}``."""
    return json_answer(wire.build_file(await call.services.files.get(call.account, call.parameters["file_id"]), call.urls))


async def list_page(call: Call) -> ASGIApp:
    """``GET /v1/files``: newest first, 100 a page."""
    page = await call.services.files.list(call.account, cursor=call.query.get("cursor"))
    return json_answer(wire.build_page(page, lambda file: wire.build_file(file, call.urls), call.urls, path=LIST_PATH))


async def delete(call: Call) -> ASGIApp:
    """``DELETE /v1/files/{file_id}``."""
    await call.services.files.delete(call.account, call.parameters["file_id"])
    return no_content()
