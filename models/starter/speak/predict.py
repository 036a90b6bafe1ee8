"""Reads a text aloud: eSpeak NG, 22,050 Hz mono WAV."""

import tempfile
import wave

from cog import BasePredictor, Input, Path
from espeak import Synthesizer

VOICES = {"en-gb": "en"}  # the languages whose voice has another name
VARIANTS = {"neutral": "", "male": "+m3", "female": "+f3", "whisper": "+whisper"}


class Predictor(BasePredictor):
    """Keeps the library loaded; each prediction writes one file."""

    def setup(self) -> None:
        """Load the library and its voices."""
        self.synthesizer = Synthesizer()

    def predict(
        self,
        text: str = Input(description="What to say", min_length=1, max_length=5000),
        language: str = Input(
            description="Language and accent",
            choices=[
                "ar", "cmn", "cs", "da", "de", "el", "en-gb", "en-us", "es", "es-419", "fi", "fr", "he", "hi", "hu", "id", "it",
                "ko", "nb", "nl", "pl", "pt", "pt-br", "ro", "ru", "sv", "tr", "uk", "vi",
            ],
            default="en-us",
        ),
        voice: str = Input(description="Kind of voice", choices=["neutral", "male", "female", "whisper"], default="neutral"),
        speed: int = Input(description="Words per minute", ge=80, le=450, default=170),
        pitch: int = Input(description="0 is low, 99 is high", ge=0, le=99, default=50),
    ) -> Path:  # fmt: skip
        """Speak the text into a WAV file."""
        if not text.strip():
            raise ValueError("there is nothing to pronounce in the text")
        samples = self.synthesizer.speak(
            text, voice=VOICES.get(language, language) + VARIANTS[voice], words_per_minute=speed, pitch=pitch
        )
        path = Path(tempfile.mkdtemp()) / "speech.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.synthesizer.sample_rate_hz)
            file.writeframes(samples)
        seconds = len(samples) / 2 / self.synthesizer.sample_rate_hz
        print(f"{len(text)} characters, {seconds:.2f} s of speech")
        return path
