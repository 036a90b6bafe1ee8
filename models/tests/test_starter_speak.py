"""The speech model: it speaks, and every input is heard."""

from __future__ import annotations

import array
import math
import wave
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from models.tests.conftest import OpenModel, Outcome, RunningModel

TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def speak(open_model: OpenModel) -> RunningModel:
    """The running model."""
    return open_model("speak")


def samples_of(outcome: Outcome) -> array.array[int]:
    with wave.open(str(outcome.file)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
        return array.array("h", file.readframes(file.getnframes()))


def loudness(samples: array.array[int]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def test_the_example_is_a_wave_file_with_a_voice_in_it(speak: RunningModel) -> None:
    samples = samples_of(speak.predict(**speak.example()))
    assert len(samples) > 2 * 22_050
    assert loudness(samples) > 1000


def test_a_longer_text_takes_longer_to_say(speak: RunningModel) -> None:
    short, long = (len(samples_of(speak.predict(text=text))) for text in (TEXT, 3 * (TEXT + " ")))
    assert 2.5 * short < long < 4 * short


def test_a_higher_speed_makes_it_shorter(speak: RunningModel) -> None:
    slow, fast = (len(samples_of(speak.predict(text=TEXT, speed=speed))) for speed in (120, 300))
    assert slow > 1.8 * fast


@pytest.mark.parametrize(
    "change", [{"language": "de"}, {"language": "en-gb"}, {"voice": "female"}, {"voice": "whisper"}, {"pitch": 90}]
)
def test_each_input_changes_the_sound(speak: RunningModel, change: dict[str, Any]) -> None:
    usual, changed = samples_of(speak.predict(text=TEXT)), samples_of(speak.predict(text=TEXT, **change))
    assert usual != changed
    assert loudness(changed) > 500


@pytest.mark.parametrize("language", ["ar", "cmn", "hi", "ru", "vi", "fr", "es-419", "pt-br"])
def test_languages_in_every_script_are_spoken(speak: RunningModel, language: str) -> None:
    samples = samples_of(speak.predict(text="مرحبا 你好 नमस्ते Привет Xin chào, bonjour", language=language))
    assert loudness(samples) > 500


def test_a_blank_text_fails_with_a_reason(speak: RunningModel) -> None:
    outcome = speak.predict(text=" \n ")
    assert (outcome.status, outcome.error) == ("failed", "there is nothing to pronounce in the text")


def test_a_zero_character_does_not_end_the_text(speak: RunningModel) -> None:
    with_zero, without = (len(samples_of(speak.predict(text=f"one{gap}two three four"))) for gap in ("\0", " "))
    assert with_zero == pytest.approx(without, rel=0.01)
