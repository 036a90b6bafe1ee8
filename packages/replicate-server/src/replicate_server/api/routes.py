"""The route table: everything the server answers. What is not in `PUBLIC` needs a token; there is no third list (promise I1)."""

from __future__ import annotations

from replicate_server.api import (
    accounts,
    collections,
    deployments,
    documentation,
    downloads,
    files,
    index,
    model_editing,
    models,
    predictions,
    publishing,
    streams,
)
from replicate_server.api.routing import KeyUse, Route
from replicate_server.domain.rate_limits import RateClass

_CREATES = RateClass.PREDICTION_CREATES

PROTECTED: tuple[Route, ...] = (
    Route("GET", "/v1/account", accounts.get),
    Route("GET", "/v1/collections", collections.list_collections),
    Route("GET", "/v1/collections/{slug}", collections.get_collection),
    Route("GET", "/v1/deployments", deployments.list_page),
    Route("POST", "/v1/deployments", deployments.create, key_use=KeyUse.BODY),
    Route("GET", "/v1/deployments/{owner}/{name}", deployments.get),
    Route("PATCH", "/v1/deployments/{owner}/{name}", deployments.update),
    Route("DELETE", "/v1/deployments/{owner}/{name}", deployments.delete),
    Route(
        "POST",
        "/v1/deployments/{owner}/{name}/predictions",
        predictions.create_for_deployment,
        rate=_CREATES,
        key_use=KeyUse.BODY,
    ),
    Route("GET", "/v1/files", files.list_page, shows_rate=False),
    Route("POST", "/v1/files", files.create, shows_rate=False, key_use=KeyUse.UPLOAD),
    Route("GET", "/v1/files/{file_id}", files.get, shows_rate=False),
    Route("DELETE", "/v1/files/{file_id}", files.delete, shows_rate=False),
    Route("GET", "/v1/hardware", accounts.list_hardware),
    Route("GET", "/v1/models", models.list_page),
    Route("POST", "/v1/models", models.create, key_use=KeyUse.BODY),
    Route("QUERY", "/v1/models", collections.query_models),
    Route("GET", "/v1/models/{owner}/{name}", models.get),
    Route("PATCH", "/v1/models/{owner}/{name}", model_editing.update),
    Route("DELETE", "/v1/models/{owner}/{name}", model_editing.delete),
    Route("GET", "/v1/models/{owner}/{name}/examples", model_editing.list_examples),
    Route("POST", "/v1/models/{owner}/{name}/examples", model_editing.add_example),
    Route("DELETE", "/v1/models/{owner}/{name}/examples/{prediction_id}", model_editing.remove_example),
    Route("POST", "/v1/models/{owner}/{name}/predictions", predictions.create_for_model, rate=_CREATES, key_use=KeyUse.BODY),
    Route("GET", "/v1/models/{owner}/{name}/readme", model_editing.get_readme),
    Route("GET", "/v1/models/{owner}/{name}/versions", models.list_versions),
    Route("POST", "/v1/models/{owner}/{name}/versions", publishing.publish),
    Route("GET", "/v1/models/{owner}/{name}/versions/{version}", models.get_version),
    Route("DELETE", "/v1/models/{owner}/{name}/versions/{version}", model_editing.delete_version),
    Route("GET", "/v1/predictions", predictions.list_page),
    Route("POST", "/v1/predictions", predictions.create, rate=_CREATES, key_use=KeyUse.BODY),
    Route("GET", "/v1/predictions/{prediction_id}", predictions.get, rate=RateClass.PREDICTION_READS),
    Route("POST", "/v1/predictions/{prediction_id}/cancel", predictions.cancel),
    Route("GET", "/v1/search", collections.search),
    Route("GET", "/v1/webhooks/default/secret", accounts.get_webhook_secret),
)

# Each is harmless, or its URL is itself the permission: unguessable or signed.
PUBLIC: tuple[Route, ...] = (
    Route("GET", "/", index.show),
    Route("GET", "/healthz", index.health),
    Route("GET", "/openapi.json", documentation.show_document),
    Route("GET", "/docs", documentation.show_page),
    Route("GET", "/delivery/{delivery_token}/{name}", downloads.deliver),
    Route("GET", "/v1/files/{file_id}/download", downloads.download_file),
    Route("GET", "/v1/files/{stream_token}", streams.show),
    Route("GET", "/v1/streams/{stream_token}", streams.show),
)
