"""Looks at a file."""

import hashlib

from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    """Describes a file by its size and digest."""

    def predict(self, image: Path, question: str = Input(default="What is in this image?")) -> str:
        """Answer with what can be measured."""
        content = image.read_bytes()
        return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
