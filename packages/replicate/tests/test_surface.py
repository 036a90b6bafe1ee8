"""The public surface: names and import paths of 1.x, and an import that does nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, metadata
from typing import Any

import httpx
import pytest
import replicate
from replicate import Client

PATHS = [
    ("account", "Account"),
    ("client", "Client"),
    ("exceptions", "ModelError"),
    ("exceptions", "ReplicateError"),
    ("exceptions", "ReplicateException"),
    ("file", "File"),
    ("file", "FileEncodingStrategy"),
    ("helpers", "FileOutput"),
    ("helpers", "transform_output"),
    ("identifier", "ModelVersionIdentifier"),
    ("model", "Model"),
    ("pagination", "Page"),
    ("prediction", "Prediction"),
    ("prediction", "Progress"),
    ("stream", "ServerSentEvent"),
    ("version", "Version"),
    ("webhook", "WebhookSigningSecret"),
    ("webhook", "WebhookValidationError"),
    ("webhook", "Webhooks"),
    ("webhooks", "default"),
    ("webhooks", "validate"),
    ("__about__", "__version__"),
]


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("module", "name"), PATHS)
def test_a_name_is_where_1x_code_imports_it_from(module: str, name: str) -> None:
    assert getattr(import_module(f"replicate.{module}"), name) is not None


def test_every_public_name_can_be_had() -> None:
    assert replicate.__all__ == sorted(replicate.__all__)
    assert all(getattr(replicate, name) is not None for name in replicate.__all__)
    assert set(replicate.__all__) <= set(dir(replicate))


def test_importing_loads_no_http_and_reads_no_environment() -> None:
    code = "import os, sys; os.environ = None; import replicate; print('httpx' in sys.modules, 'rich' in sys.modules)"
    assert run_python(code).split() == ["False", "False"]


def test_a_submodule_does_not_hide_the_function_of_its_name() -> None:
    code = "import replicate, replicate.stream, replicate.webhooks; print(callable(replicate.stream), replicate.webhooks.default)"
    assert run_python(code).startswith("True <replicate.resources.webhooks.DefaultWebhook")


def test_the_seeds_webhook_lines_run(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import replicate.webhooks

    platform.answer("GET", "/v1/webhooks/default/secret", {"key": "whsec_aGk="})
    made = Client("t", base_url="http://api.test", transport=httpx.MockTransport(platform))
    monkeypatch.setattr(replicate, "default_client", made)
    webhook_secret = replicate.webhooks.default.secret
    assert str(webhook_secret) == "whsec_aGk="
    made.close()


def test_the_release_is_the_same_everywhere() -> None:
    assert replicate.__version__ == metadata.version("replicate")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        replicate.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("text", "expected"),
    [("o/n", ("o", "n", None)), ("o/n:abc", ("o", "n", "abc")), ("o/n:ac732df...", ("o", "n", "ac732df..."))],
)
def test_references_are_read(text: str, expected: Any) -> None:
    assert import_module("replicate.identifier").ModelVersionIdentifier.parse(text) == expected


@pytest.mark.parametrize("text", ["", "n", "o/", "/n", "o/n/m", "o/n:", "5c7d5dc6dd8bf75c"])
def test_a_bad_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid reference"):
        import_module("replicate.identifier").ModelVersionIdentifier.parse(text)


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ("", None),
        ("warming up", None),
        (" 10%|#         | 1/10 [00:01]\r 50%|#####     | 5/10 [00:02]\ndone soon", (0.5, 5, 10)),
    ],
)
def test_progress_is_read_from_the_last_bar(logs: str, expected: Any) -> None:
    progress = import_module("replicate.prediction").Progress.parse(logs)
    assert (progress and (progress.percentage, progress.current, progress.total)) == expected
