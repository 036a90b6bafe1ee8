"""A model with a setup of known length, to tell the platform's part of a cold start from the model's."""

import time

from cog import BasePredictor

SETUP_SECONDS = 0.2


class Predictor(BasePredictor):
    """Waits in setup, then echoes."""

    def setup(self) -> None:
        """Take as long as a small model would."""
        time.sleep(SETUP_SECONDS)

    def predict(self, value: str = "x") -> str:
        """Return the value."""
        return value
