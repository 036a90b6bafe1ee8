"""The embedding model: meanings that are close give vectors that are close, and the vectors are those of the reference."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.tests.conftest import OpenModel, RunningModel

REFERENCE = Path(__file__).with_name("embed_reference.json")


@pytest.fixture(scope="module")
def embed(open_model: OpenModel) -> RunningModel:
    """The running model."""
    return open_model("embed")


def dot(left: list[float], right: list[float]) -> float:
    return math.sumprod(left, right) if hasattr(math, "sumprod") else sum(a * b for a, b in zip(left, right, strict=True))


def test_sentences_of_like_meaning_are_closer_than_unrelated_ones(embed: RunningModel) -> None:
    cat, kitten, market = embed.predict(**embed.example()).output
    assert dot(cat, kitten) > 0.6
    assert dot(cat, market) < 0.2


def test_vectors_equal_the_reference_implementation(embed: RunningModel) -> None:
    reference = json.loads(REFERENCE.read_text())
    vectors = embed.predict(texts=reference["texts"]).output
    beginnings = [vector[: len(expected)] for vector, expected in zip(vectors, reference["beginnings"], strict=True)]
    assert [pytest.approx(expected, abs=1e-5) for expected in reference["beginnings"]] == beginnings


def test_vectors_have_384_numbers_and_length_one(embed: RunningModel) -> None:
    vectors = embed.predict(texts=["one", "two words"]).output
    assert [len(vector) for vector in vectors] == [384, 384]
    assert [dot(vector, vector) for vector in vectors] == pytest.approx([1, 1], abs=1e-5)


def test_without_normalizing_only_the_length_differs(embed: RunningModel) -> None:
    (unit,), (raw,) = (embed.predict(texts=["A plain sentence."], normalize=choice).output for choice in (True, False))
    length = math.hypot(*raw)
    assert length != pytest.approx(1, abs=0.01)
    assert [number / length for number in raw] == pytest.approx(unit, abs=1e-5)


def test_a_vector_does_not_depend_on_the_texts_beside_it(embed: RunningModel) -> None:
    texts = [f"Sentence {index} " + "is longer than the others " * (index % 7) for index in range(40)]
    together = embed.predict(texts=texts).output
    alone = embed.predict(texts=[texts[33]]).output[0]
    assert together[33] == pytest.approx(alone, abs=1e-5)


def test_what_exceeds_the_model_is_not_read(embed: RunningModel) -> None:
    long, longer = embed.predict(texts=["word " * 300, "word " * 300 + "something else entirely"]).output
    assert long == pytest.approx(longer, abs=1e-6)


def test_no_texts_give_no_vectors(embed: RunningModel) -> None:
    assert embed.predict(texts=[]).output == []


def test_too_many_texts_fail_with_the_limit(embed: RunningModel) -> None:
    outcome = embed.predict(texts=["a"] * 1001)
    assert (outcome.status, outcome.error) == ("failed", "at most 1000 texts in one prediction; there are 1001")
