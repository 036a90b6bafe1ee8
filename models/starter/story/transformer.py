"""The trained network in numpy, one token at a time with a cache of keys and values.

Computes what ``train/network.py`` was trained as. Knows token numbers only, neither text nor sampling.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

HEAD_SIZE = 32
ROTARY_BASE = 10_000.0
CONTEXT = 256
"""How far back a token looks: the length of the rows in training."""


class Block(NamedTuple):
    """Weights of one layer; every matrix is [inputs, outputs] and holds the gain of the norm before it."""

    qkv: Floats
    out: Floats
    up: Floats
    down: Floats


class Cache:
    """Keys and values of the last ``CONTEXT`` tokens of one text, as a ring: float32[layers, heads, CONTEXT, size]."""

    def __init__(self, layers: int, heads: int) -> None:
        self.keys = np.zeros((layers, heads, CONTEXT, HEAD_SIZE), np.float32)
        self.values = np.zeros((layers, heads, CONTEXT, HEAD_SIZE), np.float32)
        self.position = 0


class Transformer:
    """Weights, shared by all texts; each text has a `Cache` of its own."""

    def __init__(self, arrays: dict[str, NDArray[np.float16]]) -> None:
        weights = {name: array.astype(np.float32) for name, array in arrays.items()}
        self._embedding = weights["embedding.weight"]
        self._unembedding = np.ascontiguousarray((self._embedding * weights["norm.gain"]).T)
        count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
        self._blocks = [self._block(weights, f"blocks.{index}.") for index in range(count)]
        self._heads = self._embedding.shape[1] // HEAD_SIZE
        self._frequencies = ROTARY_BASE ** (-np.arange(0, HEAD_SIZE, 2) / HEAD_SIZE)

    @staticmethod
    def load(path: Path) -> tuple[Transformer, NDArray[np.uint16]]:
        """The network and the tokenizer's merges from one ``.npz`` file."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        merges = arrays.pop("merges")
        return Transformer(arrays), merges

    def cache(self) -> Cache:
        """An empty cache for a new text."""
        return Cache(len(self._blocks), self._heads)

    def step(self, token: int, cache: Cache) -> Floats:
        """Append one token to the text and return the logits of the next: float32[vocabulary]."""
        slot, seen = cache.position % CONTEXT, min(cache.position + 1, CONTEXT)
        angles = cache.position * self._frequencies
        cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        x = self._embedding[token]
        for index, block in enumerate(self._blocks):
            q, k, v = (normalize(x) @ block.qkv).reshape(3, self._heads, HEAD_SIZE)
            keys, values = cache.keys[index], cache.values[index]
            keys[:, slot], values[:, slot] = rotate(k, cosine, sine), v
            scores = keys[:, :seen] @ rotate(q, cosine, sine)[:, :, None] * np.float32(HEAD_SIZE**-0.5)
            x = x + (softmax(scores[:, :, 0])[:, None, :] @ values[:, :seen]).reshape(-1) @ block.out
            x = x + gelu(normalize(x) @ block.up) @ block.down
        cache.position += 1
        return normalize(x) @ self._unembedding

    @staticmethod
    def _block(weights: dict[str, Floats], prefix: str) -> Block:
        attention_gain, mlp_gain = weights[prefix + "norm_attention.gain"], weights[prefix + "norm_mlp.gain"]
        return Block(
            qkv=np.ascontiguousarray((weights[prefix + "qkv.weight"] * attention_gain).T),
            out=np.ascontiguousarray(weights[prefix + "out.weight"].T),
            up=np.ascontiguousarray((weights[prefix + "up.weight"] * mlp_gain).T),
            down=np.ascontiguousarray(weights[prefix + "down.weight"].T),
        )


def normalize(x: Floats) -> Floats:
    """Divide by the root mean square; the gain is already in the next matrix."""
    return x / np.sqrt(np.mean(x * x) + np.float32(1e-5))


def rotate(x: Floats, cosine: Floats, sine: Floats) -> Floats:
    """Rotary position of one token; ``x`` is [heads, size]."""
    first, second = x[:, : HEAD_SIZE // 2], x[:, HEAD_SIZE // 2 :]
    return np.concatenate((first * cosine - second * sine, first * sine + second * cosine), axis=1)


def softmax(x: Floats) -> Floats:
    """Along the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def gelu(x: Floats) -> Floats:
    """The tanh form."""
    return np.float32(0.5) * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)))
