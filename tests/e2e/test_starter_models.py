"""Each starter model answers its own example through the platform, in its sandbox."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import LiveServer

STARTER = Path(__file__).parent.parent.parent / "models" / "starter"


def run_example(server: LiveServer, name: str, **changes: Any) -> dict[str, Any]:
    """Run a model's example, with some inputs changed; values that begin with @ are files beside it."""
    inputs = json.loads((STARTER / name / "example.json").read_text())["input"] | changes
    with server.client() as api:
        for key, value in inputs.items():
            files = [STARTER / name / value[1:]] if isinstance(value, str) and value.startswith("@") else []
            for path in files:
                inputs[key] = api.post("/v1/files", files={"content": (path.name, path.read_bytes())}).json()["urls"]["get"]
        answer = api.post(f"/v1/models/starter/{name}/predictions", json={"input": inputs}, headers={"Prefer": "wait"})
    prediction: dict[str, Any] = answer.json()
    assert prediction["status"] == "succeeded", prediction
    return prediction


def test_speak_speaks_longer_for_longer_text(quickstarted: LiveServer) -> None:
    seconds = []
    for text in ("Hello.", "Hello. This is a rather longer sentence, spoken on your own machine."):
        content = httpx.get(run_example(quickstarted, "speak", text=text)["output"]).content
        with wave.open(io.BytesIO(content)) as sound:
            seconds.append(sound.getnframes() / sound.getframerate())
    assert 0.2 < seconds[0] < seconds[1]


def test_remove_background_returns_a_png_with_alpha(quickstarted: LiveServer) -> None:
    content = httpx.get(run_example(quickstarted, "remove-background")["output"]).content
    assert content.startswith(b"\x89PNG")
    assert content[25] == 6, "colour type 6 is RGB with alpha"


def test_embed_puts_like_near_like(quickstarted: LiveServer) -> None:
    vectors = run_example(quickstarted, "embed", texts=["a cat sleeps", "a kitten naps", "the stock market fell"])["output"]
    similar, different = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert similar > different + 0.2


@pytest.mark.parametrize("max_tokens", [1, 20])
def test_story_is_the_same_for_the_same_seed_and_keeps_its_length(quickstarted: LiveServer, max_tokens: int) -> None:
    first = run_example(quickstarted, "story", seed=7, max_tokens=max_tokens)["output"]
    assert len(first) == max_tokens
    assert run_example(quickstarted, "story", seed=7, max_tokens=max_tokens)["output"] == first
