"""Pages of a list, and the cursor that leads to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Generic, Iterator, List, Mapping, Optional, TypeVar
from urllib.parse import urlsplit

from replicate.records import Record

if TYPE_CHECKING:
    from typing import Any

T = TypeVar("T")


@dataclass
class Page(Record, Generic[T]):
    """One page; iterate over it, index it, or follow ``next`` with `replicate.paginate`."""

    results: List[T] = field(default_factory=list)
    next: Optional[str] = None
    previous: Optional[str] = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.results)

    def __getitem__(self, index: int) -> T:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)


def parse_page(data: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], T]) -> Page[T]:
    """Read a page of one kind of record."""
    return Page(results=[parse(item) for item in data.get("results", [])], next=data.get("next"), previous=data.get("previous"))


def parse_cursor(cursor: str) -> str:
    """Return the path and query that a page's ``next`` leads to, below the client's own base URL.

    A server behind a proxy may not know its public name. Following the path only keeps the token with the base URL that the
    caller chose.

    Raises:
        ValueError: If the text holds no path of the API.
    """
    parts = urlsplit(cursor)
    start = parts.path.find("/v1/")
    if start < 0:
        raise ValueError(f"not a page of this API: {cursor!r}")
    return parts.path[start:] + (f"?{parts.query}" if parts.query else "")
