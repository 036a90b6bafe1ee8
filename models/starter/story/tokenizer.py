"""Byte-pair encoding: text to token numbers and back.

Every text can be encoded, since the first 256 tokens are the single bytes; merges join what often stands together. Knows
nothing of the model, and needs the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

WORD = re.compile(r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s")
END = 256
FIRST_MERGE = 257

Pair = tuple[int, int]


class Tokenizer:
    """Encodes and decodes with a fixed list of merges; earlier merges win."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._bytes = [bytes([value]) for value in range(256)] + [b""]
        for left, right in merges:
            self._bytes.append(self._bytes[left] + self._bytes[right])
        self._words: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        """Tokens in the vocabulary, the end mark included."""
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without an end mark."""
        return [token for word in WORD.findall(text) for token in self._encode_word(word)]

    def decode_bytes(self, token: int) -> bytes:
        """The bytes of one token: not always whole characters; empty for the end mark."""
        return self._bytes[token]

    def _encode_word(self, word: str) -> list[int]:
        known = self._words.get(word)
        if known is not None:
            return known
        tokens = list(word.encode())
        while len(tokens) > 1:
            ranked = [(self._ranks.get(pair, len(self._ranks)), at) for at, pair in enumerate(pairwise(tokens))]
            rank, at = min(ranked)
            if rank == len(self._ranks):
                break
            tokens[at : at + 2] = [FIRST_MERGE + rank]
        self._words[word] = tokens
        return tokens


def learn_merges(texts: Iterable[str], count: int) -> list[Pair]:
    """The ``count`` merges that shorten the texts most, greedily; ties go to the smaller pair."""
    frequencies: dict[str, int] = {}
    for text in texts:
        for word in WORD.findall(text):
            frequencies[word] = frequencies.get(word, 0) + 1
    words = [(list(word.encode()), frequency) for word, frequency in sorted(frequencies.items())]
    merges: list[Pair] = []
    while len(merges) < count:
        counts: dict[Pair, int] = {}
        for tokens, frequency in words:
            for pair in pairwise(tokens):
                counts[pair] = counts.get(pair, 0) + frequency
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for tokens, _ in words:
            _join(tokens, best, FIRST_MERGE + len(merges))
        merges.append(best)
    return merges


def _join(tokens: list[int], pair: Pair, merged: int) -> None:
    at = 0
    while at < len(tokens) - 1:
        if (tokens[at], tokens[at + 1]) == pair:
            tokens[at : at + 2] = [merged]
        at += 1
