"""Every kernel that these tests make is checked, and every place that it may come to."""

import pytest

from miniflow.backends.native import machine
from miniflow.backends.native.run import ProgramRunner
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.nest_check import check_kernel


@pytest.fixture(autouse=True)
def every_kernel_is_checked(monkeypatch):
    """What is compiled in these tests is a kernel by the rules of `nest_check`."""
    compiled = machine.kernel_address

    def check_first(kernel, *sizes):
        check_kernel(kernel)
        return compiled(kernel, *sizes)

    monkeypatch.setattr(machine, "kernel_address", check_first)


@pytest.fixture(autouse=True)
def every_loop_program_is_checked(monkeypatch):
    """What is run in these tests is a loop program by the rules of `loop_check`: no kernel leaves
    its arrays, and nobody's memory is somebody else's at the same time.
    """
    run = ProgramRunner.__init__

    def check_first(self, program, *others, **options):
        check_loop_program(program)
        run(self, program, *others, **options)

    monkeypatch.setattr(ProgramRunner, "__init__", check_first)
