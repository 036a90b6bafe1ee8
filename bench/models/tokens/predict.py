"""A model that yields tokens as fast as it can, so that only the platform's streaming cost is measured."""

from cog import BasePredictor, ConcatenateIterator


class Predictor(BasePredictor):
    """Yields numbered tokens."""

    def predict(self, count: int = 100) -> ConcatenateIterator[str]:
        """Yield ``count`` short tokens."""
        for number in range(count):
            yield f"token{number} "
