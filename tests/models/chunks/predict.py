"""Streams much text."""

from cog import BasePredictor, ConcatenateIterator


class Predictor(BasePredictor):
    """Yields chunks of one size, each with its number at the beginning."""

    def predict(self, count: int, size: int, log_bytes: int = 0, text: str = "x") -> ConcatenateIterator[str]:
        """Write ``log_bytes`` of log, then yield ``count`` chunks of ``size`` characters."""
        line = "l" * 9_999
        for _ in range(log_bytes // 10_000):
            print(line)
        for number in range(count):
            yield f"{number:08d}".ljust(size, text)
