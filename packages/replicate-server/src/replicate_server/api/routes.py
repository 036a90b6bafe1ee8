"""The route table: everything the server answers. What is not in `PUBLIC` needs a token; there is no third list (promise I1)."""

from __future__ import annotations

from replicate_server.api import accounts, downloads, files, index, models, predictions, publishing, streams
from replicate_server.api.routing import KeyUse, Route
from replicate_server.domain.rate_limits import RateClass

_CREATES = RateClass.PREDICTION_CREATES

PROTECTED: tuple[Route, ...] = (
    Route("GET", "/v1/account", accounts.get),
    Route("GET", "/v1/files", files.list_page, shows_rate=False),
    Route("POST", "/v1/files", files.create, shows_rate=False, key_use=KeyUse.UPLOAD),
    Route("GET", "/v1/files/{file_id}", files.get, shows_rate=False),
    Route("DELETE", "/v1/files/{file_id}", files.delete, shows_rate=False),
    Route("GET", "/v1/hardware", accounts.list_hardware),
    Route("GET", "/v1/models", models.list_page),
    Route("POST", "/v1/models", models.create, key_use=KeyUse.BODY),
    Route("GET", "/v1/models/{owner}/{name}", models.get),
    Route("POST", "/v1/models/{owner}/{name}/predictions", predictions.create_for_model, rate=_CREATES, key_use=KeyUse.BODY),
    Route("GET", "/v1/models/{owner}/{name}/versions", models.list_versions),
    Route("POST", "/v1/models/{owner}/{name}/versions", publishing.publish),
    Route("GET", "/v1/models/{owner}/{name}/versions/{version}", models.get_version),
    Route("GET", "/v1/predictions", predictions.list_page),
    Route("POST", "/v1/predictions", predictions.create, rate=_CREATES, key_use=KeyUse.BODY),
    Route("GET", "/v1/predictions/{prediction_id}", predictions.get, rate=RateClass.PREDICTION_READS),
    Route("POST", "/v1/predictions/{prediction_id}/cancel", predictions.cancel),
    Route("GET", "/v1/webhooks/default/secret", accounts.get_webhook_secret),
)

# Each is harmless, or its URL is itself the permission: unguessable or signed.
PUBLIC: tuple[Route, ...] = (
    Route("GET", "/", index.show),
    Route("GET", "/healthz", index.health),
    Route("GET", "/delivery/{delivery_token}/{name}", downloads.deliver),
    Route("GET", "/v1/files/{file_id}/download", downloads.download_file),
    Route("GET", "/v1/files/{stream_token}", streams.show),
    Route("GET", "/v1/streams/{stream_token}", streams.show),
)
