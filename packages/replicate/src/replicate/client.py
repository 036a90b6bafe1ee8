"""The client: where the API is, who asks, how patiently; and the public face of runs and streams.

It owns the HTTP connections and hands flows to the drivers. Making one does nothing: the environment is read and connections
are opened when a request needs them.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import closing, contextmanager
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Dict,
    Iterator,
    Mapping,
    Optional,
    Tuple,
    TypeVar,
    Union,
)
from weakref import WeakKeyDictionary, finalize

import httpx

from replicate.__about__ import __version__
from replicate.core import flows, streams
from replicate.core.drivers import drive, drive_async, drive_each, drive_each_async
from replicate.core.retry import KeyEvidence, RetryPolicy, with_retries
from replicate.core.steps import Actions, Call, Feed, Flow, call
from replicate.core.wire import AsyncWire, Endpoint, Wire
from replicate.exceptions import ModelError, PredictionTimeoutError
from replicate.helpers import transform_output
from replicate.records import bind
from replicate.resources.accounts import Accounts
from replicate.resources.deployments import Deployments
from replicate.resources.files import Files
from replicate.resources.models import Models
from replicate.resources.predictions import Predictions
from replicate.resources.targets import Reference, parse_run_target
from replicate.resources.webhooks import Webhooks

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from replicate.pagination import Page
    from replicate.resources.parameters import RunParameters
    from replicate.stream import ServerSentEvent
    from replicate.version import Version

T = TypeVar("T")
_Kept = Tuple[httpx.AsyncClient, AsyncGenerator[None, None]]

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=10.0)
DEFAULT_POLL_INTERVAL_SECONDS = 0.5
DEFAULT_WAIT_TIMEOUT_SECONDS = 6 * 3600.0
"""Longest wait for one prediction: well above the half hour that hosted ones may run, so that it only ends what is lost."""
USER_AGENT = f"replicate-open-python/{__version__}"


class Client:
    """A client of a Replicate-compatible platform. May be shared by threads and by event loops.

    Args:
        api_token: Bearer token; else ``REPLICATE_API_TOKEN`` at the time of each request.
        base_url: With or without ``/v1``; else ``REPLICATE_BASE_URL``, else a local server.
        timeout: httpx time-outs; a create that waits gets its own.
        poll_interval: Seconds between two looks at a prediction; else ``REPLICATE_POLL_INTERVAL``, else 0.5.
        wait_timeout_seconds: Longest wait for one prediction.
        retry_policy: How failed requests are repeated.
        httpx_arguments: Passed to ``httpx.Client`` and ``httpx.AsyncClient``: ``headers``, ``transport``, ``verify`` …
    """

    def __init__(
        self,
        api_token: Optional[str] = None,
        *,
        base_url: Optional[str] = None,
        timeout: Union[httpx.Timeout, float, None] = None,
        poll_interval: Optional[float] = None,
        wait_timeout_seconds: float = DEFAULT_WAIT_TIMEOUT_SECONDS,
        retry_policy: Optional[RetryPolicy] = None,
        **httpx_arguments: Any,
    ) -> None:
        self._api_token = api_token
        self._base_url = base_url
        self._poll_interval = poll_interval
        self.wait_timeout_seconds = wait_timeout_seconds
        self.retry_policy = retry_policy or RetryPolicy()
        self._key_evidence = KeyEvidence()
        self._httpx_arguments = httpx_arguments
        self._httpx_arguments["timeout"] = DEFAULT_TIMEOUT if timeout is None else timeout
        self._httpx_arguments["headers"] = {"user-agent": USER_AGENT, **dict(httpx_arguments.get("headers") or {})}
        self._schemas: Dict[str, Version] = {}
        self._client: Optional[httpx.Client] = None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Kept] = WeakKeyDictionary()
        self.accounts = Accounts(self)
        self.deployments = Deployments(self)
        self.files = Files(self)
        self.models = Models(self)
        self.predictions = Predictions(self)
        self.webhooks = Webhooks(self)

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Where requests go, without ``/v1``."""
        return parse_base_url(self._base_url or os.environ.get("REPLICATE_BASE_URL") or DEFAULT_BASE_URL)

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks at a prediction."""
        if self._poll_interval is not None:
            return self._poll_interval
        return parse_seconds(os.environ.get("REPLICATE_POLL_INTERVAL"), default=DEFAULT_POLL_INTERVAL_SECONDS)

    @poll_interval.setter
    def poll_interval(self, seconds: float) -> None:
        self._poll_interval = seconds

    def run(
        self,
        ref: Reference,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run a model and return its output.

        Args:
            ref: ``owner/name``, ``owner/name:version``, or a model or version record.
            input: Values of the version's input schema; files and paths are uploaded.
            use_file_output: Give file URLs as `FileOutput`, else as text.
            parameters: Those of ``predictions.create``; ``wait`` is true when not given.

        Returns:
            The output; for a version whose output is an iterator, an iterator over its items as they appear.

        Raises:
            ModelError: If the prediction failed.
            PredictionTimeoutError: If it did not end in time.
            ReplicateError: If the API refused or could not be reached.
        """
        return self.run_target(parse_run_target(ref), input, use_file_output=use_file_output, **parameters)

    async def async_run(
        self,
        ref: Reference,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run a model and return its output; an iterator model gives an asynchronous iterator. See `run`."""
        return await self.async_run_target(parse_run_target(ref), input, use_file_output=use_file_output, **parameters)

    def run_target(
        self,
        target: flows.Target,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run anything that can be run; see `run`."""
        outcome = self.perform(self._running(target, input, parameters))
        return self._output(outcome, self.iterate, use_file_output)

    async def async_run_target(
        self,
        target: flows.Target,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Any:
        """Run anything that can be run; see `async_run`."""
        outcome = await self.perform_async(self._running(target, input, parameters))
        return self._output(outcome, self.iterate_async, use_file_output)

    def stream(
        self,
        ref: Reference,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> Iterator[ServerSentEvent]:
        """Run a model and iterate over its events as they come; ``str(event)`` is the text of an output.

        Raises:
            StreamingNotSupportedError: If the model's output is not an iterator.
            ModelError: If the prediction fails.
        """
        return self.iterate(self._streaming(ref, input, use_file_output, parameters))

    def async_stream(
        self,
        ref: Reference,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        use_file_output: bool = True,
        **parameters: Unpack[RunParameters],
    ) -> AsyncIterator[ServerSentEvent]:
        """Run a model and iterate over its events with ``async for``; see `stream`."""
        return self.iterate_async(self._streaming(ref, input, use_file_output, parameters))

    def paginate(self, list_method: Callable[..., Page[T]]) -> Iterator[Page[T]]:
        """Iterate over all pages of a ``list`` method, such as ``client.models.list``."""
        return self.iterate(flows.paginate(list_method))

    def async_paginate(self, list_method: Callable[..., Awaitable[Page[T]]]) -> AsyncIterator[Page[T]]:
        """Iterate over all pages of an ``async_list`` method."""
        return self.iterate_async(flows.paginate(list_method))

    def close(self) -> None:
        """Close the connections of blocking calls. The client can be used again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def async_close(self) -> None:
        """Close the connections of the running event loop. The client can be used again."""
        kept = self._async_clients.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept[1].aclose()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.async_close()

    def patience(self, timeout_seconds: Optional[float] = None) -> flows.Patience:
        """Return how this client waits for predictions."""
        return flows.Patience(self.poll_interval, self.wait_timeout_seconds if timeout_seconds is None else timeout_seconds)

    def wrapping(self, use_file_output: bool) -> Callable[[Any], Any]:
        """Return what is done to outputs before the caller sees them: file URLs become `FileOutput`, or nothing."""
        return partial(transform_output, client=self) if use_file_output else _unchanged

    def _running(
        self,
        target: flows.Target,
        input: Optional[Mapping[str, Any]],
        parameters: RunParameters,
    ) -> Flow[flows.Outcome]:
        options = flows.CreateOptions(**{"wait": True, **parameters})  # type: ignore[arg-type]  # checked as RunParameters
        return flows.run(target, input, options, self.patience(), self._schemas)

    def _streaming(
        self,
        ref: Reference,
        input: Optional[Mapping[str, Any]],
        use_file_output: bool,
        parameters: RunParameters,
    ) -> Feed[ServerSentEvent]:
        options = flows.CreateOptions(**parameters)
        return streams.stream_run(parse_run_target(ref), input, options, self.retry_policy, self.wrapping(use_file_output))

    def _output(self, outcome: flows.Outcome, iterate: Callable[[Feed[Any]], Any], use_file_output: bool) -> Any:
        """Return a run's output: at once, or through the caller's way of iterating."""
        outcome.prediction.bind(self)
        wrap = self.wrapping(use_file_output and outcome.may_hold_files)
        if outcome.is_iterator:
            return iterate(flows.iterate_output(outcome.prediction, self.patience(), wrap))
        return wrap(outcome.prediction.output)

    def perform(self, work: Union[Call[T], Flow[T]]) -> T:
        """Run an operation or a flow on the calling thread; records come back bound to this client."""
        with self._binding():
            return self._bound(drive(self._prepared(work), Wire(self._http(), self._endpoint())))

    async def perform_async(self, work: Union[Call[T], Flow[T]]) -> T:
        """Run an operation or a flow on the running event loop; records come back bound to this client."""
        with self._binding():
            return self._bound(await drive_async(self._prepared(work), AsyncWire(await self._async_http(), self._endpoint())))

    def iterate(self, feed: Feed[T]) -> Iterator[T]:
        """Run a feed on the calling thread; nothing is sent before the first item is asked for."""
        wire = Wire(self._http(), self._endpoint())
        with self._binding(), closing(drive_each(with_retries(feed, self.retry_policy, self._key_evidence), wire)) as items:
            for item in items:
                yield self._bound(item)

    async def iterate_async(self, feed: Feed[T]) -> AsyncGenerator[T, None]:
        """Run a feed on the running event loop; nothing is sent before the first item is asked for."""
        wire = AsyncWire(await self._async_http(), self._endpoint())
        items = drive_each_async(with_retries(feed, self.retry_policy, self._key_evidence), wire)
        with self._binding():
            try:
                async for item in items:
                    yield self._bound(item)
            finally:
                await items.aclose()

    @contextmanager
    def _binding(self) -> Iterator[None]:
        """Bind the predictions that errors carry, so that callers can go on with them."""
        try:
            yield
        except (ModelError, PredictionTimeoutError) as error:
            error.prediction.bind(self)
            raise

    def _prepared(self, work: Union[Call[T], Flow[T]]) -> Actions[T]:
        return with_retries(call(work) if isinstance(work, Call) else work, self.retry_policy, self._key_evidence)

    def _bound(self, value: T) -> T:
        bind(value, self)
        return value

    def _endpoint(self) -> Endpoint:
        """Address and token as they are now, so that a token set after a first refusal is used."""
        return Endpoint(self.base_url, self._api_token or os.environ.get("REPLICATE_API_TOKEN") or None)

    def _http(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(**_fitting(self._httpx_arguments, httpx.BaseTransport))
            # Programs seldom close the default client: its connections go with it, at the latest when the interpreter ends.
            finalize(self, self._client.close)
        return self._client

    async def _async_http(self) -> httpx.AsyncClient:
        """The connections of the running loop; those of another loop cannot be used from this one."""
        loop = asyncio.get_running_loop()
        if loop not in self._async_clients:
            client = httpx.AsyncClient(**_fitting(self._httpx_arguments, httpx.AsyncBaseTransport))
            keeper = _keep_open(client)
            self._async_clients[loop] = client, keeper
            await keeper.__anext__()
        return self._async_clients[loop][0]


async def _keep_open(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    """Close a client when this generator is closed.

    `asyncio.run` closes every started generator before its loop, so that programs need not close a client that they never made.
    """
    try:
        yield
    finally:
        await client.aclose()


Replicate = Client


def parse_base_url(text: str) -> str:
    """Return a base URL without a trailing slash and without ``/v1``: the official clients disagree about it, so both are taken.

    Raises:
        ValueError: If it is not an http or https URL.
    """
    base = text.strip().rstrip("/")
    base = base[: -len("/v1")] if base.endswith("/v1") else base
    if not base.startswith(("http://", "https://")):
        raise ValueError("the base URL must begin with http:// or https://")
    return base


def parse_seconds(text: Optional[str], *, default: float) -> float:
    """Read a positive number of seconds; the default when there is none.

    Raises:
        ValueError: If the text is not such a number.
    """
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"REPLICATE_POLL_INTERVAL must be a positive number of seconds, not {text!r}")
    return seconds


def _unchanged(value: Any) -> Any:
    return value


def _fitting(arguments: Mapping[str, Any], kind: type) -> Dict[str, Any]:
    """Leave out a transport of the other kind; httpx's own is used then."""
    transport = arguments.get("transport")
    leaves_out = transport is not None and not isinstance(transport, kind)
    return {name: value for name, value in arguments.items() if not (leaves_out and name == "transport")}
