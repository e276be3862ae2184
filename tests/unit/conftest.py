"""One browser for all tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import BINARY, Page, chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab of Chromium."""
    if BINARY is None:
        pytest.skip("chromium is not installed")
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page
