"""Windows are read where the images are, unless somebody needs the copy, or the images change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends.agreement import assert_agrees, random_arguments

import miniflow as mf
from lowering.as_nests import as_nests
from miniflow.backends import find
from miniflow.ir import Builder, Output, Program, ValueType, Variable, evaluate
from miniflow.lowering import tiling
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_check import LoopProgramError, check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import Copy, LoopProgram, Product, Repeat, WindowMatrix
from miniflow.lowering.loop_text import loop_text
from miniflow.lowering.lower import lower_program
from miniflow.passes import optimize

READS_WINDOWS = Target(can_read_windows=lambda product: True, can_finish=lambda step: True)


class Evaluated:
    """A program as a loop program that reads windows, which is checked, and evaluated."""

    def __init__(self, program: Program, are_nests: bool = False) -> None:
        made = lower_program(program, READS_WINDOWS).loop_program
        self.loop_program = as_nests(made) if are_nests else made
        check_loop_program(self.loop_program)

    def run(self, arguments: Any) -> list[Any]:
        return evaluate_loop_program(self.loop_program, arguments)


def copied_windows(program: LoopProgram) -> list[Copy]:
    copies = [step for step in program.all_steps() if isinstance(step, Copy)]
    return [copy for copy in copies if len(copy.source.shape) == 6 and not copy.adds]


def read_windows(program: LoopProgram) -> int:
    products = (step for step in program.all_steps() if isinstance(step, Product))
    return sum(isinstance(product.a, WindowMatrix) for product in products)


def with_gradients(items: int, **options: Any) -> Program:
    """A network of two convolutions, with the gradients of both kernels."""
    rng = np.random.default_rng(0)
    x = mf.Input("x")
    K = mf.Parameter(rng.standard_normal((3, 2, 1, 2)), "K")
    L = mf.Parameter(rng.standard_normal((2, 2, 2, 3)), "L")
    hidden = mf.Tanh(mf.Conv2D(x, K, **options))
    loss = mf.Sum(mf.Tanh(mf.Conv2D(hidden, L, **options)))
    step = mf.compile(loss, wrt=[K, L], backend="reference")
    step({x: rng.standard_normal((items, 7, 6, 1))})
    return optimize(step.program, find("native").passes)


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": "same"}, {"dilation": 2}], ids=str
)
@pytest.mark.parametrize("cache", [1 << 20, 1 << 11])
def test_no_windows_are_copied(options: Any, cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one piece, and in tiles of two images, of which one is left."""
    monkeypatch.setattr(tiling, "CACHE", cache)
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 1)
    program = with_gradients(3, **options)
    lowered = Evaluated(program).loop_program
    assert not copied_windows(lowered)
    assert copied_windows(lower_program(program).loop_program)
    arguments = random_arguments(program)
    wanted = evaluate(program, arguments)
    for are_nests in (False, True):
        found = Evaluated(program, are_nests).run(arguments)
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def convolution(b: Builder, x: Variable, k: Variable) -> tuple[Variable, Variable]:
    """The windows of x as the rows of a matrix, and their product with k."""
    seen = b.add("windows", (x,), {"axes": (1, 2), "window": (2, 2)})
    rows = b.add("reshape", (seen,), {"shape": (18, 4)})
    return rows, b.add("matmul", (rows, k))


