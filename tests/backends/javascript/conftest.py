"""One Node process answers all tests of this folder."""

from collections.abc import Iterator

import pytest

from . import engine


@pytest.fixture(scope="session", autouse=True)
def node_process() -> Iterator[None]:
    """Start it, and end it after the last test."""
    engine.start()
    yield
    engine.stop()
