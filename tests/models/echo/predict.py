"""Answers what it was asked, and says so in its log."""

from cog import BasePredictor, Input


class Predictor(BasePredictor):
    """Echoes a prompt."""

    def predict(
        self,
        prompt: str = Input(description="What to say"),
        width: int = Input(default=768, ge=1, le=4096),
        height: int = Input(default=768, ge=1, le=4096),
        num_outputs: int = Input(default=1, ge=1, le=8),
    ) -> str:
        """Return the prompt."""
        print(f"saying {prompt}")
        return f"you said: {prompt}"
