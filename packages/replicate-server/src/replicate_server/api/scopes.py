"""Which scope of a token each route needs: the one place where that is said, checked by a test against the route table."""

from __future__ import annotations

from collections.abc import Mapping

from replicate_server.domain.scopes import Scope

NEEDED: Mapping[str, Scope] = {
    "GET /v1/account": Scope.READ,
    "GET /v1/collections": Scope.READ,
    "GET /v1/collections/{slug}": Scope.READ,
    "GET /v1/deployments": Scope.READ,
    "POST /v1/deployments": Scope.WRITE,
    "GET /v1/deployments/{owner}/{name}": Scope.READ,
    "PATCH /v1/deployments/{owner}/{name}": Scope.WRITE,
    "DELETE /v1/deployments/{owner}/{name}": Scope.WRITE,
    "POST /v1/deployments/{owner}/{name}/predictions": Scope.RUN,
    "GET /v1/files": Scope.READ,
    "POST /v1/files": Scope.RUN,
    "GET /v1/files/{file_id}": Scope.READ,
    "DELETE /v1/files/{file_id}": Scope.WRITE,
    "GET /v1/hardware": Scope.READ,
    "GET /v1/models": Scope.READ,
    "POST /v1/models": Scope.WRITE,
    "QUERY /v1/models": Scope.READ,
    "GET /v1/models/{owner}/{name}": Scope.READ,
    "PATCH /v1/models/{owner}/{name}": Scope.WRITE,
    "DELETE /v1/models/{owner}/{name}": Scope.WRITE,
    "GET /v1/models/{owner}/{name}/examples": Scope.READ,
    "POST /v1/models/{owner}/{name}/examples": Scope.WRITE,
    "DELETE /v1/models/{owner}/{name}/examples/{prediction_id}": Scope.WRITE,
    "POST /v1/models/{owner}/{name}/predictions": Scope.RUN,
    "GET /v1/models/{owner}/{name}/readme": Scope.READ,
    "GET /v1/models/{owner}/{name}/versions": Scope.READ,
    "POST /v1/models/{owner}/{name}/versions": Scope.WRITE,
    "GET /v1/models/{owner}/{name}/versions/{version}": Scope.READ,
    "DELETE /v1/models/{owner}/{name}/versions/{version}": Scope.WRITE,
    "GET /v1/predictions": Scope.READ,
    "POST /v1/predictions": Scope.RUN,
    "GET /v1/predictions/{prediction_id}": Scope.READ,
    "POST /v1/predictions/{prediction_id}/cancel": Scope.RUN,
    "GET /v1/search": Scope.READ,
    "GET /v1/webhooks/default/secret": Scope.ADMIN,
}


def needed(method: str, path: str) -> Scope:
    """The scope that a route needs; what the table forgot needs everything."""
    return NEEDED.get(f"{method} {path}", Scope.ADMIN)
