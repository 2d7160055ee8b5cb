"""What is only summed up is not put together before, nor put in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from miniflow.ir import Program, ValueType, check, evaluate
from miniflow.passes import TIDY, optimize, prune, sum_parts

from .writing import Writer

N, T = 4, 5


def gradients(w: Any, parts: list[Any], features: int, also: str = "") -> list[Any]:
    """The gradients of a layer's weight and bias, from those that a loop has left by times."""
    x = w.input(N, T, features)
    g = w.builder.add("concatenate", parts, {"axis": 2}) if len(parts) > 1 else parts[0]
    by_rows = w.builder.add("transpose", (g,), {"axes": (1, 0, 2)})
    flat = w.builder.add("reshape", (by_rows,), {"shape": (N * T, g.shape[2])})
    rows = w.builder.add("reshape", (x,), {"shape": (N * T, features)})
    columns = w.builder.add("transpose", (rows,), {"axes": (1, 0)})
    weight = w.builder.add("matmul", (columns, flat))
    bias = w.builder.add("sum", (flat,), {"axis": (0,), "keepdims": False})
    others = {"": [], "output": [flat]}
    return [weight, bias, *(others[also] if also in others else [w.builder.add(also, (flat,))])]


class Inputs(Writer):
    """A writer that declares inputs of some shapes."""

    def input(self, *shape: int) -> Any:
        return self.builder.input(ValueType("f64", shape))


def compared(program: Program) -> list[str]:
    """The primitives of the program after the pass, which computes the same."""
    found = optimize(program, (sum_parts, *TIDY))
    check(found)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=entry.variable.shape) for entry in program.inputs]
    for ours, theirs in zip(evaluate(found, given), evaluate(program, given), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    return [equation.primitive for equation in found.equations]


@pytest.mark.parametrize("widths", [(6,), (2, 4), (1, 2, 3)])
def test_gradients_of_gates_are_summed_where_the_loop_has_left_them(widths: Any) -> None:
    w = Inputs()
    parts = [w.input(T, N, width) for width in widths]
    names = compared(w.builder.program(gradients(w, parts, 3)))
    assert names.count("matmul") == names.count("sum") == len(widths)
    # What is put together are the sums; what moves is the smaller array, once.
    assert names.count("concatenate") == (2 if len(widths) > 1 else 0)
    assert names.count("transpose") == 2


@pytest.mark.parametrize(
    ("features", "also"), [(3, "output"), (3, "exp"), (7, ""), (30, "")]
)  # it is there anyway; what would move is larger; hardly anything is summed up
def test_it_is_put_together_where_that_is_needed_or_cheaper(features: int, also: str) -> None:
    w = Inputs()
    program = w.builder.program(gradients(w, [w.input(T, N, 2), w.input(T, N, 4)], features, also))
    assert str(prune(sum_parts(program))) == str(prune(program))
    compared(program)
