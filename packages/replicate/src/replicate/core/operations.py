"""Every request of the API, each with the reading of its answer: pure, no client, no network.

Paths are below the base URL and start with ``/v1``. One function per operation; parameters that the caller left out stay out of
the body.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, Union
from urllib.parse import quote

from replicate.account import Account
from replicate.core.steps import Call, Repeat, Request, Upload
from replicate.exceptions import UnexpectedAnswerError
from replicate.file import File
from replicate.model import Model
from replicate.pagination import Page, parse_cursor, parse_page
from replicate.prediction import Prediction
from replicate.version import Version

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

WAIT_SECONDS_MAX = 60
"""Longest time that the API holds a create open."""
WAIT_MARGIN_SECONDS = 5.0
"""How much later than the hold time an answer may come before the client calls it lost."""


def _path(*segments: str) -> str:
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _decode(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise UnexpectedAnswerError(
            title="Unexpected answer", status=response.status_code, detail="the answer is not JSON", response=response
        ) from error


def _reading(parse: Callable[[Any], T]) -> Callable[[httpx.Response], T]:
    return lambda response: parse(_decode(response))


def _given(values: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _page(kind: Any, path: str, cursor: Optional[str], params: Optional[Mapping[str, str]] = None) -> Call[Page[Any]]:
    request = Request("GET", path, params=params or {}) if cursor is None else Request("GET", parse_cursor(cursor))
    return Call(request, _reading(lambda data: parse_page(data, kind.from_json)))


def get_account() -> Call[Account]:
    """Who the token belongs to."""
    return Call(Request("GET", "/v1/account"), _reading(Account.from_json))


def get_model(owner: str, name: str) -> Call[Model]:
    """One model with its latest version."""
    return Call(Request("GET", _path("models", owner, name)), _reading(Model.from_json))


def list_models(cursor: Optional[str] = None) -> Call[Page[Model]]:
    """A page of public models."""
    return _page(Model, "/v1/models", cursor)


def create_model(owner: str, name: str, fields: Mapping[str, Any]) -> Call[Model]:
    """Create a model without versions."""
    body = {"owner": owner, "name": name, **_given(fields)}
    return Call(Request("POST", "/v1/models", json=body, repeat=Repeat.KEYED), _reading(Model.from_json))


def list_versions(owner: str, name: str, cursor: Optional[str] = None) -> Call[Page[Version]]:
    """A page of a model's versions, newest first."""
    return _page(Version, _path("models", owner, name, "versions"), cursor)


def get_version(owner: str, name: str, version: str) -> Call[Version]:
    """One version, by id or a prefix that the server resolves."""
    return Call(Request("GET", _path("models", owner, name, "versions", version)), _reading(Version.from_json))


def get_prediction(prediction_id: str) -> Call[Prediction]:
    """One prediction as it is now."""
    return Call(Request("GET", _path("predictions", prediction_id)), _reading(Prediction.from_json))


def list_predictions(cursor: Optional[str] = None, params: Optional[Mapping[str, str]] = None) -> Call[Page[Prediction]]:
    """A page of the account's predictions, newest first."""
    return _page(Prediction, "/v1/predictions", cursor, params)


def cancel_prediction(prediction_id: str) -> Call[Prediction]:
    """Ask to stop a prediction. Asking twice changes nothing, so it may be repeated."""
    return Call(Request("POST", _path("predictions", prediction_id, "cancel")), _reading(Prediction.from_json))


def create_prediction(
    *,
    version: Optional[str] = None,
    model: Optional[Tuple[str, str]] = None,
    deployment: Optional[Tuple[str, str]] = None,
    body: Mapping[str, Any],
    wait: Union[bool, float, None] = None,
) -> Call[Prediction]:
    """Create a prediction of a version, of a model's latest version, or through a deployment: exactly one of them.

    Args:
        version: Version id or reference.
        model: Owner and name of a model.
        deployment: Owner and name of a deployment.
        body: ``input`` and options; those that are None are left out.
        wait: True or seconds to have the request held until the prediction ends.
    """
    content = _given(body)
    if model is not None:
        path = _path("models", *model, "predictions")
    elif deployment is not None:
        path = _path("deployments", *deployment, "predictions")
    else:
        path, content = "/v1/predictions", {"version": version, **content}
    headers, read_timeout_seconds = build_preference(wait)
    request = Request("POST", path, json=content, headers=headers, read_timeout_seconds=read_timeout_seconds, repeat=Repeat.KEYED)
    return Call(request, _reading(Prediction.from_json))


def build_preference(wait: Union[bool, float, None]) -> Tuple[Dict[str, str], Optional[float]]:
    """Return the ``Prefer`` header for a wait and the read time-out that goes with it; neither when there is no wait.

    Seconds are rounded up and kept within what the API accepts.
    """
    if wait is None or wait is False:
        return {}, None
    if wait is True:
        return {"Prefer": "wait"}, WAIT_SECONDS_MAX + WAIT_MARGIN_SECONDS
    seconds = min(max(math.ceil(wait), 1), WAIT_SECONDS_MAX)
    return {"Prefer": f"wait={seconds}"}, seconds + WAIT_MARGIN_SECONDS


def create_file(upload: Upload, metadata: Optional[Mapping[str, Any]] = None) -> Call[File]:
    """Store a file. It is streamed; one that cannot be rewound is sent once only."""
    fields = {} if metadata is None else {"metadata": json.dumps(metadata)}
    repeat = Repeat.KEYED if upload.is_repeatable else Repeat.NEVER
    return Call(Request("POST", "/v1/files", upload=upload, fields=fields, repeat=repeat), _reading(File.from_json))


def get_file(file_id: str) -> Call[File]:
    """Describe one stored file."""
    return Call(Request("GET", _path("files", file_id)), _reading(File.from_json))


def list_files() -> Call[List[File]]:
    """Describe the account's files, newest first."""
    return Call(Request("GET", "/v1/files"), _reading(lambda data: parse_page(data, File.from_json).results))


def delete_file(file_id: str) -> Call[bool]:
    """Delete a file; true when the server says that it is gone."""
    return Call(Request("DELETE", _path("files", file_id)), lambda response: response.status_code == 204)


def get_webhook_secret() -> Call[str]:
    """The secret with which webhooks of this account are signed."""
    return Call(Request("GET", "/v1/webhooks/default/secret"), _reading(lambda data: str(data["key"])))
