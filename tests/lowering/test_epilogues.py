"""Nests that change each entry of a product by itself are its epilogue, and no others are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lowering.as_nests import as_nests
from miniflow.ir import Builder, Output, Program, ValueType, Variable
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_check import LoopProgramError, check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import FusedProduct, LoopProgram, Nest
from miniflow.lowering.loop_text import loop_text
from miniflow.lowering.lower import lower_program

WITH_EPILOGUES = Target(can_finish=lambda step: True)
Make = Callable[[Builder, Variable, Variable, Variable], list[Any]]


def program_of(make: Make) -> Program:
    """What `make` adds to the product of x and w."""
    b = Builder()
    x = b.input(ValueType("f32", (4, 4)), "parameter", "x")
    w = b.input(ValueType("f32", (4, 4)), name="w")
    return b.program(make(b, b.add("matmul", (x, w), name="z"), x, w))


def lowered(program: Program) -> LoopProgram:
    made = lower_program(program, WITH_EPILOGUES).loop_program
    check_loop_program(made)
    return made


def relu(b: Builder, z: Variable) -> Variable:
    return b.add("maximum", (z, 0.0))


def row_sums(b: Builder, z: Variable) -> Variable:
    return b.add("sum", (z,), {"axis": (1,), "keepdims": False})


FUSED: dict[str, Make] = {
    "elementwise": lambda b, z, x, w: [relu(b, z)],
    "beside another array": lambda b, z, x, w: [b.add("multiply", (relu(b, z), w))],
    "beside a factor": lambda b, z, x, w: [b.add("add", (z, x))],
    "twice": lambda b, z, x, w: [relu(b, z), b.add("negative", (z,))],
    "a sum of products": lambda b, z, x, w: [
        b.add("add", (b.add("gemm", (x, w, w, 2.0, 0.5)), w)),
    ],
    "a sum that others read": lambda b, z, x, w: [
        Output(moved := b.add("gemm", (x, w, w, 2.0, 0.5)), "parameter", replaces=x),
        b.add("subtract", (w, moved)),
        b.add("matmul", (moved, w)),
    ],
    "later": lambda b, z, x, w: [row_sums(b, b.add("exp", (w,))), relu(b, z)],
}
NOT_FUSED: dict[str, Make] = {
    "the product is a result, too": lambda b, z, x, w: [z, relu(b, z)],
    "rows are added up": lambda b, z, x, w: [row_sums(b, relu(b, z))],
    "others read it, too": lambda b, z, x, w: [
        relu(b, z),
        b.add("matmul", (b.add("transpose", (z,), {"axes": (1, 0)}), w)),
    ],
    "it is read transposed": lambda b, z, x, w: [
        b.add("add", (b.add("transpose", (z,), {"axes": (1, 0)}), x))
    ],
    "it takes the place of a factor": lambda b, z, x, w: [
        Output(relu(b, z), "parameter", replaces=x)
    ],
}


@pytest.mark.parametrize("what", sorted({**FUSED, **NOT_FUSED}))
def test_what_changes_each_entry_by_itself_is_an_epilogue(what: str) -> None:
    program = program_of({**FUSED, **NOT_FUSED}[what])
    made = lowered(program)
    assert any(isinstance(step, FusedProduct) for step in made.steps) == (what in FUSED)
    rng = np.random.default_rng(0)
    for seen in (made, as_nests(made)):
        check_loop_program(seen)
        x, w = (rng.standard_normal((4, 4)).astype(np.float32) for _ in range(2))
        plain = lower_program(program).loop_program
        copies = x.copy(), x.copy()
        found = evaluate_loop_program(seen, [copies[0], w])
        wanted = evaluate_loop_program(plain, [copies[1], w])
        for ours, theirs in zip([*found, copies[0]], [*wanted, copies[1]], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(step, FusedProduct) for step in as_nests(made).steps)


def test_a_printer_that_has_no_epilogues_gets_none() -> None:
    steps = lower_program(program_of(FUSED["elementwise"])).loop_program.steps
    assert [type(step).__name__ for step in steps] == ["Product", "Nest"]


def test_the_text_shows_the_product_in_the_place_of_its_entries() -> None:
    assert "kernel_1(a1=x @ w, n=4, a2=t1, m=4)" in loop_text(
        lowered(program_of(FUSED["elementwise"]))
    )


def test_a_loop_over_all_entries_goes_by_rows_behind_a_product() -> None:
    text = loop_text(lowered(program_of(FUSED["beside another array"])))
    assert "for i in range(m):\n        for j in range(n):" in text
    assert "a2[i, j]" in text


@pytest.mark.parametrize(("side", "is_fused"), [(64, True), (600, False)])
def test_an_update_that_reads_much_beside_the_gradient_goes_through_memory_by_itself(
    side: int, is_fused: bool
) -> None:
    b = Builder()
    x, *kept = (b.input(ValueType("f32", (side, side)), "parameter", name) for name in "xuvw")
    z = b.add("matmul", (x, x))
    outputs = []
    for old in kept:
        z = b.add("add", (b.add("multiply", (old, 0.5)), z))
        outputs.append(Output(z, "parameter", replaces=old))
    steps = lower_program(b.program(outputs), WITH_EPILOGUES).loop_program.steps
    names = ["FusedProduct"] if is_fused else ["Product", "Nest"]
    assert [type(step).__name__ for step in steps] == names


def test_an_update_is_written_where_the_gradient_is_made_after_the_check() -> None:
    b = Builder()
    x, w = (b.input(ValueType("f32", (4, 4)), "parameter", name) for name in "xw")
    loss = b.add("sum", (x,), {"axis": (0, 1), "keepdims": False})
    step = b.add("multiply", (b.add("tanh", (b.add("matmul", (x, x)),)), 0.5))
    new = b.add("subtract", (w, step))
    outputs = [Output(loss), Output(new, "parameter", replaces=w), Output(loss, "check")]
    made = lowered(b.program(outputs))
    assert isinstance(made.steps[-1], FusedProduct)
    x_value, w_value = np.full((4, 4), np.inf, np.float32), np.ones((4, 4), np.float32)
    with pytest.raises(FloatingPointError):
        evaluate_loop_program(made, [x_value, w_value])
    assert (w_value == 1).all()


def test_what_is_no_epilogue_is_told() -> None:
    made = lowered(program_of(FUSED["elementwise"]))
    (step,) = made.steps
    assert isinstance(step, FusedProduct)
    other = lower_program(program_of(NOT_FUSED["rows are added up"])).loop_program
    (nest,) = (step for step in other.steps if isinstance(step, Nest))
    wrong = replace(made, buffers=other.buffers, steps=(replace(step, epilogue=nest),))
    with pytest.raises(LoopProgramError, match=r"epilogue|read before"):
        check_loop_program(replace(wrong, outputs=other.outputs))
