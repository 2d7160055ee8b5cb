"""Machine code that these tests make is kept in a folder of their own, and shared by them."""

import os

import pytest

from miniflow.backends.native import machine
from miniflow.lowering.nest_check import check_kernel


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


@pytest.fixture(autouse=True)
def every_kernel_is_checked(monkeypatch):
    """What is compiled in these tests is a kernel by the rules of `nest_check`."""
    compiled = machine.kernel_address

    def check_first(kernel):
        check_kernel(kernel)
        return compiled(kernel)

    monkeypatch.setattr(machine, "kernel_address", check_first)
