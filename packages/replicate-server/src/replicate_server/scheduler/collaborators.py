"""What the scheduler asks of other parts of the server while a prediction runs, as protocols. `bootstrap` has the real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cog.worker.protocol import OutputFile

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.records import Prediction, StoredFile, Version, WebhookMessage


class WebhookComposing(Protocol):
    """Turns a change of a prediction into the messages its subscriber is owed."""

    def compose(self, event: str, prediction: Prediction) -> list[WebhookMessage]:
        """Messages for ``start``, ``output``, ``logs`` or ``completed``; none when not subscribed or throttled."""
        ...

    def forget(self, prediction_id: PredictionId) -> None:
        """Drop what was remembered for throttling."""
        ...


class OutputIngesting(Protocol):
    """Turns files that a model wrote into stored files with URLs."""

    async def ingest(self, prediction: Prediction, value: Any, files: Sequence[OutputFile]) -> tuple[Any, list[StoredFile]]:
        """Store the files' bytes and put URLs at their pointers; the rows are for the caller to write in its transaction."""
        ...


class InputLocalizing(Protocol):
    """Brings the files an input names onto this machine."""

    def has_files(self, version: Version, input: Mapping[str, Any]) -> bool:
        """Whether there is anything to bring. Cheap."""
        ...

    async def localize(self, prediction: Prediction, version: Version, folder: str) -> dict[str, str]:
        """Write the files into ``folder``; JSON Pointer into the input → path. Raises with a message for the caller."""
        ...
