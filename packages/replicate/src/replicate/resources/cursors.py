"""The cursor argument of every ``list``: absent means the first page, text a further one, None is a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

# The type of `...`, which 1.x uses for "not given", has no name before CPython 3.10.
Cursor: TypeAlias = Union[str, Any]


def parse_given_cursor(cursor: Cursor) -> Optional[str]:
    """Return the cursor, or None when none was given.

    Raises:
        ValueError: If it is None: that is what the last page's ``next`` holds, and asking for more than there is must not
        restart.
    """
    if cursor is ...:
        return None
    if cursor is None:
        raise ValueError("cursor cannot be None: the last page has no next one")
    return str(cursor)
