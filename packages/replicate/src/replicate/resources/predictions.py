"""``client.predictions``: create, look at, wait for and stop predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AsyncIterator, Iterator, Mapping, Optional, Tuple, Union

from replicate.core import flows, operations, streams
from replicate.resources.cursors import Cursor, parse_given_cursor
from replicate.resources.namespace import Namespace
from replicate.resources.targets import parse_create_target

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from replicate.model import Model
    from replicate.pagination import Page
    from replicate.prediction import Prediction
    from replicate.resources.parameters import RunParameters
    from replicate.stream import ServerSentEvent
    from replicate.version import Version


class Predictions(Namespace):
    """The account's predictions."""

    def create(
        self,
        version: Union[Version, str, None] = None,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        model: Union[Model, Tuple[str, str], str, None] = None,
        deployment: Union[Tuple[str, str], str, None] = None,
        **parameters: Unpack[RunParameters],
    ) -> Prediction:
        """Create a prediction and return at once, unless ``wait`` says otherwise.

        Args:
            version: Version id or record; or give `model` or `deployment` instead.
            input: Values of the version's input schema; files and paths are uploaded.
            model: ``owner/name``, to run its latest version.
            deployment: ``owner/name`` of a deployment.
            parameters: ``webhook``, ``webhook_events_filter``, ``stream``, ``wait`` (true or seconds) and
                ``file_encoding_strategy`` (``"url"`` or ``"base64"``); each is honoured for every kind of target.
        """
        target, options = parse_create_target(version, model, deployment), flows.CreateOptions(**parameters)
        return self._client.perform(flows.create_prediction(target, input, options))

    async def async_create(
        self,
        version: Union[Version, str, None] = None,
        input: Optional[Mapping[str, Any]] = None,  # the API's word
        *,
        model: Union[Model, Tuple[str, str], str, None] = None,
        deployment: Union[Tuple[str, str], str, None] = None,
        **parameters: Unpack[RunParameters],
    ) -> Prediction:
        """Create a prediction; see `create`."""
        target, options = parse_create_target(version, model, deployment), flows.CreateOptions(**parameters)
        return await self._client.perform_async(flows.create_prediction(target, input, options))

    def get(self, id: str) -> Prediction:  # 1.x's name
        """Return a prediction as it is now."""
        return self._client.perform(operations.get_prediction(id))

    async def async_get(self, id: str) -> Prediction:  # 1.x's name
        """Return a prediction as it is now."""
        return await self._client.perform_async(operations.get_prediction(id))

    def list(self, cursor: Cursor = ...) -> Page[Prediction]:
        """Return a page of predictions, newest first; the first page without a cursor."""
        return self._client.perform(operations.list_predictions(parse_given_cursor(cursor)))

    async def async_list(self, cursor: Cursor = ...) -> Page[Prediction]:
        """Return a page of predictions, newest first; the first page without a cursor."""
        return await self._client.perform_async(operations.list_predictions(parse_given_cursor(cursor)))

    def cancel(self, id: str) -> Prediction:  # 1.x's name
        """Ask to stop a prediction and return it."""
        return self._client.perform(operations.cancel_prediction(id))

    async def async_cancel(self, id: str) -> Prediction:  # 1.x's name
        """Ask to stop a prediction and return it."""
        return await self._client.perform_async(operations.cancel_prediction(id))

    def wait(self, prediction: Prediction, timeout_seconds: Optional[float] = None) -> Prediction:
        """Wait until a prediction has ended, updating it in place; see `Prediction.wait`."""
        return self._client.perform(flows.wait(prediction, self._client.patience(timeout_seconds)))

    async def async_wait(self, prediction: Prediction, timeout_seconds: Optional[float] = None) -> Prediction:
        """Wait until a prediction has ended, updating it in place; see `Prediction.wait`."""
        return await self._client.perform_async(flows.wait(prediction, self._client.patience(timeout_seconds)))

    def stream(self, prediction: Prediction, use_file_output: bool = True) -> Iterator[ServerSentEvent]:
        """Iterate over a prediction's events; see `Prediction.stream`."""
        wrap = self._client.wrapping(use_file_output)
        return self._client.iterate(streams.stream_prediction(prediction, self._client.retry_policy, wrap))

    def async_stream(self, prediction: Prediction, use_file_output: bool = True) -> AsyncIterator[ServerSentEvent]:
        """Iterate over a prediction's events; see `Prediction.stream`."""
        wrap = self._client.wrapping(use_file_output)
        return self._client.iterate_async(streams.stream_prediction(prediction, self._client.retry_policy, wrap))

    def output_iterator(self, prediction: Prediction, use_file_output: bool = False) -> Iterator[Any]:
        """Iterate over a prediction's output items as they appear; see `Prediction.output_iterator`."""
        wrap = self._client.wrapping(use_file_output)
        return self._client.iterate(flows.iterate_output(prediction, self._client.patience(), wrap))

    def async_output_iterator(self, prediction: Prediction, use_file_output: bool = False) -> AsyncIterator[Any]:
        """Iterate over a prediction's output items as they appear; see `Prediction.output_iterator`."""
        wrap = self._client.wrapping(use_file_output)
        return self._client.iterate_async(flows.iterate_output(prediction, self._client.patience(), wrap))
