"""A stack of products is computed where a copy of its transpose would lie."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import DTYPES, Builder, Program, ValueType, evaluate
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import Copy
from miniflow.lowering.lower import lower_program


def joined_heads(
    dtype: str = "f64", also: str = "", axes: tuple[int, ...] = (0, 2, 1, 3)
) -> Program:
    b = Builder()
    x, y = (b.input(ValueType(dtype, shape)) for shape in ((2, 3, 5, 4), (2, 3, 4, 6)))
    product = b.add("matmul", (x, y))
    turned = b.add("transpose", (product,), {"axes": axes})
    shape = (turned.shape[0] * turned.shape[1], turned.shape[2] * turned.shape[3])
    joined = b.add("reshape", (turned,), {"shape": shape})
    w = b.input(ValueType(dtype, (shape[1], 7)))
    results = {"product": product, "transpose": turned, "copy": joined}
    outputs = [b.add("matmul", (joined, w))]
    if also:
        outputs.append(b.add("exp", (results[also],)))
    return b.program(outputs)


def copies_of(program: Program, target: Target) -> int:
    """How many copies there are; what is computed is what the program says."""
    made = lower_program(program, target).loop_program
    check_loop_program(made)
    rng = np.random.default_rng(0)
    given = [
        rng.integers(-4, 5, entry.variable.shape).astype(DTYPES[entry.variable.dtype])
        for entry in program.inputs
    ]
    for found, expected in zip(
        evaluate_loop_program(made, given), evaluate(program, given), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    return sum(isinstance(step, Copy) for step in made.all_steps())


@pytest.mark.parametrize(
    ("program", "copies"),
    [
        (joined_heads(), 0),
        (joined_heads(also="copy"), 0),
        (joined_heads(also="product"), 1),  # which is read as it is, too
        (joined_heads(also="transpose"), 1),
        (joined_heads(axes=(2, 0, 1, 3)), 0),
        (joined_heads(dtype="i64"), 1),  # of which there is no product
    ],
)
def test_heads_are_joined_without_a_copy_where_nobody_else_reads_them(program, copies) -> None:
    assert copies_of(program, Target()) == copies


def test_a_printer_without_such_a_product_copies() -> None:
    def only_rows_together(c, a, b) -> bool:
        return c.is_contiguous

    assert copies_of(joined_heads(), Target(can_multiply=only_rows_together)) == 1
