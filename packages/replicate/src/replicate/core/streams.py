"""Bodies that are read while they grow: event streams that survive broken connections, and downloads.

Pure, like the other flows. A stream is resumed with ``Last-Event-ID``; when that is impossible the break is an error, never a
text that silently lacks its end.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Union
from urllib.parse import unquote_to_bytes

from replicate.core.flows import CreateOptions, Target, create_prediction
from replicate.core.retry import RetryPolicy, attempts, delay_seconds
from replicate.core.sse import Decoder, RawEvent
from replicate.core.steps import Call, Emit, Feed, Flow, Open, Read, Request, Sleep
from replicate.exceptions import (
    ModelError,
    StreamingNotSupportedError,
    StreamInterruptedError,
    TransportError,
    UnexpectedAnswerError,
)
from replicate.stream import EventType, ServerSentEvent, parse_event_type

if TYPE_CHECKING:
    import httpx

    from replicate.prediction import Prediction

STREAM_SILENCE_SECONDS = 45.0
"""Servers send a comment at least every 15 s, and the hosted one closes after 30; longer silence means a dead connection."""


def stream_run(
    target: Target,
    input: Optional[Mapping[str, Any]],  # the API's word
    options: CreateOptions,
    policy: RetryPolicy,
    wrap: Callable[[Any], Any],
) -> Feed[ServerSentEvent]:
    """Create a prediction and emit its events."""
    prediction = yield from create_prediction(target, input, replace(options, stream=True))
    yield from stream_prediction(prediction, policy, wrap)


def stream_prediction(prediction: Prediction, policy: RetryPolicy, wrap: Callable[[Any], Any]) -> Feed[ServerSentEvent]:
    """Emit a prediction's events from the first to ``done``, over as many connections as it takes.

    Args:
        prediction: Needs a stream URL.
        policy: How often a connection that broke without giving anything new is tried again.
        wrap: Turns the data of outputs into what the caller sees.

    Raises:
        StreamingNotSupportedError: If the prediction has no stream.
        ModelError: If the prediction fails.
        StreamInterruptedError: If the stream breaks and cannot be resumed.
    """
    url = prediction.urls.get("stream")
    if not url:
        raise StreamingNotSupportedError(title="Model does not support streaming", detail="the prediction has no stream URL")
    decoder, failures, has_events = Decoder(), 0, False
    while True:
        cause: Optional[TransportError] = None
        try:
            yield from _open(_event_request(url, decoder.last_event_id), policy)
            while True:
                events = yield from _read_events(decoder)
                if events is None:
                    break
                for event in events:
                    failures, has_events = 0, True
                    yield Emit(_present(event, prediction, wrap))
                    if event.event == EventType.DONE:
                        return
        except TransportError as error:
            cause = error
        failures += 1
        if failures >= policy.attempts_max or (has_events and not decoder.last_event_id):
            raise StreamInterruptedError("the stream ended before the prediction did") from cause
        yield Sleep(_reconnection_seconds(decoder, policy, failures))
        decoder = Decoder(decoder.last_event_id)


def _event_request(url: str, last_event_id: str) -> Request:
    headers: Dict[str, str] = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    return Request("GET", url, headers=headers, read_timeout_seconds=STREAM_SILENCE_SECONDS)


def _read_events(decoder: Decoder) -> Flow[Optional[List[RawEvent]]]:
    """The events in the next chunk; None at the end of the body."""
    chunk: bytes = yield Read()
    try:
        return decoder.feed(chunk) if chunk else None
    except ValueError as error:
        raise UnexpectedAnswerError(title="Unexpected answer", detail=str(error)) from error


def _reconnection_seconds(decoder: Decoder, policy: RetryPolicy, failures: int) -> float:
    if decoder.retry_milliseconds is not None:
        return min(decoder.retry_milliseconds / 1000, policy.delay_seconds_max)
    return delay_seconds(policy, failures)


def _open(request: Request, policy: RetryPolicy) -> Flow[httpx.Response]:
    """Open a body, repeating refused or failed attempts as for any reading request."""
    return attempts(Call(request, partial(_checked, request)), policy, via=Open)


def _checked(request: Request, response: httpx.Response) -> httpx.Response:
    """Refuse to read anything but events where events were asked for."""
    wanted = request.headers.get("Accept", "")
    content_type = response.headers.get("content-type", "")
    if wanted and content_type.partition(";")[0].strip().lower() != wanted:
        raise UnexpectedAnswerError(
            title="Unexpected answer", status=response.status_code, detail=f"expected {wanted}, got {content_type or 'no type'}"
        )
    return response


def _present(raw: RawEvent, prediction: Prediction, wrap: Callable[[Any], Any]) -> ServerSentEvent:
    """Turn a raw event into the caller's; an error event becomes a `ModelError` with the prediction as far as it is known."""
    kind: Union[EventType, str] = parse_event_type(raw.event)
    if kind == EventType.ERROR:
        raise ModelError(replace(prediction, status="failed", error=_error_text(raw.data)))
    data = wrap(raw.data) if kind == EventType.OUTPUT else raw.data
    return ServerSentEvent(event=kind, data=data, id=raw.id, retry=raw.retry)


def _error_text(data: str) -> str:
    """The text inside an error event: ``{"detail": …}``, or the data itself when it is not that."""
    try:
        return str(json.loads(data)["detail"])
    except (ValueError, KeyError, TypeError):
        return data


def download(url: str, policy: RetryPolicy) -> Feed[bytes]:
    """Emit the bytes behind an output's URL; a data URI is decoded without a request."""
    if url.startswith("data:"):
        yield Emit(decode_data_uri(url))
        return
    yield from _open(Request("GET", url, follows_redirects=True), policy)
    while True:
        chunk: bytes = yield Read()
        if not chunk:
            return
        yield Emit(chunk)


def decode_data_uri(uri: str) -> bytes:
    """Return the content of a data URI.

    Raises:
        ValueError: If it has no comma or broken base64.
    """
    head, comma, content = uri.partition(",")
    if not comma:
        raise ValueError("a data URI without content")
    raw = unquote_to_bytes(content)
    return base64.b64decode(raw, validate=False) if head.endswith(";base64") else raw
