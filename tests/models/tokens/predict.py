"""Streams the words of its prompt."""

from cog import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    """Yields one word after the other."""

    def predict(
        self,
        prompt: str,
        max_tokens: int = Input(default=512, ge=1, le=10_000),
        temperature: float = Input(default=0.7, ge=0, le=5),
    ) -> ConcatenateIterator[str]:
        """Yield the prompt word by word, at most ``max_tokens`` of them."""
        for word in prompt.split(" ")[:max_tokens]:
            yield word + " "
