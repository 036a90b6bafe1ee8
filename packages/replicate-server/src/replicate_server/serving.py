"""Serving: a socket, the platform and uvicorn, from the start signal to the last answer.

Owns the process's life: the port is taken first, so that a taken one is one clear line before anything is built; then the
platform is built for the real address; a stop signal ends both in order.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn

from replicate_server.http_protocol import BoundedHeadProtocol

if TYPE_CHECKING:
    from replicate_server.settings import Settings

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_ANSWERS_SECONDS = 1.0
"""Time for answers under way when the grace is used up."""
BACKLOG = 2048


class ServingRefused(Exception):
    """The server cannot start; the message says why and what to do, in one line."""


def check_bind(settings: Settings) -> None:
    """Refuse to show plain HTTP to a network unless the operator said so (promise I2).

    Raises:
        ServingRefused: If the address is not a loopback one and nobody allowed that.
    """
    if not settings.is_loopback and not settings.allow_insecure_bind:
        raise ServingRefused(
            f"{settings.host} can be reached from the network, and this server speaks plain HTTP: tokens could be read on the "
            "way. Listen on 127.0.0.1 behind a proxy with TLS, or set REPLICATE_SERVER_ALLOW_INSECURE_BIND=true."
        )


def open_socket(host: str, port: int) -> socket.socket:
    """Take a listening address; port 0 takes a free one.

    Raises:
        ServingRefused: If it is taken or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServingRefused(f"{host} cannot be listened on: {error.strerror}.") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise ServingRefused(f"Port {port} is taken; choose another one with --port (make run: PORT=).") from error
        raise ServingRefused(f"{host}:{port} cannot be listened on: {error.strerror}.") from error
    opened.setblocking(False)
    return opened


def announce_first_token(settings: Settings) -> None:
    """On a new data folder: create the first account and show its token, once.

    Raises:
        ServingRefused: If the configured name or token has the wrong form, or the folder cannot be written.
    """
    from replicate_server.administration import ensure_first_token, token_path
    from replicate_server.domain.errors import OperatingError

    chosen = settings.bootstrap_token.get_secret_value() if settings.bootstrap_token is not None else None
    try:
        created = ensure_first_token(settings.data_dir, username=settings.bootstrap_username, token=chosen)
    except OperatingError as error:
        raise ServingRefused(f"The first account cannot be created: {error.detail}") from error
    except OSError as error:
        advice = "choose another one with --data-dir (make run: DATA=)."
        raise ServingRefused(f"{settings.data_dir} cannot be the data folder: {error.strerror}; {advice}") from error
    if created is not None:
        shown = created if chosen is None else "the one in REPLICATE_SERVER_BOOTSTRAP_TOKEN"
        path = token_path(settings.data_dir)
        sys.stderr.write(
            f"Created the account {settings.bootstrap_username}. Its token, shown only now and kept in {path}: {shown}\n"
        )
        sys.stderr.flush()


class AnnouncingServer(uvicorn.Server):
    """uvicorn that says when it is ready, and leaves the signals to us."""

    def __init__(self, config: uvicorn.Config, platform: Platform, grace_seconds: float) -> None:
        super().__init__(config)
        self._platform = platform
        self._grace_seconds = grace_seconds
        self._forced = asyncio.Event()
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets=sockets)
        self.ready.set()

    def request_stop(self) -> None:
        """First signal: refuse new work and finish what runs. Second: stop waiting for it, and drop the connections."""
        if not self.should_exit:
            sys.stderr.write("Stopping: what runs is finished first. Stop again to drop it.\n")
            sys.stderr.flush()
        self._platform.close_admission()
        if self.should_exit:
            self.force_exit = True
            self._forced.set()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell, finish what runs while requests are still answered, then close the connections: one grace for all of it."""
        self.stopped.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_seconds
        await self._drain()
        self.config.timeout_graceful_shutdown = math.ceil(max(LAST_ANSWERS_SECONDS, deadline - loop.time()))
        await super().shutdown(sockets=sockets)

    async def _drain(self) -> None:
        draining = asyncio.create_task(self._platform.drain(self._grace_seconds), name="drain")
        forced = asyncio.create_task(self._forced.wait())
        await asyncio.wait([draining, forced], return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, forced):
            task.cancel()
        for result in await asyncio.gather(draining, forced, return_exceptions=True):
            if isinstance(result, Exception):
                logger.error("finishing what runs failed", exc_info=result)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: uvicorn would raise them again after a graceful stop, and the exit status would tell of a kill."""
        yield


Companion = Callable[["Settings", AnnouncingServer], Awaitable[int]]
"""Runs beside the ready server and returns an exit status; the server goes on unless the companion asks it to stop."""


class Platform(Protocol):
    """What is served: `bootstrap.Platform`, seen from here."""

    @property
    def app(self) -> Any:
        """The ASGI application."""
        ...

    async def start(self) -> None:
        """Begin the background duties."""
        ...

    def close_admission(self) -> None:
        """Refuse new predictions from now on."""
        ...

    async def drain(self, grace_seconds: float) -> None:
        """Let running predictions end within the grace, and tell everybody who waits. May be cut short."""
        ...

    async def close(self) -> None:
        """End them and release everything."""
        ...


PlatformBuilder = Callable[["Settings"], Platform]


def run_server(settings: Settings, companion: Companion | None = None, *, build: PlatformBuilder | None = None) -> int:
    """Serve until a stop signal; returns the exit status.

    Args:
        settings: As read; with port 0 the platform is built for the port that was found.
        companion: Started when the server is ready.
        build: Makes what is served; the platform when None.

    Raises:
        ServingRefused: If the address cannot be used.
    """
    import uvloop

    check_bind(settings)
    with open_socket(settings.host, settings.port) as listening:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        announce_first_token(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, listening, companion, build or _build_platform))


def _build_platform(settings: Settings) -> Platform:
    # Imported here: the platform is most of the start-up time, and a taken port must be told before.
    from replicate_server.bootstrap import build_platform

    return build_platform(settings)


async def _serve(settings: Settings, listening: socket.socket, companion: Companion | None, build: PlatformBuilder) -> int:
    """Build, listen, wait for the end, close."""
    platform = build(settings)
    server = AnnouncingServer(
        uvicorn.Config(
            platform.app,
            interface="asgi3",
            loop="none",
            http=BoundedHeadProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
        ),
        platform,
        settings.shutdown_grace_seconds,
    )
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, server.request_stop)
    try:
        await platform.start()
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
        try:
            return await _accompany(settings, server, serving, companion)
        except BaseException:
            # uvloop waits for ever for a listening socket that nobody closed.
            server.should_exit = True
            raise
        finally:
            await serving
    finally:
        await platform.close()


async def _accompany(
    settings: Settings, server: AnnouncingServer, serving: asyncio.Task[None], companion: Companion | None
) -> int:
    """Announce the address once it answers, and run the companion until it or the server ends."""
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait([ready, serving], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if not server.ready.is_set():
        return 1
    sys.stdout.write(f"Listening on {settings.base_url}\n")
    sys.stdout.flush()
    if companion is None:
        return 0
    accompanying = asyncio.ensure_future(companion(settings, server))
    await asyncio.wait([accompanying, serving], return_when=asyncio.FIRST_COMPLETED)
    if not accompanying.done():
        accompanying.cancel()
        await asyncio.wait([accompanying])
        return 0
    return accompanying.result()
