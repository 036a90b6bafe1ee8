"""Reads and checks request bodies: limits first, then JSON, then every field, all problems reported at once.

The wording is gojsonschema's, as the hosted service answers (reference http-api §3). A content type is neither needed nor
trusted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from replicate_server.domain.errors import FieldError, InvalidInput, InvalidRequest, TooLarge
from replicate_server.domain.records import WebhookSubscription
from replicate_server.ports.fetching import Fetcher, FetchRefused
from replicate_server.services.validation import go_type_name

WEBHOOK_EVENTS = ("start", "output", "logs", "completed")
WEBHOOK_LENGTH_MAX = 2_048

_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class PredictionBody:
    """What a create says."""

    input: Mapping[str, Any]
    version: str | None = None
    webhook: WebhookSubscription | None = None


async def read_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it arrives.

    Raises:
        ClientDisconnect: If the client leaves before its end.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if chunk := message.get("body", b""):
            yield chunk
        if not message.get("more_body", False):
            return


async def read_body(scope: Scope, receive: Receive, *, size_bytes_max: int) -> bytes:
    """The whole body, refused as soon as it is known to exceed the limit.

    Raises:
        TooLarge: If it is longer than allowed.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    # Nearly every body comes in one message; the loop below is for the others.
    if message["type"] == "http.request" and not message.get("more_body", False) and len(body) <= size_bytes_max:
        return body
    _refuse_announced(scope, size_bytes_max)
    buffer = bytearray(body)
    while message["type"] == "http.request" and len(buffer) <= size_bytes_max and message.get("more_body", False):
        message = await receive()
        buffer += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(buffer) > size_bytes_max:
        raise _too_large(size_bytes_max)
    return bytes(buffer)


def _refuse_announced(scope: Scope, size_bytes_max: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > size_bytes_max:
            raise _too_large(size_bytes_max)


def _too_large(size_bytes_max: int) -> TooLarge:
    return TooLarge(f"The request body must be at most {size_bytes_max} bytes")


def decode_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidRequest: If it is not JSON.
        InvalidInput: If it is JSON of another type.
    """
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest("The request body is not valid JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput([_wrong_type("", "object", value)])
    return value


def decode_search_text(body: bytes) -> str:
    """The text of a search in any of the encodings that clients use: as it is, or as a JSON string.

    The content type does not tell them apart: one client sends JSON as ``text/plain`` (reference http-api §7.1).

    Raises:
        InvalidRequest: If it is not UTF-8.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("The search text is not valid UTF-8") from error
    try:
        return msgspec.json.decode(body, type=str)
    except msgspec.MsgspecError:
        return text


def decode_prediction(body: bytes, *, has_version: bool, fetcher: Fetcher, allows_http: bool) -> PredictionBody:
    """Read the body of a create.

    Args:
        body: As received.
        has_version: Whether the body names the version; on the model route the path does.
        fetcher: Refuses webhook targets that its rules forbid.
        allows_http: Whether a webhook may be plain http.

    Raises:
        InvalidRequest: If it is not JSON.
        InvalidInput: With every problem of the body's own fields.
    """
    fields = decode_object(body)
    errors: list[FieldError] = []
    required = ("version", "input") if has_version else ("input",)
    errors += [FieldError("required", "", f"{name} is required") for name in required if name not in fields]
    for name, value in fields.items():
        expected = _TYPES.get(name) if has_version or name != "version" else None
        if expected is None:
            errors.append(FieldError("additional_property_not_allowed", "", f"Additional property {name} is not allowed"))
        elif not isinstance(value, expected[0]) and not (value is None and name not in required):
            errors.append(_wrong_type(name, expected[1], value))
    if not errors:
        errors = _webhook_errors(fields, fetcher, allows_http=allows_http)
    if errors:
        raise InvalidInput(errors)
    return PredictionBody(fields["input"], fields.get("version"), _subscription(fields))


# `stream` and `webhook_completed` are what older clients still send (reference http-api §8).
_TYPES: Mapping[str, tuple[type, str]] = {
    "version": (str, "string"),
    "input": (dict, "object"),
    "webhook": (str, "string"),
    "webhook_completed": (str, "string"),
    "webhook_events_filter": (list, "array"),
    "stream": (bool, "boolean"),
}


def _wrong_type(field: str, expected: str, value: Any) -> FieldError:
    return FieldError("invalid_type", field, f"Invalid type. Expected: {expected}, given: {go_type_name(value)}")


def _webhook_errors(fields: Mapping[str, Any], fetcher: Fetcher, *, allows_http: bool) -> list[FieldError]:
    errors = []
    for name in ("webhook", "webhook_completed"):
        url = fields.get(name)
        if url is not None:
            errors += _url_errors(name, url, fetcher, allows_http=allows_http)
    for index, event in enumerate(fields.get("webhook_events_filter") or ()):
        if event not in WEBHOOK_EVENTS:
            options = ", ".join(f'"{option}"' for option in WEBHOOK_EVENTS)
            description = f"webhook_events_filter must be one of the following: {options}"
            errors.append(FieldError("enum", f"webhook_events_filter.{index}", description))
    return errors


def _url_errors(name: str, url: str, fetcher: Fetcher, *, allows_http: bool) -> list[FieldError]:
    schemes = ("https://", "http://") if allows_http else ("https://",)
    if not url.lower().startswith(schemes) or len(url) > WEBHOOK_LENGTH_MAX:
        return [FieldError("format", name, "Not a valid HTTP or HTTPS URL" if allows_http else "Not a valid HTTPS URL")]
    try:
        fetcher.check(url)
    except FetchRefused as refusal:
        return [FieldError("format", name, str(refusal))]
    return []


def _subscription(fields: Mapping[str, Any]) -> WebhookSubscription | None:
    """The webhook that the fields ask for; without a filter it gets every event (reference http-api §5.1)."""
    url = fields.get("webhook")
    if url is not None:
        chosen = fields.get("webhook_events_filter")
        return WebhookSubscription(url, frozenset(WEBHOOK_EVENTS if chosen is None else chosen))
    legacy = fields.get("webhook_completed")
    return None if legacy is None else WebhookSubscription(legacy, frozenset({"completed"}))
