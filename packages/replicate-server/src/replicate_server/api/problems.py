"""The only place that writes an error body: ``application/problem+json`` in the families that clients already read.

Gateway family (predictions, files, authentication): ``title``, ``detail``, ``status`` and for bad fields ``invalid_fields``; a
newline ends the body. Second family (models and other records): ``status``, ``title``, ``detail`` and ``errors`` with JSON
Pointers. Third family (search): a plain JSON object with ``detail``. Source: reference http-api §3.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from replicate_server.api.answers import JSON, Answer
from replicate_server.domain.errors import Conflict, Internal, InvalidInput, InvalidSearch, OperatingError, ValidationFailed

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


def build_problem(error: OperatingError) -> dict[str, Any]:
    """The body of an operating error, its keys in the order of the hosted service."""
    if isinstance(error, InvalidSearch):
        return {"detail": error.detail}
    if isinstance(error, ValidationFailed):
        errors = [{"pointer": "/" + item.field.replace(".", "/"), "detail": item.description} for item in error.errors]
        return {"status": error.status, "title": error.title, "detail": error.detail, "errors": errors}
    if isinstance(error, Conflict):
        errors = [{"pointer": "/", "detail": error.detail}]
        return {"status": error.status, "title": error.title, "detail": error.detail, "errors": errors}
    body: dict[str, Any] = {} if error.title is None else {"title": error.title}
    body |= {"detail": error.detail, "status": error.status}
    if isinstance(error, InvalidInput):
        body["invalid_fields"] = [
            {"type": item.type, "field": item.field, "description": item.description} for item in error.errors
        ]
    retry_after = error.headers.get("Retry-After", "")
    if retry_after.isdecimal():
        body["retry_after"] = int(retry_after)
    return body


def encode_problem(error: OperatingError) -> bytes:
    """The body as bytes, newline included."""
    return msgspec.json.encode(build_problem(error)) + b"\n"


def refuse(error: OperatingError, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to a request that was refused."""
    media_type = JSON if isinstance(error, InvalidSearch) else MEDIA_TYPE
    return Answer(encode_problem(error), status=error.status, media_type=media_type, headers={**error.headers, **(headers or {})})


def confess(error: Exception, *, method: str, path: str) -> Internal:
    """What the caller is told of a bug: a reference id, under which the log has the whole of it."""
    reference = secrets.token_hex(8)
    _log.error("%s %s failed (reference %s)", method, path, reference, exc_info=error)
    return Internal(f"The server failed. The cause is in its log under reference {reference}.")
