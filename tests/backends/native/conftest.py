"""Every kernel that these tests make is checked, and every place that it may come to."""

import pytest

from miniflow.backends.native import machine
from miniflow.backends.native.step import StepBuilder
from miniflow.lowering.nest_check import check_kernel
from miniflow.lowering.nest_places import check_places


@pytest.fixture(autouse=True)
def every_kernel_is_checked(monkeypatch):
    """What is compiled in these tests is a kernel by the rules of `nest_check`."""
    compiled = machine.kernel_address

    def check_first(kernel):
        check_kernel(kernel)
        return compiled(kernel)

    monkeypatch.setattr(machine, "kernel_address", check_first)


@pytest.fixture(autouse=True)
def no_kernel_leaves_its_arrays(monkeypatch):
    """With the sizes and the memory that it is handed, by the rules of `nest_places`."""
    finish = StepBuilder.finish

    def check_after(self, memory):
        finished = finish(self, memory)
        for kernel, sizes, rooms in self.nests(memory):
            check_places(kernel, sizes, rooms)
        return finished

    monkeypatch.setattr(StepBuilder, "finish", check_after)
