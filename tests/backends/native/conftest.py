"""Every kernel that these tests make is checked."""

import pytest

from miniflow.backends.native import machine
from miniflow.lowering.nest_check import check_kernel


@pytest.fixture(autouse=True)
def every_kernel_is_checked(monkeypatch):
    """What is compiled in these tests is a kernel by the rules of `nest_check`."""
    compiled = machine.kernel_address

    def check_first(kernel):
        check_kernel(kernel)
        return compiled(kernel)

    monkeypatch.setattr(machine, "kernel_address", check_first)
