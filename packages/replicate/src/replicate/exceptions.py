"""Everything the SDK raises on purpose, with the names of 1.x, status classes beneath them, and network errors as both kinds.

An error keeps the request, the response and the request id, and its cause. None carries a secret: the token is taken off the
request before it gets here, and messages name an origin, never a URL that is itself a capability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Dict, Mapping, Optional, Tuple, Type

import httpx

if TYPE_CHECKING:
    from replicate.prediction import Prediction

REQUEST_ID_HEADERS = ("x-request-id", "request-id")


class ReplicateException(Exception):  # the name is 1.x's
    """Base of every error of this package."""


class ModelError(ReplicateException):
    """The model failed on this prediction.

    Attributes:
        prediction: The failed prediction, with its error and logs.
    """

    def __init__(self, prediction: Prediction) -> None:
        super().__init__(prediction.error or "the prediction failed without saying why")
        self.prediction = prediction


class ReplicateError(ReplicateException):
    """The API refused, or could not be reached.

    Attributes:
        type: Problem type URI, when the answer had one.
        title: Short name of the problem.
        status: HTTP status; None when there was no answer.
        detail: What was wrong, for people.
        instance: URI of this occurrence, when the answer had one.
        body: The decoded answer, with fields such as ``invalid_fields``; empty when it was not a JSON object.
        response: The answer; None when there was none.
        request_id: The server's id of the request, for support.
    """

    status_of_class: ClassVar[Optional[int]] = None

    def __init__(
        self,
        type: Optional[str] = None,  # the problem-details name, as in 1.x
        title: Optional[str] = None,
        status: Optional[int] = None,
        detail: Optional[str] = None,
        instance: Optional[str] = None,
        *,
        body: Optional[Mapping[str, Any]] = None,
        response: Optional[httpx.Response] = None,
    ) -> None:
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.instance = instance
        self.body: Mapping[str, Any] = body or {}
        self.response = response
        self.request_id = _request_id(response)
        Exception.__init__(self, str(self))

    @classmethod
    def from_response(cls, response: httpx.Response) -> ReplicateError:
        """Read a refusal; the class follows the status, and anything but a JSON object is tolerated."""
        body: Mapping[str, Any] = {}
        try:
            decoded = response.json()
        except ValueError:
            decoded = None
        if isinstance(decoded, dict):
            body = decoded
        kind = _BY_STATUS.get(response.status_code, ServerError if response.status_code >= 500 else ReplicateError)
        return kind(
            type=body.get("type"),
            title=body.get("title") or (None if body else response.reason_phrase or None),
            status=response.status_code,
            detail=None if body.get("detail") is None else str(body["detail"]),
            instance=body.get("instance"),
            body=body,
            response=response,
        )

    def to_dict(self) -> Dict[str, Any]:
        """The problem-details fields that are set."""
        names = ("type", "title", "status", "detail", "instance")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self.to_dict().items()]
        if self.request_id:
            lines.append(f"request id: {self.request_id}")
        return "\n".join(["ReplicateError Details:", *lines])

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{self.__class__.__name__}({fields})"


def _request_id(response: Optional[httpx.Response]) -> Optional[str]:
    if response is None:
        return None
    return next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)


class BadRequestError(ReplicateError):
    """400: not JSON, or a field of a model or deployment is wrong."""

    status_of_class = 400


class AuthenticationError(ReplicateError):
    """401: no token, or one that is unknown or revoked."""

    status_of_class = 401


class PaymentRequiredError(ReplicateError):
    """402: the account has no credit."""

    status_of_class = 402


class PermissionDeniedError(ReplicateError):
    """403: the token may not do this."""

    status_of_class = 403


class NotFoundError(ReplicateError):
    """404: no such thing, or not yours."""

    status_of_class = 404


class ConflictError(ReplicateError):
    """409: the name is taken, or the state forbids it."""

    status_of_class = 409


class TooLargeError(ReplicateError):
    """413: a file or body over the server's limit."""

    status_of_class = 413


class UnprocessableEntityError(ReplicateError):
    """422: the version or the input is wrong; ``body["invalid_fields"]`` lists every problem."""

    status_of_class = 422


class RateLimitError(ReplicateError):
    """429: too many requests, after every retry or with a wait longer than retries may take."""

    status_of_class = 429


class ServerError(ReplicateError):
    """5xx: the platform failed."""


_BY_STATUS: Dict[Optional[int], Type[ReplicateError]] = {
    kind.status_of_class: kind
    for kind in (
        BadRequestError,
        AuthenticationError,
        PaymentRequiredError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        TooLargeError,
        UnprocessableEntityError,
        RateLimitError,
    )
}


class UnexpectedAnswerError(ReplicateError):
    """The server answered with success, but not with what the API promises."""


class StreamingNotSupportedError(ReplicateError):
    """The prediction has no stream: the version's output is not an iterator."""


class PredictionTimeoutError(ReplicateError, TimeoutError):
    """A prediction did not end within the time that a wait may take; it is still there and may end later.

    Attributes:
        prediction: Its last known state.
    """

    def __init__(self, prediction: Prediction, timeout_seconds: float) -> None:
        super().__init__(
            title="Prediction not finished",
            detail=f"prediction {prediction.id} was still {prediction.status} after {timeout_seconds:g} s of waiting",
        )
        self.prediction = prediction


class TransportError(ReplicateError, httpx.TransportError):
    """The network failed; also an ``httpx.TransportError``, so that code written for 1.x still catches it."""

    def __init__(self, detail: str, *, request: Optional[httpx.Request] = None) -> None:
        ReplicateError.__init__(self, title="Network error", detail=detail)
        self._request = request


class TransportTimeoutError(TransportError, httpx.TimeoutException):
    """The server was too slow to connect or to answer."""


class ConnectionFailedError(TransportError, httpx.ConnectError):
    """No connection could be made: wrong address, nothing listening, no name."""


class StreamInterruptedError(TransportError):
    """A stream broke and could not be resumed."""


# Most specific first; the last entry takes the rest, so that the table is total.
_TRANSPORT_CLASSES: Tuple[Tuple[Type[httpx.TransportError], Type[TransportError]], ...] = (
    (httpx.TimeoutException, TransportTimeoutError),
    (httpx.ConnectError, ConnectionFailedError),
    (httpx.TransportError, TransportError),
)


def transport_error(error: httpx.TransportError, request: httpx.Request) -> TransportError:
    """Translate an httpx transport error into ours, keeping the httpx family that callers may catch."""
    kind = next(ours for theirs, ours in _TRANSPORT_CLASSES if isinstance(error, theirs))
    url = request.url
    origin = f"{url.scheme}://{url.netloc.decode('ascii').rpartition('@')[2]}"
    reason = str(error) or type(error).__name__
    return kind(f"could not reach {origin}: {reason}", request=request)
