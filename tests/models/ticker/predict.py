"""Says "tick" again and again until its time is up."""

import time

from cog import BasePredictor, ConcatenateIterator


class Predictor(BasePredictor):
    """Ticks."""

    def predict(self, seconds: float = 60.0) -> ConcatenateIterator[str]:
        """Yield a word twenty times a second."""
        for _ in range(int(seconds * 20)):
            time.sleep(0.05)
            yield "tick "
