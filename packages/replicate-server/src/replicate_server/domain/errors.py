"""Operating errors: what the HTTP API can refuse, each with a stable code, a status, a fault and advice.

`contract/errors.yaml` is the list; a test compares the two. Bugs are not here: they raise plain exceptions and become a
logged 500. A prediction that fails is not here either: it is a resource with status ``failed``. Only ``api.problems`` writes
them as HTTP bodies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from replicate_server.domain.rate_limits import Taking


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request, in the words of reference http-api §3."""

    type: str
    """``required``, ``invalid_type``, ``number_lte``, ``enum``, ``additional_property_not_allowed``, ``format`` and so on."""
    field: str
    """``input``, ``input.prompt``, ``webhook`` or ""."""
    description: str


class OperatingError(Exception):
    """Base of everything the API refuses on purpose.

    Attributes:
        detail: One or more sentences for the caller: what was wrong and what to do. No secrets.
        headers: Extra response headers, such as ``Retry-After``.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str | None]
    fault: ClassVar[str] = "caller"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}


class InvalidInput(OperatingError):
    """Body or input broke the schema; all field errors at once."""

    code, status, title = "invalid_input", 422, "Input validation failed"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("".join(f"- {error.field or 'body'}: {error.description}\n" for error in errors))
        self.errors = tuple(errors)


class InvalidVersion(OperatingError):
    """A version reference that names nothing the caller may run."""

    code, status, title = "invalid_version", 422, "Invalid version or not permitted"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or "The specified version does not exist (or perhaps you don't have permission to use it?)")


class InvalidRequest(OperatingError):
    """Not JSON, a bad header or query parameter, a bad cursor."""

    code, status, title = "invalid_request", 400, "Bad request"


class ValidationFailed(OperatingError):
    """A field of a model or deployment is wrong (the second error family, with ``errors[].pointer``)."""

    code, status, title = "validation_failed", 400, "Validation failed"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        lines = "\n".join(f"- {error.field}: {error.description}" for error in errors)
        super().__init__(f"The following errors were found:\n{lines}")
        self.errors = tuple(errors)


class Unauthenticated(OperatingError):
    """No token, or one that is unknown or revoked."""

    code, status, title = "unauthenticated", 401, "Unauthenticated"

    def __init__(self) -> None:
        super().__init__("You did not pass a valid authentication token")


class PermissionDenied(OperatingError):
    """The token is good but may not do this."""

    code, status, title = "permission_denied", 403, "Permission denied"


class NotFound(OperatingError):
    """No such resource, or not the caller's: the two look alike on purpose."""

    code, status, title = "not_found", 404, None

    def __init__(self, detail: str = "The requested resource could not be found") -> None:
        super().__init__(detail)


class VersionsHidden(OperatingError):
    """An official model does not list its versions."""

    code, status, title = "versions_hidden", 404, "Not found"

    def __init__(self) -> None:
        super().__init__("This model is an official model and does not expose a list of versions.")


class InvalidSearch(OperatingError):
    """A search without words or with a wrong limit (the third error family: a plain JSON object with ``detail``)."""

    code, status, title = "invalid_search", 400, None


class MethodNotAllowed(OperatingError):
    """The path exists, the method does not."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class Conflict(OperatingError):
    """A name is taken or a state forbids the change."""

    code, status, title = "conflict", 409, "Conflict"


class TooLarge(OperatingError):
    """A body or file over its limit."""

    code, status, title = "too_large", 413, "Content too large"


class BrokenPackage(OperatingError):
    """A published folder cannot be turned into a version; ``detail`` holds the resolver's or importer's words."""

    code, status, title = "package_broken", 422, "Package cannot be run"


class QueueFull(OperatingError):
    """The queue's limit is reached; always with Retry-After (promise J10)."""

    code, status, title = "queue_full", 429, "Queue full"
    fault, retryable = "platform", True


class RateLimited(OperatingError):
    """The account's requests of this class are used up for the moment; always with a truthful Retry-After (promise I6)."""

    code, status, title = "rate_limited", 429, None
    retryable = True

    def __init__(self, taking: Taking) -> None:
        seconds = taking.retry_after_seconds
        super().__init__(f"Request was throttled. Your rate limit resets in ~{seconds}s.", headers={"Retry-After": str(seconds)})
        self.taking = taking


class KeyReused(OperatingError):
    """An Idempotency-Key that stands for another request already (promise J8)."""

    code, status, title = "idempotency_key_reused", 422, "Idempotency key reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request before. Use a new key for each new request.")


class Internal(OperatingError):
    """A bug. ``detail`` carries only a reference id that the log has too."""

    code, status, title = "internal", 500, "Internal server error"
    fault = "platform"


class Unavailable(OperatingError):
    """The platform cannot do it now: storage refused, shutting down. Always with Retry-After."""

    code, status, title = "unavailable", 503, "Service unavailable"
    fault, retryable = "platform", True
