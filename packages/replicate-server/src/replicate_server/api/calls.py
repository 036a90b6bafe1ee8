"""One request on its way through a handler: what the handlers may ask of it, and the services they may call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from replicate_server.api.bodies import read_body
from replicate_server.api.headers import knows_aborted, parse_credentials
from replicate_server.api.urls import Urls
from replicate_server.domain.errors import Unauthenticated
from replicate_server.domain.records import Account
from replicate_server.ports.clock import Clock
from replicate_server.ports.fetching import Fetcher
from replicate_server.services.accounts import AccountService
from replicate_server.services.collections import CollectionService, SearchService
from replicate_server.services.deployments import DeploymentService
from replicate_server.services.files import FileService
from replicate_server.services.idempotency import IdempotentCreates, Turn
from replicate_server.services.model_editing import ModelEditing
from replicate_server.services.models import ModelService
from replicate_server.services.predictions import PredictionService
from replicate_server.services.publishing import PublishService
from replicate_server.services.rate_limiter import RateLimiter
from replicate_server.services.version_removal import VersionRemoval
from replicate_server.services.versions import VersionService

RECORD_BODY_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CatalogueServices:
    """The use cases around finding, editing and deploying models."""

    editing: ModelEditing
    removal: VersionRemoval
    collections: CollectionService
    search: SearchService
    deployments: DeploymentService


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The use cases that the API offers, and the two ports it needs itself."""

    accounts: AccountService
    predictions: PredictionService
    models: ModelService
    versions: VersionService
    files: FileService
    publishing: PublishService
    creates: IdempotentCreates
    limiter: RateLimiter
    fetcher: Fetcher
    """Only asked whether a webhook's URL may be contacted; nothing is fetched here."""
    clock: Clock
    catalogue: CatalogueServices


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds of requests, from the settings."""

    prediction_body_bytes_max: int = 100 * 1024**2
    sync_wait_seconds_max: float = 60.0
    allows_http_webhooks: bool = False


class Call:
    """A request. Made once per request, after routing."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        services: ApiServices,
        urls: Urls,
        limits: ApiLimits,
        parameters: Mapping[str, str],
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.services = services
        self.urls = urls
        self.limits = limits
        self.parameters = parameters
        self.turn: Turn | None = None
        """Set where the request carries an Idempotency-Key that its route honours."""
        self._account: Account | None = None

    @property
    def account(self) -> Account:
        """Who is calling.

        Raises:
            Unauthenticated: On a public route; a handler there must not ask.
        """
        if self._account is None:
            raise Unauthenticated
        return self._account

    async def authenticate(self) -> Account:
        """Learn who is calling from the ``Authorization`` header.

        Raises:
            Unauthenticated: If it names nobody.
        """
        token = parse_credentials(self.header(b"authorization"))
        self._account = await self.services.accounts.authenticate(token)
        return self._account

    def header(self, name: bytes) -> str:
        """A request header, several lines of it joined with commas; "" when absent.

        Args:
            name: Lower case.
        """
        values = [value.decode("latin-1") for key, value in self.scope["headers"] if key == name]
        return ", ".join(values) if values else ""

    @cached_property
    def query(self) -> QueryParams:
        """The query parameters."""
        return QueryParams(self.scope["query_string"])

    @property
    def shows_aborted(self) -> bool:
        """Whether the client knows the status ``aborted`` (header ``Replicate-Statuses: aborted``)."""
        return knows_aborted(self.header(b"replicate-statuses"))

    async def body(self, *, size_bytes_max: int = RECORD_BODY_BYTES_MAX) -> bytes:
        """The request's body.

        Raises:
            TooLarge: If it is longer than allowed.
        """
        return await read_body(self.scope, self.receive, size_bytes_max=size_bytes_max)
