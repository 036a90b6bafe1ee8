"""Everything that takes more than one request: creating with files, waiting, running, following output and pages.

Pure generators: they yield what they need and are sent the results, so that blocking and asynchronous callers share every line
and tests need neither a network nor an event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from replicate.core import operations
from replicate.core.inputs import encode_input
from replicate.core.steps import Emit, Feed, Flow, Invoke, Now, Sleep, call
from replicate.exceptions import ModelError, NotFoundError, PredictionTimeoutError

if TYPE_CHECKING:
    from replicate.file import FileEncodingStrategy
    from replicate.pagination import Page
    from replicate.prediction import Prediction
    from replicate.version import Version


SCHEMAS_MAX = 256
"""How many versions a client remembers before it starts anew."""


@dataclass(frozen=True)
class Patience:
    """How a prediction is waited for.

    Attributes:
        interval_seconds: Pause between two looks.
        timeout_seconds: Longest wait in all.
    """

    interval_seconds: float = 0.5
    timeout_seconds: float = 6 * 3600.0


@dataclass(frozen=True)
class Target:
    """What to run: a version, a model's latest version, or a deployment.

    Attributes:
        version: Version id or reference.
        model: Owner and name.
        deployment: Owner and name.
        source: Owner and name of the model at which the version's schema can be fetched.
        known: The version itself, when the caller had it.
    """

    version: Optional[str] = None
    model: Optional[Tuple[str, str]] = None
    deployment: Optional[Tuple[str, str]] = None
    source: Optional[Tuple[str, str]] = None
    known: Optional[Version] = None


@dataclass(frozen=True)
class CreateOptions:
    """The parameters of a create beside its target and input; passed whole, so that no path can forget one."""

    wait: Union[bool, float, None] = None
    file_encoding_strategy: Optional[FileEncodingStrategy] = None
    webhook: Optional[str] = None
    webhook_completed: Optional[str] = None
    webhook_events_filter: Optional[List[str]] = None
    stream: Optional[bool] = None

    @property
    def body(self) -> Dict[str, Any]:
        """The options that travel in the request's body."""
        names = ("webhook", "webhook_completed", "webhook_events_filter", "stream")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Outcome:
    """A run: its prediction (ended, unless it has iterator output), and what its version's schema says about the output."""

    prediction: Prediction
    is_iterator: bool
    may_hold_files: bool


def create_prediction(target: Target, input: Optional[Mapping[str, Any]], options: CreateOptions) -> Flow[Prediction]:
    """Upload the input's files, then create the prediction."""
    encoded = yield from encode_input(input or {}, options.file_encoding_strategy)
    operation = operations.create_prediction(
        version=target.version,
        model=target.model,
        deployment=target.deployment,
        body={"input": encoded, **options.body},
        wait=options.wait,
    )
    return (yield from call(operation))


def wait(prediction: Prediction, patience: Patience) -> Flow[Prediction]:
    """Look at a prediction until it has ended, updating it in place.

    Raises:
        PredictionTimeoutError: If it has not ended in time.
    """
    deadline = (yield Now()) + patience.timeout_seconds
    while not prediction.is_terminal:
        yield from _look_again(prediction, patience, deadline)
    return prediction


def _look_again(prediction: Prediction, patience: Patience, deadline: float) -> Flow[None]:
    remaining = deadline - (yield Now())
    if remaining <= 0:
        raise PredictionTimeoutError(prediction, patience.timeout_seconds)
    yield Sleep(min(patience.interval_seconds, remaining))
    prediction.take((yield from call(operations.get_prediction(prediction.id))))


def run(
    target: Target,
    input: Optional[Mapping[str, Any]],  # the API's word
    options: CreateOptions,
    patience: Patience,
    schemas: Dict[str, Version],
) -> Flow[Outcome]:
    """Create a prediction and wait for its end, unless its output is an iterator: that is for the caller to follow.

    Args:
        target: What to run.
        input: Input, files included.
        options: Parameters of the create.
        patience: How to wait.
        schemas: Versions seen before, by ``owner/name:version``; added to, since a version never changes.

    Raises:
        ModelError: If the prediction failed.
    """
    prediction = yield from create_prediction(target, input, options)
    version = yield from _find_version(target, schemas)
    is_iterator = version is not None and version.has_iterator_output
    if not is_iterator and not _holds_whole_output(prediction, options):
        yield from wait(prediction, patience)
    if prediction.status == "failed":
        raise ModelError(prediction)
    return Outcome(prediction, is_iterator=is_iterator, may_hold_files=version is None or version.may_output_files)


def _holds_whole_output(prediction: Prediction, options: CreateOptions) -> bool:
    """Whether a held create already answered with the result.

    The hosted service has answered with ``processing`` and the whole output; a hold that ran out always says ``starting``.
    """
    is_held = options.wait is not None and options.wait is not False
    return prediction.is_terminal or (is_held and prediction.status == "processing" and prediction.output is not None)


def _find_version(target: Target, schemas: Dict[str, Version]) -> Flow[Optional[Version]]:
    """The version with its schema; None for a target without one, or when the server does not show it."""
    if target.known is not None or target.version is None or target.source is None:
        return target.known
    reference = f"{'/'.join(target.source)}:{target.version}"
    if reference not in schemas:
        if len(schemas) >= SCHEMAS_MAX:
            schemas.clear()
        try:
            schemas[reference] = yield from call(operations.get_version(*target.source, target.version))
        except NotFoundError:
            return None
    return schemas[reference]


def iterate_output(prediction: Prediction, patience: Patience, wrap: Callable[[Any], Any]) -> Feed[Any]:
    """Emit the items of a prediction's output as they appear, from the first one, updating the prediction in place.

    Raises:
        ModelError: If the prediction fails, after the items that it gave before.
    """
    deadline = (yield Now()) + patience.timeout_seconds
    count = 0
    while True:
        items = prediction.output if isinstance(prediction.output, list) else []
        for item in items[count:]:
            yield Emit(wrap(item))
        count = max(count, len(items))
        if prediction.is_terminal:
            break
        yield from _look_again(prediction, patience, deadline)
    if prediction.status == "failed":
        raise ModelError(prediction)
    if prediction.output is not None and not isinstance(prediction.output, list):
        yield Emit(wrap(prediction.output))


def paginate(list_method: Callable[..., Any]) -> Feed[Any]:
    """Emit every page that a ``list`` method, or its awaitable twin, gives."""
    page: Page[Any] = yield Invoke(list_method)
    yield Emit(page)
    while page.next:
        page = yield Invoke(list_method, (page.next,))
        yield Emit(page)
