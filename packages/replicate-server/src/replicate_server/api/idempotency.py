"""The Idempotency-Key header: a create that is repeated is answered as the first one was.

It digests requests and answers repeated ones; who goes first and what is remembered is `services.idempotency`'s.

What a key stands for is the digest of method, path and body. JSON is digested with its keys sorted, and a multipart body without
its boundary, because clients choose a new one for every attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive

from replicate_server.api import predictions
from replicate_server.api.answers import Answer
from replicate_server.api.bodies import read_chunks
from replicate_server.api.calls import Call
from replicate_server.api.routing import KeyUse, Route
from replicate_server.domain.errors import InvalidRequest, KeyReused
from replicate_server.domain.records import IdempotencyKey
from replicate_server.services.idempotency import Turn

HEADER = "Idempotency-Key"
KEY_LENGTH_MAX = 255
REPLAYED = {"Idempotent-Replayed": "true"}

_canonical = msgspec.json.Encoder(order="sorted")


async def answer_once(call: Call, route: Route, key: str, count: Callable[[], None]) -> ASGIApp:
    """Run a create, or answer what it answered before.

    Args:
        call: The request.
        route: Its route.
        key: The header's value.
        count: Counts the request against the account's limits; not called for a repetition.

    Raises:
        InvalidRequest: If the key is too long or not printable.
        KeyReused: If the key stands for another request.
        RateLimited: From ``count``.
    """
    if len(key) > KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(f"{HEADER} must be at most {KEY_LENGTH_MAX} printable ASCII characters")
    digest = _Digest(call, route)
    if route.key_use is KeyUse.BODY:
        call.receive = _receive_again(digest.whole(await call.body(size_bytes_max=call.limits.prediction_body_bytes_max)))
    else:
        call.receive = digest.listen(call.receive)
    async with call.services.creates.turn(call.account.id, key) as turn:
        if turn.found is not None:
            if route.key_use is KeyUse.UPLOAD:
                await _drain(call)
            return await _repeat(call, turn, turn.found, digest.text())
        count()
        return await _run(call, route, turn, digest)


async def _run(call: Call, route: Route, turn: Turn, digest: _Digest) -> ASGIApp:
    if route.key_use is KeyUse.BODY:
        turn.fingerprint = digest.text()
    call.turn = turn
    answer = await route.handler(call)
    if not turn.is_recorded and isinstance(answer, Answer):
        if route.key_use is KeyUse.UPLOAD:
            await _drain(call)
            turn.fingerprint = digest.text()
        await call.services.creates.record(turn, status=answer.status, body=answer.body)
    return answer


async def _repeat(call: Call, turn: Turn, found: IdempotencyKey, fingerprint: str) -> ASGIApp:
    if found.fingerprint != fingerprint:
        raise KeyReused
    if found.prediction_id is not None:
        turn.end()
        return await predictions.repeat_create(call, found.prediction_id, REPLAYED)
    return Answer(found.body or b"", status=found.status or 200, headers=REPLAYED)


async def _drain(call: Call) -> None:
    """Read what is left of the body, so that all of it was digested."""
    async for _ in read_chunks(call.receive):
        pass


def _receive_again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class _Digest:
    """The digest of one request, fed with its body."""

    def __init__(self, call: Call, route: Route) -> None:
        parameters = [route.method, route.path, sorted(call.parameters.items())]
        self._hash = hashlib.sha256(msgspec.json.encode(parameters))
        self._boundary = _boundary(call.header(b"content-type"))
        self._rest = b""
        self._is_at_end = False

    def whole(self, body: bytes) -> bytes:
        """Take a whole body, as JSON where it is JSON; returns it."""
        try:
            value: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._hash.update(body)
        else:
            self._hash.update(_canonical.encode(value))
        return body

    def listen(self, receive: Receive) -> Receive:
        """Take a body as it is read. After its end the wrapped ``receive`` goes on saying that it has ended."""

        async def receive_and_take() -> Message:
            if self._is_at_end:
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await receive()
            if message["type"] == "http.request":
                self._take(message.get("body", b""))
                self._is_at_end = not message.get("more_body", False)
            return message

        return receive_and_take

    def text(self) -> str:
        """The digest of everything taken; ends the taking."""
        self._hash.update(self._rest)
        self._rest = b""
        return self._hash.hexdigest()

    def _take(self, chunk: bytes) -> None:
        if not self._boundary:
            self._hash.update(chunk)
            return
        # A boundary may lie across two chunks: as much is kept back as one can have begun.
        text = (self._rest + chunk).replace(self._boundary, b"")
        kept = len(self._boundary) - 1
        self._hash.update(text[:-kept] if kept else text)
        self._rest = text[-kept:] if kept else b""


def _boundary(content_type: str) -> bytes:
    """The boundary of a multipart body; nothing for other bodies."""
    _, found, rest = content_type.partition("boundary=")
    return rest.split(";")[0].strip().strip('"').encode("latin-1") if found else b""
