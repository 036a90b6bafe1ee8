"""BERT's uncased tokenizer: text to WordPiece numbers. Pure; needs the standard library only.

The steps are those of BERT's ``BertNormalizer`` and ``BertPreTokenizer``. Names of special tokens in a text are plain text here.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable

UNKNOWN, START, END = 100, 101, 102
WORD_LENGTH_MAX = 100
# The blocks of CJK ideographs, each of which is a word of its own.
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def normalize(text: str) -> str:
    """Lower case without accents or control characters; ideographs stand alone."""
    kept = []
    for character in text:
        if character.isspace():
            kept.append(" ")
        elif character == "\ufffd" or unicodedata.category(character)[0] == "C":
            continue
        elif any(first <= ord(character) <= last for first, last in IDEOGRAPHS):
            kept += [" ", character, " "]
        else:
            kept.append(character)
    decomposed = unicodedata.normalize("NFD", "".join(kept))
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn").lower()


def split_words(text: str) -> list[str]:
    """Words, and every mark of punctuation by itself."""
    spaced = (f" {c} " if c in string.punctuation or unicodedata.category(c)[0] == "P" else c for c in text)
    return "".join(spaced).split()


class WordPiece:
    """A vocabulary, and the longest-match-first search in it."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def encode(self, text: str, *, length_max: int) -> list[int]:
        """Token numbers between a start and an end mark, at most ``length_max`` with them."""
        tokens = [token for word in split_words(normalize(text)) for token in self._pieces(word)]
        return [START, *tokens[: length_max - 2], END]

    def _pieces(self, word: str) -> list[int]:
        pieces: list[int] = []
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = range(len(word), begin, -1) if len(word) <= WORD_LENGTH_MAX else ()
            match = next((end for end in ends if prefix + word[begin:end] in self._numbers), None)
            if match is None:
                return [UNKNOWN]
            pieces.append(self._numbers[prefix + word[begin:match]])
            begin = match
        return pieces
