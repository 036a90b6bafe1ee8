"""How tests are dealt to processes: what shares an expensive server stays together, everything else goes by file.

Long tests begin first, so that no process is left with one at the end.
"""

from __future__ import annotations

import pytest

SHARED_SERVERS = ("published", "quickstarted")
"""Fixtures of a whole session: the tests of each run in one process, so that each is made once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into a group and the slow ones first; `make test` gives groups to processes whole."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_choose_group(item)))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _choose_group(item: pytest.Item) -> str:
    fixtures = getattr(item, "fixturenames", ())
    return next((name for name in SHARED_SERVERS if name in fixtures), item.nodeid.partition("::")[0])
