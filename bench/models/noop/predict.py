"""A model that does nothing, so that only the platform's own cost is measured."""

from cog import BasePredictor


class Predictor(BasePredictor):
    """Echoes its input."""

    def predict(self, value: str = "x") -> str:
        """Return the value."""
        return value
