"""Every operating error of the registry can be written, and the registry has every one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from replicate_server.api.problems import encode_problem
from replicate_server.domain import errors
from replicate_server.domain.errors import FieldError, OperatingError
from replicate_server.domain.rate_limits import Taking

REGISTRY: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[4] / "contract" / "errors.yaml").read_text(encoding="utf-8")
)
CLASSES = [
    item
    for item in vars(errors).values()
    if isinstance(item, type) and issubclass(item, OperatingError) and hasattr(item, "code")
]
FIELD_ERRORS = [FieldError("required", "input", "prompt is required")]
SPECIAL: dict[str, tuple[Any, ...]] = {
    "unauthenticated": (),
    "versions_hidden": (),
    "invalid_input": (FIELD_ERRORS,),
    "validation_failed": (FIELD_ERRORS,),
    "rate_limited": (Taking(60.0, 0, 60, 1),),
    "idempotency_key_reused": (),
}


def test_the_registry_and_the_code_list_the_same_errors() -> None:
    declared = {
        item.code: {"status": item.status, "title": item.title, "fault": item.fault, "retryable": item.retryable}
        for item in CLASSES
    }
    assert declared == REGISTRY


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_body_that_clients_can_show(kind: type[OperatingError]) -> None:
    error = kind(*SPECIAL.get(kind.code, ("what was wrong",)))
    body = encode_problem(error)
    problem = json.loads(body)
    assert body.endswith(b"}\n")
    assert problem.get("status", kind.status) == kind.status
    assert ("status" in problem) == (kind.code != "invalid_search")
    assert problem["detail"]
    assert problem.get("title") == kind.title
    assert "title" in problem or kind.title is None
