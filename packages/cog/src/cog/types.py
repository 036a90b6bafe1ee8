"""The value types a runner's signature may name: files, secrets, streamed text."""

from __future__ import annotations

import io
import os
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterator, Optional, TypeVar

Item = TypeVar("Item")

URL_SCHEMES = ("http://", "https://", "data:")
"""How a string begins that stands for bytes elsewhere."""

FETCH_TIMEOUT_SECONDS = 10.0

if TYPE_CHECKING:
    _ConcretePath = pathlib.Path
else:
    _ConcretePath = type(pathlib.Path())  # before 3.12 only the concrete class can be subclassed


def _pydantic_schema(validate: Callable[[Any], Any]) -> Any:
    from pydantic_core import core_schema

    return core_schema.no_info_plain_validator_function(validate)


class Path(_ConcretePath):
    """A file on disk. As an input it is local and readable; as an output the file is stored and the caller gets its URL."""

    @classmethod
    def validate(cls, value: Any) -> pathlib.Path:
        """Turn what a caller sent into a path: URLs into a `URLPath` that fetches later, other text into a `Path`.

        Raises:
            ValueError: If the value is neither text nor a path.
        """
        if isinstance(value, pathlib.Path):
            return value
        if not isinstance(value, (str, os.PathLike)):
            raise ValueError(f"a path or URL was expected, not {type(value).__name__}")
        text = os.fspath(value)
        return URLPath(text) if text.startswith(URL_SCHEMES) else cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let a pydantic model have fields of this type; called by pydantic, when the author's environment has it."""
        return _pydantic_schema(cls.validate)


class URLPath(_ConcretePath):
    """A path that is still a URL. `convert` fetches it; a model never sees one, because the worker converts its inputs."""

    _url: str
    _local: Optional[Path]

    if TYPE_CHECKING:

        def __init__(self, url: str) -> None: ...
    else:

        def __new__(cls, url):  # noqa: ANN001, ANN204 - typed above
            """Make a path named after the URL's last segment."""
            from cog import fetching

            self = super().__new__(cls, fetching.name_of(url))
            self._url, self._local = url, None
            return self

        def __init__(self, url):  # noqa: ANN001, ANN204 - typed above
            from cog import fetching

            # From 3.12 on the parts are set here; before, object.__init__ takes no argument.
            if _ConcretePath.__init__ is not object.__init__:
                super().__init__(fetching.name_of(url))

    def convert(self) -> Path:
        """Fetch the bytes into a temporary file, once, and return its path.

        Raises:
            OSError: If the URL cannot be fetched within the time limit.
        """
        if self._local is None:
            from cog import fetching

            self._local = Path(fetching.fetch_to_file(self._url, timeout_seconds=FETCH_TIMEOUT_SECONDS))
        return self._local

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the fetched file, if there is one."""
        if self._local is not None:
            self._local.unlink(missing_ok=missing_ok)
            self._local = None

    def __str__(self) -> str:
        return str(self._local) if self._local is not None else self._url


class File(io.IOBase):
    """An open binary file. As an annotation it asks for one; as an output, any open file or buffer counts."""

    @classmethod
    def validate(cls, value: Any) -> Any:
        """Turn what a caller sent into an open binary file.

        Raises:
            ValueError: If the value is neither text, a path nor an open file.
        """
        if isinstance(value, io.IOBase):
            return value
        if not isinstance(value, (str, os.PathLike)):
            raise ValueError(f"a file or URL was expected, not {type(value).__name__}")
        text = os.fspath(value)
        if text.startswith("data:"):
            from cog import fetching

            return io.BytesIO(fetching.parse_data_url(text).content)
        if text.startswith(URL_SCHEMES):
            return URLFile(text)
        return open(text, "rb")


class URLFile(io.IOBase):
    """A binary file behind a URL, opened at the first read."""

    def __init__(self, url: str, filename: Optional[str] = None) -> None:
        from cog import fetching

        self._url = url
        self._source: Any = None
        self.name = filename or fetching.name_of(url)

    def _open(self) -> Any:
        if self._source is None:
            from cog import fetching

            self._source = fetching.open_url(self._url, timeout_seconds=FETCH_TIMEOUT_SECONDS)
        return self._source

    def read(self, size: int = -1) -> bytes:
        """Read bytes, fetching when this is the first read."""
        content: bytes = self._open().read(size)
        return content

    def readable(self) -> bool:
        """Always true."""
        return True

    def readline(self, size: Optional[int] = -1, /) -> bytes:
        """Read one line."""
        line: bytes = self._open().readline(-1 if size is None else size)
        return line

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._source is not None:
            self._source.close()
        super().close()

    def __repr__(self) -> str:
        return f"<URLFile {self.name!r}>"


@dataclass(frozen=True)
class Secret:
    """Text that is never shown: printing it, or an object that holds it, shows stars."""

    secret_value: Optional[str]

    def get_secret_value(self) -> Optional[str]:
        """The text itself."""
        return self.secret_value

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __str__(self) -> str:
        return "**********" if self.secret_value is not None else ""


if TYPE_CHECKING:
    # Type checkers let a generator function return an Iterator, but no subclass of it.
    ConcatenateIterator = Iterator
    AsyncConcatenateIterator = AsyncIterator
else:

    class ConcatenateIterator(Iterator[Item]):
        """The return annotation of a generator whose pieces of text are shown joined."""

    class AsyncConcatenateIterator(AsyncIterator[Item]):
        """The return annotation of an async generator whose pieces of text are shown joined."""
