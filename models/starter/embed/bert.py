"""A BERT encoder in numpy, and the reader of its weights; mean pooling gives one vector a text.

Knows token numbers only. Everything is float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

HEADS = 12
EPSILON = np.float32(1e-12)
HIDDEN = np.float32(-1e9)
"""Added to the scores of padding, whose weight then is zero."""


def read_safetensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a safetensors file, mapped and not copied: eight bytes of header length, a JSON header, the data."""
    mapped = np.memmap(path, np.uint8, mode="r")
    header_end = 8 + int(mapped[:8].view("<u8")[0])
    header = json.loads(mapped[8:header_end].tobytes())
    kinds = {"F32": "<f4", "I64": "<i8"}
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            arrays[name] = mapped[header_end + begin : header_end + end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return arrays


class Bert:
    """The encoder; `embed` is all it does."""

    def __init__(self, weights: dict[str, NDArray[np.generic]]) -> None:
        self._weights = weights
        self._layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))

    def embed(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Mean of the last layer over the tokens of each text: float32[texts, width], not normalized."""
        length = max(map(len, texts))
        tokens = np.zeros((len(texts), length), np.int64)
        mask = np.zeros((len(texts), length), np.float32)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = text
            mask[row, : len(text)] = 1
        x = (
            self._weights["embeddings.word_embeddings.weight"][tokens]
            + self._weights["embeddings.position_embeddings.weight"][:length]
        )
        x = self._norm("embeddings.LayerNorm", x + self._weights["embeddings.token_type_embeddings.weight"][0])
        hidden = (1 - mask)[:, None, None, :] * HIDDEN
        for index in range(self._layers):
            x = self._layer(f"encoder.layer.{index}.", x, hidden)
        return (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)

    def _layer(self, prefix: str, x: Floats, hidden: Floats) -> Floats:
        batch, length, width = x.shape
        q, k, v = (
            self._linear(f"{prefix}attention.self.{name}", x).reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) * np.float32((width // HEADS) ** -0.5) + hidden
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        attended = self._linear(prefix + "attention.output.dense", mixed.transpose(0, 2, 1, 3).reshape(batch, length, width))
        x = self._norm(prefix + "attention.output.LayerNorm", x + attended)
        expanded = gelu(self._linear(prefix + "intermediate.dense", x))
        return self._norm(prefix + "output.LayerNorm", x + self._linear(prefix + "output.dense", expanded))

    def _linear(self, name: str, x: Floats) -> Floats:
        # One large product: numpy would otherwise multiply text by text.
        product = x.reshape(-1, x.shape[-1]) @ self._weights[name + ".weight"].T
        product += self._weights[name + ".bias"]
        return product.reshape(*x.shape[:-1], -1)

    def _norm(self, name: str, x: Floats) -> Floats:
        centered = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centered * centered).mean(axis=-1, keepdims=True) + EPSILON)
        return centered / deviation * self._weights[name + ".weight"] + self._weights[name + ".bias"]


def gelu(x: Floats) -> Floats:
    """``x`` times the normal distribution function, to 2e-7 (Abramowitz and Stegun 7.1.26; numpy has no error function)."""
    z = np.abs(x) * np.float32(0.7071067811865476)
    t = 1 / (1 + np.float32(0.3275911) * z)
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = np.float32(0.5) * polynomial * np.exp(-z * z)
    return x * np.where(x > 0, 1 - tail, tail)
