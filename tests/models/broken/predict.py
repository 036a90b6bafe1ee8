"""Fails on purpose."""

from cog import BasePredictor


class Predictor(BasePredictor):
    """Raises."""

    def predict(self, message: str = "no such colour") -> str:
        """Fail with the message."""
        print("about to fail")
        raise ValueError(message)
