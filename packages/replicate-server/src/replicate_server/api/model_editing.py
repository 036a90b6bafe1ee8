"""Routes of a model's owner: changes, readme, examples, removal."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire
from replicate_server.api.answers import Answer, json_answer, no_content
from replicate_server.api.bodies import decode_object
from replicate_server.api.calls import Call
from replicate_server.api.models import LIST_PATH, shape_model
from replicate_server.domain.errors import FieldError, ValidationFailed
from replicate_server.domain.records import Prediction


async def update(call: Call) -> ASGIApp:
    """``PATCH /v1/models/{owner}/{name}``."""
    fields = decode_object(await call.body())
    model = await call.services.catalogue.editing.update(call.account, *_name(call), fields)
    return json_answer(await shape_model(call, model))


async def delete(call: Call) -> ASGIApp:
    """``DELETE /v1/models/{owner}/{name}``."""
    await call.services.catalogue.editing.delete(call.account, *_name(call))
    return no_content()


async def delete_version(call: Call) -> ASGIApp:
    """``DELETE /v1/models/{owner}/{name}/versions/{version}``: answered 202, as the hosted service does; it is gone then."""
    await call.services.catalogue.removal.delete(call.account, *_name(call), call.parameters["version"])
    return Answer(status=202, media_type=None)


async def get_readme(call: Call) -> ASGIApp:
    """``GET /v1/models/{owner}/{name}/readme``: Markdown as plain text."""
    readme = await call.services.catalogue.editing.readme(call.account, *_name(call))
    return Answer(readme.encode(), media_type="text/plain; charset=utf-8")


async def list_examples(call: Call) -> ASGIApp:
    """``GET /v1/models/{owner}/{name}/examples``: newest first."""
    owner, name = _name(call)
    page = await call.services.catalogue.editing.examples(call.account, owner, name, cursor=call.query.get("cursor"))

    def build(prediction: Prediction) -> wire.WirePrediction:
        return wire.build_prediction(prediction, call.urls, shows_aborted=call.shows_aborted)

    return json_answer(wire.build_page(page, build, call.urls, path=f"{LIST_PATH}/{owner}/{name}/examples"))


async def add_example(call: Call) -> ASGIApp:
    """``POST /v1/models/{owner}/{name}/examples``: the body names one of the caller's predictions."""
    fields = decode_object(await call.body())
    unknown = [FieldError("unknown", name, "This field is not known.") for name in fields if name != "prediction"]
    if unknown:
        raise ValidationFailed(unknown)
    prediction = await call.services.catalogue.editing.add_example(call.account, *_name(call), fields.get("prediction"))
    return json_answer(wire.build_prediction(prediction, call.urls), status=201)


async def remove_example(call: Call) -> ASGIApp:
    """``DELETE /v1/models/{owner}/{name}/examples/{prediction_id}``: the prediction itself stays."""
    await call.services.catalogue.editing.remove_example(call.account, *_name(call), call.parameters["prediction_id"])
    return no_content()


def _name(call: Call) -> tuple[str, str]:
    return call.parameters["owner"], call.parameters["name"]
