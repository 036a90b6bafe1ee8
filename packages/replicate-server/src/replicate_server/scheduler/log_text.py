"""Log text within a limit: the head and the tail are kept, with a mark between. Pure. Never splits a character (S5, S6)."""

from __future__ import annotations

from collections import deque

MARK = "\n… log truncated: the middle was dropped …\n"
_MARK_BYTES = len(MARK.encode())


def text_size_bytes(text: str) -> int:
    """The length of a text in UTF-8, without encoding it when it is plain ASCII. A lone surrogate counts as one byte."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _take_head(text: str, size_bytes: int) -> str:
    return text.encode(errors="replace")[:size_bytes].decode(errors="ignore")


def _take_tail(text: str, size_bytes: int) -> str:
    return text.encode(errors="replace")[-size_bytes:].decode(errors="ignore") if size_bytes > 0 else ""


class BoundedLog:
    """Collects text of any length in bounded memory.

    The head takes half of the limit. What follows goes into a tail from which the oldest text falls out.
    """

    __slots__ = ("_dropped", "_head", "_head_room", "_tail", "_tail_bytes", "_tail_max", "is_overflowing")

    def __init__(self, size_bytes_max: int) -> None:
        self._head: list[str] = []
        self._head_room = max(0, size_bytes_max // 2)
        self._tail: deque[tuple[str, int]] = deque()
        self._tail_bytes = 0
        self._tail_max = max(0, size_bytes_max - size_bytes_max // 2 - _MARK_BYTES)
        self._dropped = False
        self.is_overflowing = False
        """Whether the head is full, so that new text may fall out again."""

    def add(self, text: str) -> str:
        """Add text and return the part of it that went into the head: what may be published at once, for it never changes.

        The first text that does not fit whole returns the mark as well; from then on nothing more is published before the end.
        """
        size_bytes = text_size_bytes(text)
        if not self.is_overflowing and size_bytes <= self._head_room:
            self._head.append(text)
            self._head_room -= size_bytes
            return text
        published = ""
        if not self.is_overflowing:
            self.is_overflowing = True
            kept = _take_head(text, self._head_room)
            self._head.append(kept)
            text = text[len(kept) :]
            size_bytes = text_size_bytes(text)
            published = kept + MARK
        self._push_tail(text, size_bytes)
        return published

    def _push_tail(self, text: str, size_bytes: int) -> None:
        if size_bytes > self._tail_max:
            self._tail.clear()
            self._tail_bytes = 0
            self._dropped = True
            text = _take_tail(text, self._tail_max)
            size_bytes = text_size_bytes(text)
        self._tail.append((text, size_bytes))
        self._tail_bytes += size_bytes
        while self._tail_bytes > self._tail_max:
            self._tail_bytes -= self._tail.popleft()[1]
            self._dropped = True

    @property
    def text(self) -> str:
        """Everything kept; the mark only where text is really missing."""
        head = "".join(self._head)
        if not self._tail:
            return head
        return head + (MARK if self._dropped else "") + "".join(text for text, _ in self._tail)
