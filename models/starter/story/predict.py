"""Continues a prompt as a little story, word by word."""

import codecs
import os
import pathlib

from cog import BasePredictor, ConcatenateIterator, Input

# One core is the fastest for matrices this small, and leaves the others to other models; numpy reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sampling import choose
from tokenizer import END, Tokenizer
from transformer import CONTEXT, Transformer

WEIGHTS = pathlib.Path(__file__).resolve().parent / "weights.npz"


REQUEST_STARTS = ("tell me", "write a story", "a story about", "please tell")
SMALL_WORDS = {"a", "an", "the", "to", "and", "of"}


def is_title(text: str) -> bool:
    """``The Fox and the Bell``, but not ``Once upon a time``."""
    words = text.split()
    return len(words) > 1 and text[-1].isalnum() and all(word in SMALL_WORDS or word[0].isupper() for word in words)


def as_trained(prompt: str) -> str:
    """A request or a title gets the full stop and the blank line it had in training; anything else is the story's beginning."""
    text = prompt.strip(" ")
    if "\n" in text:
        return text
    if text.lower().startswith(REQUEST_STARTS):
        return text[0].upper() + text[1:].rstrip(".!") + ".\n\n"
    return text + "\n\n" if is_title(text) else text


class Predictor(BasePredictor):
    """Holds the weights; each prediction has its own cache and random generator."""

    def setup(self) -> None:
        """Read weights and merges."""
        self.transformer, merges = Transformer.load(WEIGHTS)
        self.tokenizer = Tokenizer([(int(left), int(right)) for left, right in merges])

    def predict(
        self,
        prompt: str = Input(
            description="A request, a title or the first words of the story", max_length=2000, default="Once upon a time"
        ),
        max_tokens: int = Input(description="Longest answer, in tokens; a story has about 200", ge=1, le=1000, default=400),
        temperature: float = Input(description="0 always takes the likeliest word; higher is wilder", ge=0, le=5, default=0.7),
        top_k: int = Input(description="Choose among so many likeliest tokens; 0 for all", ge=0, le=1000, default=40),
        top_p: float = Input(description="Choose among the likeliest tokens of this probability", ge=0, le=1, default=0.95),
        seed: int = Input(description="The same seed gives the same story; -1 for a new one each time", ge=-1, default=-1),
    ) -> ConcatenateIterator[str]:
        """Stream the story, whole characters at a time, until it ends or ``max_tokens`` are made."""
        generator = np.random.default_rng(None if seed == -1 else seed)
        cache = self.transformer.cache()
        logits = self.transformer.step(END, cache)
        for token in self.tokenizer.encode(as_trained(prompt))[-CONTEXT + 1 :]:
            logits = self.transformer.step(token, cache)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        made = 0
        while made < max_tokens:
            token = choose(logits, generator, temperature=temperature, top_k=top_k, top_p=top_p)
            if token == END:
                break
            made += 1
            text = decoder.decode(self.tokenizer.decode_bytes(token))
            if text:
                yield text
            if made < max_tokens:
                logits = self.transformer.step(token, cache)
        rest = decoder.decode(b"", final=True)
        if rest:
            yield rest
        print(f"{made} tokens")
