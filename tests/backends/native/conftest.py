"""Machine code that these tests make is kept in a folder of their own, and shared by them."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """The folder that the cache is in for the whole session."""
    before = os.environ.get("MINIFLOW_CACHE")
    os.environ["MINIFLOW_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["MINIFLOW_CACHE"]
    else:
        os.environ["MINIFLOW_CACHE"] = before