def two_images(kind: str) -> Program:
    b = Builder()
    x = b.input(ValueType("f32", (2, 4, 4, 1)), "parameter", "x")
    k = b.input(ValueType("f32", (4, 3)), name="k")
    before = b.add("tanh", (x,))
    rows, product = convolution(b, x if kind == "an argument" else before, k)
    outputs: list[Any] = [product]
    if kind == "the windows are a result":
        outputs.append(rows)
    elif kind == "a loop reads the windows":
        outputs.append(b.add("exp", (rows,)))
    elif kind == "the images are updated before":
        part = b.add("slice", (product,), {"index": ((0, 16, 1), (0, 1, 1))})
        new = b.add("add", (x, b.add("reshape", (part,), {"shape": (1, 4, 4, 1)})))
        outputs.append(Output(new, "parameter", replaces=x))
    return b.program(outputs)


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("an argument", 1),
        ("a value", 1),
        ("the windows are a result", 0),
        ("a loop reads the windows", 0),
        ("the images are updated before", 1),
    ],
)
def test_windows_that_others_need_are_copied(kind: str, read: int) -> None:
    program = two_images(kind)
    lowered = Evaluated(program).loop_program
    assert read_windows(lowered) == read
    assert_agrees(Evaluated, program, random_arguments(program), signed_zeros=False)


def test_a_printer_that_cannot_read_windows_gets_copies() -> None:
    assert read_windows(lower_program(two_images("an argument")).loop_program) == 0


def test_the_text_shows_where_windows_are() -> None:
    lowered = Evaluated(two_images("an argument")).loop_program
    assert "= x[0 : 2x3x3|1x2x2 by 16,4,1,1,4,1] @ k" in loop_text(lowered)


def test_windows_that_there_are_not_are_told() -> None:
    lowered = Evaluated(two_images("an argument")).loop_program
    (step,) = lowered.steps
    assert isinstance(step, Product)
    assert isinstance(step.a, WindowMatrix)
    wrong = Product(step.c, step.a._replace(rows=(1, 18)), step.b)
    program = LoopProgram(lowered.buffers, lowered.arguments, (wrong,), lowered.outputs)
    with pytest.raises(LoopProgramError, match="18 windows"):
        check_loop_program(program)


def test_a_matrix_that_several_copies_make_is_read_whole() -> None:
    """Rows 2 and 3 become rows 0 and 1: a second copy to where the first one has been."""
    b = Builder()
    x = b.input(ValueType("f64", (4, 4)), name="x")
    first = b.add("slice", (x,), {"index": ((0, 2, 1), (0, 4, 1))})
    both = b.add("slice_update", (x, first), {"index": ((2, 2, 1), (0, 4, 1))})
    program = b.program([b.add("matmul", (both, x))])
    arguments = random_arguments(program)
    assert_agrees(Evaluated, program, arguments, arguments)


def test_what_fills_an_array_waits_for_what_adds_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between zeros and what is added to them stand sums over the batch, which end a tiling."""
    monkeypatch.setattr(tiling, "CACHE", 1 << 11)
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 1)
    rng = np.random.default_rng(0)
    x, h, parameters = mf.Input("x"), None, []
    for shape in ((2, 2, 1, 2), (2, 2, 2, 3)):
        kernel = mf.Parameter(rng.standard_normal(shape))
        gain, shift = (mf.Parameter(np.full(shape[-1], value)) for value in (1.0, 0.1))
        mean, variance = (mf.State(np.full(shape[-1], value)) for value in (0.0, 1.0))
        convolved = mf.Conv2D(x if h is None else h, kernel)
        h = mf.MaxPool(mf.ReLU(mf.BatchNorm(convolved, gain, shift, mean, variance, mf.Seed())))
        parameters += [kernel, gain, shift]
    step = mf.compile(mf.Sum(mf.Tanh(h)), wrt=parameters, backend="reference")
    step({x: rng.standard_normal((4, 7, 7, 1))})
    program = optimize(step.program, find("native").passes)
    evaluated = Evaluated(program)
    loops = [s for s in evaluated.loop_program.steps if isinstance(s, Repeat)]
    adding = [loop for loop in loops if any(isinstance(s, Copy) and s.adds for s in loop.steps)]
    assert len(adding) == 1
    assert any(isinstance(s, Product) for s in adding[0].steps)
    arguments = random_arguments(program)
    for ours, theirs in zip(evaluated.run(arguments), evaluate(program, arguments), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
