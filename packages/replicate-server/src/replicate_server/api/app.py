"""The ASGI application: route, authenticate, handle, answer; every failure becomes one kind of error body.

No middleware: the two hot routes pass through this file and their handler, nothing else.
"""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replicate_server.api.answers import Answer, NamingMethods
from replicate_server.api.calls import ApiLimits, ApiServices, Call
from replicate_server.api.idempotency import HEADER as KEY_HEADER
from replicate_server.api.idempotency import answer_once
from replicate_server.api.problems import confess, refuse
from replicate_server.api.routes import PROTECTED, PUBLIC
from replicate_server.api.routing import KeyUse, Route, Router
from replicate_server.api.scopes import needed
from replicate_server.api.urls import Urls
from replicate_server.domain.errors import (
    MethodNotAllowed,
    NotFound,
    OperatingError,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from replicate_server.domain.rate_limits import Taking
from replicate_server.domain.scopes import allows
from replicate_server.ports.store import StorageUnavailable

__all__ = ["Api", "ApiLimits", "ApiServices", "build_app"]

RETRY_AFTER_SECONDS = 5

_UNAVAILABLE = "The server cannot use its storage at the moment. Try again."

Headers = list[tuple[bytes, bytes]]

_log = logging.getLogger(__name__)


class Api:
    """The application. Stateless beside the services it was given."""

    def __init__(self, services: ApiServices, urls: Urls, limits: ApiLimits) -> None:
        self._services = services
        self._urls = urls
        self._limits = limits
        self._router = Router(protected=PROTECTED, public=PUBLIC)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or follow the server's start and stop)."""
        if scope["type"] == "lifespan":
            await _follow_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = []
        try:
            answer = await self._answer(scope, receive, headers)
            await answer(scope, receive, _adding(headers, send) if headers else send)
        except ClientDisconnect:
            _log.debug("%s %s: the client left", scope["method"], scope["path"])

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers) -> ASGIApp:
        try:
            return await self._handle(scope, receive, headers)
        except OperatingError as error:
            return refuse(error)
        except StorageUnavailable as error:
            _log.warning("%s %s refused: the store is unavailable", scope["method"], scope["path"], exc_info=error)
            return refuse(Unavailable(_UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}))
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: a bug becomes a logged 500 and never a bare stack trace
            return refuse(confess(error, method=scope["method"], path=scope["path"]))

    async def _handle(self, scope: Scope, receive: Receive, headers: Headers) -> ASGIApp:
        match = self._router.match(scope["path"])
        if match is None:
            raise NotFound
        target = match.target(scope["method"])
        if scope["method"] == "OPTIONS":
            return Answer(status=204, media_type=None, headers={"Allow": match.allowed})
        if target is None:
            raise MethodNotAllowed(
                f"{scope['method']} is not possible here; these are: {match.allowed}", headers={"Allow": match.allowed}
            )
        call = Call(scope, receive, services=self._services, urls=self._urls, limits=self._limits, parameters=match.parameters)
        if target.is_public:
            return await target.route.handler(call)
        await self._admit(call, target.route)
        answer = await self._answer_known(call, target.route, headers)
        return NamingMethods(answer, match.allowed) if target.shows_methods else answer

    async def _admit(self, call: Call, route: Route) -> None:
        """Let in whoever may use the route.

        Raises:
            Unauthenticated: If the request names nobody.
            PermissionDenied: If the token lacks the scope.
        """
        account = await call.authenticate()
        permission = needed(route.method, route.path)
        if not allows(account.scopes, permission):
            raise PermissionDenied(f"This token may not do this: it needs the scope {permission}.")

    async def _answer_known(self, call: Call, route: Route, headers: Headers) -> ASGIApp:
        """Answer somebody who may ask this, unless it is one request too many."""
        if route.key_use is not KeyUse.NONE and (key := call.header(b"idempotency-key")):
            headers.append((KEY_HEADER.encode(), key.encode("latin-1")))
            return await answer_once(call, route, key, lambda: self._count(call, route, headers))
        self._count(call, route, headers)
        return await route.handler(call)

    def _count(self, call: Call, route: Route, headers: Headers) -> None:
        """Count a request against its account's limits, and say what is left where the route does.

        Raises:
            RateLimited: If it is one too many.
        """
        try:
            taking = self._services.limiter.take(call.account.id, route.rate)
        except RateLimited as refusal:
            headers += _rate_headers(refusal.taking) if route.shows_rate else ()
            raise
        if taking is not None and route.shows_rate:
            headers += _rate_headers(taking)


def build_app(services: ApiServices, urls: Urls, limits: ApiLimits | None = None) -> Api:
    """Assemble the application."""
    return Api(services, urls, limits or ApiLimits())


def _rate_headers(taking: Taking) -> Headers:
    return [
        (b"ratelimit-remaining", b"%d" % taking.remaining),
        (b"ratelimit-reset", b"%d" % taking.reset_seconds),
    ]


def _adding(headers: Headers, send: Send) -> Send:
    """A ``send`` that puts more headers on the answer."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return send_more


async def _follow_lifespan(receive: Receive, send: Send) -> None:
    """Say yes to start and stop: the platform around the application starts and stops everything."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
