"""Every absolute URL that the server gives out, built from its public base. Paths are spelled here and in the route table."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from replicate_server.domain.records import Prediction, StoredFile


class Urls:
    """Builds URLs under one base."""

    def __init__(self, base_url: str) -> None:
        """Remember the base.

        Args:
            base_url: How clients reach the server, for example ``http://127.0.0.1:8000``; a trailing slash is ignored.
        """
        self.base = base_url.rstrip("/")
        self._predictions = f"{self.base}/v1/predictions/"
        self._web = f"{self.base}/p/"

    def prediction(self, prediction_id: str) -> str:
        """Where a prediction is polled."""
        return self._predictions + prediction_id

    def cancel(self, prediction_id: str) -> str:
        """Where a prediction is canceled."""
        return f"{self._predictions}{prediction_id}/cancel"

    def web(self, prediction_id: str) -> str:
        """A prediction's page for people."""
        return self._web + prediction_id

    def stream(self, prediction: Prediction) -> str | None:
        """A prediction's event stream; None when it has none.

        Clients tell text from files by the path alone (reference http-api §4.3.8).
        """
        if prediction.stream_token is None:
            return None
        kind = "files" if prediction.is_file_stream else "streams"
        return f"{self.base}/v1/{kind}/{prediction.stream_token}"

    def model(self, owner: str, name: str) -> str:
        """A model's page for people."""
        return f"{self.base}/{owner}/{name}"

    def file(self, file_id: str) -> str:
        """An uploaded file's facts; also what clients put into inputs."""
        return f"{self.base}/v1/files/{quote(file_id)}"

    def delivery(self, file: StoredFile) -> str:
        """An output file's public URL."""
        return f"{self.base}/delivery/{file.delivery_token}/{quote(file.name)}"

    def page(self, path: str, *, filters: Mapping[str, str], cursor: str | None) -> str | None:
        """The URL of another page of a list, its filters kept; None without a cursor.

        Args:
            path: The list's canonical path, for example ``/v1/predictions``.
            filters: Query parameters other than the cursor.
            cursor: What the store gave out.
        """
        if cursor is None:
            return None
        return f"{self.base}{path}?{urlencode({**filters, 'cursor': cursor})}"
