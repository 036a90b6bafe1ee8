"""Secret inputs: sealed at creation, opened for the model, masked for everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.secret_inputs import MASK, mask_input, mask_text, open_input, seal, secret_texts

INPUT = {"key": "hunter22", "keys": ["alpha-1", None], "prompt": "a cat", "n": 3}
SEALED = seal(INPUT, ["key", "keys", "absent"])


def test_the_model_gets_what_was_sent() -> None:
    assert open_input(SEALED) == INPUT


def test_everybody_else_sees_a_mask() -> None:
    assert mask_input(SEALED) == {**INPUT, "key": MASK, "keys": [MASK, None]}


def test_an_input_without_secrets_is_passed_on_as_it_is() -> None:
    assert mask_input(INPUT) is INPUT
    assert open_input(INPUT) is INPUT


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("hunter22", "key hunter22, again hunter22\n", f"key {MASK}, again {MASK}\n"),
        ("line one\nline two", "got line two\n", f"got {MASK}\n"),
        ("abc", "abc stays: masking it would spoil the text", "abc stays: masking it would spoil the text"),
        ("", "nothing to hide", "nothing to hide"),
    ],
)
def test_a_log_loses_every_secret_of_some_length(secret: str, text: str, expected: str) -> None:
    assert mask_text(text, secret_texts(seal({"key": secret}, ["key"]))) == expected


def test_a_longer_secret_is_masked_before_one_inside_it() -> None:
    sealed: dict[str, Any] = seal({"a": "token", "b": "token-of-mine"}, ["a", "b"])
    assert mask_text("token-of-mine", secret_texts(sealed)) == MASK
