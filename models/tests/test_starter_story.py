"""The story model: it streams, respects every input, and computes what was trained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.tests.conftest import OpenModel, RunningModel

PROMPT = "Tell me a story about a fox who lost a silver bell."


@pytest.fixture(scope="module")
def story(open_model: OpenModel) -> RunningModel:
    """The running model."""
    return open_model("story")


def text_of(story: RunningModel, **inputs: object) -> str:
    return "".join(story.predict(**{"prompt": PROMPT, "seed": 1} | inputs).chunks)


def made(logs: str) -> int:
    match = re.search(r"(\d+) tokens", logs)
    assert match is not None
    return int(match[1])


def test_the_example_is_a_whole_story_about_what_was_asked(story: RunningModel) -> None:
    text = text_of(story, **story.example())
    assert "fox" in text
    assert "silver bell" in text
    assert text[-1] in '."!'
    assert text.count(". ") > 5


def test_the_story_comes_token_by_token(story: RunningModel) -> None:
    outcome = story.predict(prompt=PROMPT, seed=1)
    assert len(outcome.chunks) > 100
    assert len(outcome.chunks) == made(outcome.logs)


def test_the_same_seed_gives_the_same_story(story: RunningModel) -> None:
    assert text_of(story, temperature=1.0) == text_of(story, temperature=1.0)


def test_another_seed_gives_another_story(story: RunningModel) -> None:
    assert text_of(story, temperature=1.0, seed=2) != text_of(story, temperature=1.0, seed=3)


def test_no_seed_gives_a_new_story_each_time(story: RunningModel) -> None:
    assert text_of(story, temperature=1.0, seed=-1) != text_of(story, temperature=1.0, seed=-1)


def test_temperature_zero_does_not_depend_on_the_seed(story: RunningModel) -> None:
    assert text_of(story, temperature=0, seed=2) == text_of(story, temperature=0, seed=3)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0}])
def test_choosing_among_one_token_is_the_same_as_temperature_zero(story: RunningModel, narrow: dict[str, int]) -> None:
    assert text_of(story, temperature=1.5, **narrow) == text_of(story, temperature=0)


@pytest.mark.parametrize("count", [1, 2, 25])
def test_no_more_tokens_are_made_than_asked_for(story: RunningModel, count: int) -> None:
    outcome = story.predict(prompt=PROMPT, seed=1, max_tokens=count)
    assert made(outcome.logs) == count
    assert len(outcome.chunks) == count


def test_a_shorter_limit_gives_the_beginning_of_the_same_story(story: RunningModel) -> None:
    assert text_of(story).startswith(text_of(story, max_tokens=20))


def test_a_story_goes_on_from_its_first_words(story: RunningModel) -> None:
    text = text_of(story, prompt="Once upon a time there was a brave owl named Zara. She", temperature=0)
    assert text.startswith(" ")
    assert "Zara" in text


@pytest.mark.parametrize("prompt", ["", "   ", "\n", "日本語 😀 ünïcödé \x00", "The Fox and the Bell", "word " * 400])
def test_any_prompt_is_continued(story: RunningModel, prompt: str) -> None:
    outcome = story.predict(prompt=prompt, seed=1, max_tokens=30)
    assert outcome.status == "succeeded"
    assert outcome.chunks


def test_more_tokens_than_the_context_holds_can_be_made(story: RunningModel) -> None:
    outcome = story.predict(prompt="word " * 400, seed=1, max_tokens=600, temperature=5, top_k=0, top_p=1)
    assert outcome.status == "succeeded"


def test_the_weights_take_less_than_ten_megabytes(story: RunningModel) -> None:
    assert sum(path.stat().st_size for path in story.folder.glob("*.npz")) < 10_000_000
