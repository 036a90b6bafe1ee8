"""The document around a model's inputs and output: the routes of the model server and its fixed components."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from cog.schema.inputs import InputSchema

JsonSchema = Dict[str, Any]

OPENAPI_VERSION = "3.0.2"

STATUSES = ["starting", "processing", "succeeded", "canceled", "failed"]


def assemble(
    *, inputs: InputSchema, output: JsonSchema, training: Optional[Mapping[str, Any]] = None, is_streaming: bool = False
) -> Dict[str, Any]:
    """Put the document together, keys sorted at every level.

    Args:
        inputs: Of predictions.
        output: Of predictions.
        training: ``inputs`` and ``output`` of trainings, when the model has a training function.
        is_streaming: Whether the author marked the runner with ``@streaming``.
    """
    from cog import __version__

    components = {**_fixed_components(), **_envelope("Prediction", "Input", "Output"), **inputs.components}
    components.update({"Input": inputs.schema, "Output": output})
    paths = {**_fixed_paths(), **_run_paths("prediction", is_streaming=is_streaming)}
    if training is not None:
        components.update(training["inputs"].components)
        components.update(_envelope("Training", "TrainingInput", "TrainingOutput"))
        components.update({"TrainingInput": training["inputs"].schema, "TrainingOutput": training["output"]})
        paths.update(_run_paths("training", is_streaming=False))
    document = {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "Cog", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }
    return _sorted(document)  # type: ignore[no-any-return]


def _sorted(value: Any) -> Any:
    """The same value with the keys of every object in alphabetical order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _reference(name: str) -> JsonSchema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: JsonSchema) -> JsonSchema:
    return {"application/json": {"schema": schema}}


def _response(schema: JsonSchema, description: str = "Successful Response") -> JsonSchema:
    return {"description": description, "content": _json(schema)}


_INVALID = {"422": _response(_reference("HTTPValidationError"), "Validation Error")}


def _fixed_paths() -> JsonSchema:
    """The routes that every model server has."""
    return {
        "/": {
            "get": {
                "summary": "Root",
                "operationId": "root__get",
                "responses": {"200": _response({"title": "Response Root  Get"})},
            }
        },
        "/health-check": {
            "get": {
                "summary": "Healthcheck",
                "operationId": "healthcheck_health_check_get",
                "responses": {"200": _response({"title": "Response Healthcheck Health Check Get"})},
            }
        },
    }


def _run_paths(noun: str, *, is_streaming: bool) -> JsonSchema:
    """Create and cancel of predictions, or of trainings."""
    verb, title = {"prediction": ("predict", "Prediction"), "training": ("train", "Training")}[noun]
    identifier = f"{noun}_id"
    create = {
        "summary": verb.title(),
        "description": f"Run a single {noun} on the model",
        "operationId": f"{verb}_{noun}s_post",
        "requestBody": {"content": _json(_reference(f"{title}Request"))},
        "responses": {"200": _response(_reference(f"{title}Response")), **_INVALID},
        **({"x-cog-streaming": True} if is_streaming else {}),
    }
    cancel = {
        "summary": "Cancel",
        "description": f"Cancel a running {noun}",
        "operationId": f"cancel_{noun}s__{identifier}__cancel_post",
        "parameters": [
            {
                "in": "path",
                "name": identifier,
                "required": True,
                "schema": {"title": f"{title} ID", "type": "string"},
            }
        ],
        "responses": {"200": _response({"title": f"Response Cancel {title}s"}), **_INVALID},
    }
    return {f"/{noun}s": {"post": create}, f"/{noun}s/{{{identifier}}}/cancel": {"post": cancel}}


def _text(title: str, **more: Any) -> JsonSchema:
    return {"title": title, "type": "string", **more}


def _envelope(noun: str, inputs: str, output: str) -> Dict[str, JsonSchema]:
    """The request and response around inputs and outputs."""
    response = {
        "input": _reference(inputs),
        "output": _reference(output),
        "id": _text("Id"),
        "version": _text("Version"),
        "created_at": _text("Created At", format="date-time"),
        "started_at": _text("Started At", format="date-time"),
        "completed_at": _text("Completed At", format="date-time"),
        "status": _reference("Status"),
        "error": _text("Error"),
        "logs": _text("Logs", default=""),
        "metrics": {"title": "Metrics", "type": "object"},
    }
    return {
        f"{noun}Request": {
            "title": f"{noun}Request",
            "type": "object",
            "properties": {"id": _text("Id"), "input": _reference(inputs)},
        },
        f"{noun}Response": {"title": f"{noun}Response", "type": "object", "properties": response},
    }


def _fixed_components() -> Dict[str, JsonSchema]:
    location = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    return {
        "Status": {"title": "Status", "description": "An enumeration.", "enum": list(STATUSES), "type": "string"},
        "HTTPValidationError": {
            "title": "HTTPValidationError",
            "type": "object",
            "properties": {"detail": {"title": "Detail", "type": "array", "items": _reference("ValidationError")}},
        },
        "ValidationError": {
            "title": "ValidationError",
            "type": "object",
            "required": ["loc", "msg", "type"],
            "properties": {
                "loc": {"title": "Location", "type": "array", "items": location},
                "msg": _text("Message"),
                "type": _text("Error Type"),
            },
        },
    }
