"""A step while it is being written: what is decided about it, and what grows with every line."""

from __future__ import annotations

import numpy as np

from miniflow.backends.native.memory import Memory
from miniflow.backends.native.step import StepBuilder
from miniflow.backends.native.values import Values
from miniflow.lowering.plan import StepPlan


class Draft:
    """A plan on its way to a step.

    Attributes:
        plan: what is decided.
        memory: where values lie.
        step: the lines and the compiled steps so far.
        values: how these refer to values.
    """

    def __init__(self, plan: StepPlan) -> None:
        self.plan = plan
        self.memory = Memory(plan.homes)
        self.step = StepBuilder()
        for constant in plan.program.constants:
            array = np.require(constant.value, requirements=["C", "A"])
            self.memory.keep(constant.variable, array)
        views = {view: plan.made_by[view].equations[0] for view in plan.layouts}
        self.values = Values(self.step, self.memory, plan.layouts, views)
