"""Runs until it is canceled, or for a given time."""

import time

from cog import BasePredictor


class Predictor(BasePredictor):
    """Waits."""

    def predict(self, seconds: float = 60.0) -> str:
        """Say that it began, then wait."""
        print("waiting")
        time.sleep(seconds)
        return "done waiting"
