"""Whole programs as machine code: what they compute, what they update, what they leave alone."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from ir.programs import two_layers
from passes.random_programs import RandomProgram

from miniflow.ir import (
    Builder,
    Literal,
    Output,
    Program,
    ProgramError,
    ValueType,
    Variable,
    evaluate,
)

from ..agreement import assert_agrees, assert_close, copies, random_arguments

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

from .updating import F32, parameters, updating


@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (32, 40, 16, 10), (1, 3, 5, 2), (5, 1, 1, 1)])
def test_training_steps_agree_with_the_evaluator(sizes):
    program = two_layers(*sizes)
    arguments = [random_arguments(program, seed, labels=sizes[3]) for seed in range(2)]
    assert_agrees(lower, program, *arguments, signed_zeros=False)


def test_a_step_is_one_call_of_compiled_code():
    step = lower(two_layers(8, 6, 5, 3))
    assert step.is_one_call
    source = step.source
    assert "numpy" not in source
    assert "# CrossEntropyWithSoftmax 'loss'" in source
    assert "W1 @" not in source
    assert "X @ W1" in source


def test_kernels_are_generic_in_shape():
    def kernels(*sizes: int) -> str:
        return lower(two_layers(*sizes)).source.partition("\n\ndef kernel")[2]

    assert kernels(8, 6, 5, 3) == kernels(64, 100, 30, 10)


def test_a_softmax_passes_over_a_row_once_for_each_of_its_stages():
    b = Builder()
    x = b.input(ValueType(F32, (4, 3)), name="x")
    over = {"axis": (1,), "keepdims": True}
    e = b.add("exp", (b.add("subtract", (x, b.add("max", (x,), over))),))
    program = b.program([b.add("divide", (e, b.add("sum", (e,), over)))])
    kernel = lower(program).source.partition("\n\n")[2]
    assert kernel == (
        "def kernel_1(m: size, a1: f32[m, n], n: size, a2: f32[n], a3: f32[m, n]):\n"
        "    for i in range(m):\n"
        "        max1 = f32(-inf)\n"
        "        for j in range(n):\n"
        "            max1 = maximum(max1, a1[i, j])\n"
        "        t1 = max1\n"
        "        sum4 = f64(0.0)\n"
        "        for j in range(n):\n"
        "            t2 = a1[i, j] - t1\n"
        "            t3 = exp(t2)\n"
        "            sum4 += f64(t3)\n"
        "            a2[j] = t3\n"
        "        t4 = f32(sum4)\n"
        "        for j in range(n):\n"
        "            t5 = a2[j] / t4\n"
        "            a3[i, j] = t5\n"
    )
    assert_agrees(lower, program, random_arguments(program))


@pytest.mark.parametrize("n", [128, 8192])
def test_a_step_allocates_next_to_nothing(n):
    program = two_layers(n, 20, 16, 10)
    step, arguments = lower(program), random_arguments(program, labels=10)
    step.run(arguments)
    tracemalloc.start()
    try:
        step.run(arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000


def test_a_label_out_of_range_leaves_the_parameters_as_they_were():
    program = two_layers(6, 5, 4, 3)
    step, arguments = lower(program), random_arguments(program, labels=3)
    for label in (3, -4):
        given = copies(arguments)
        given[1][4] = label
        with pytest.raises(IndexError, match="CrossEntropyWithSoftmax 'loss'"):
            step.run(given)
        for ours, before in zip(given[2:], arguments[2:], strict=True):
            np.testing.assert_array_equal(ours, before)
    given = copies(arguments)
    given[1][:] -= 3  # they count from the end
    assert_close(step.run(given)[0], evaluate(program, arguments)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_updates_nothing(bad):
    program = two_layers(6, 5, 4, 3)
    step, arguments = lower(program), random_arguments(program, labels=3)
    given = copies(arguments)
    given[0][2, 1] = bad
    with pytest.raises(FloatingPointError, match="nothing was updated"), np.errstate(all="ignore"):
        step.run(given)
    for ours, before in zip(given[2:], arguments[2:], strict=True):
        np.testing.assert_array_equal(ours, before)


def test_a_loss_that_numpy_computes_is_checked_too():
    b = Builder()
    w = b.input(ValueType("f64", (3,)), "parameter", "w")
    loss = b.add("prod", (w,), {"axis": (0,), "keepdims": False})
    new = b.add("subtract", (w, b.add("multiply", (w, 0.5))))
    step = lower(b.program([Output(loss), updating(b, new, w)]))
    given = np.array([1.0, np.inf, 2.0])
    with pytest.raises(FloatingPointError):
        step.run([given])
    assert given.tolist() == [1.0, np.inf, 2.0]
    given[1] = 3
    assert step.run([given]) == [6.0]
    assert given.tolist() == [0.5, 1.5, 1.0]


# New values of inputs.


def test_a_loop_over_rows_of_which_nobody_needs_anything():
    b = Builder()
    x = b.input(ValueType(F32, (5, 4)), name="x")
    rows, one = b.input(ValueType(F32, (5, 1))), b.input(ValueType(F32, (1,)))
    scaled = b.add("multiply", (one, 0.3))
    b.add("add", (b.add("multiply", (x, scaled)), rows))
    program = b.program([scaled])
    assert_agrees(lower, program, random_arguments(program))


# Products.


def test_what_a_product_is_added_to():
    b = Builder()
    v, w = parameters(b, "v", "w")
    x = b.input(ValueType(F32, (3, 5)), name="x")
    g = b.input(ValueType(F32, (5, 4)), name="g")
    bias = b.input(ValueType(F32, (4,)), name="bias")
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    wide = b.add("broadcast_to", (bias,), {"shape": (3, 4)})
    zeros = b.add("full", (Literal(0.0),), {"shape": (3, 4), "dtype": F32})

    def gemm(c, alpha=1.0, beta=1.0) -> Variable:
        return b.add("gemm", (c, x, g, alpha, beta))

    outputs = [
        Output(gemm(wide)),
        Output(gemm(gemm(wide), lr)),
        Output(gemm(gemm(wide, lr), lr, lr)),
        Output(gemm(zeros, 0.125)),
        Output(gemm(gemm(b.add("matmul", (x, g))))),
        Output(gemm(v, lr, lr)),
        updating(b, gemm(v, b.add("negative", (lr,))), v),
        updating(b, gemm(gemm(w, lr)), w),
    ]
    program = b.program(outputs)
    assert_agrees(lower, program, random_arguments(program), random_arguments(program, 1))
    assert lower(b.program(outputs[-2:])).is_one_call


def test_a_learning_rate_of_zero_does_not_hide_nan():
    b = Builder()
    w = b.input(ValueType(F32, (2, 3)), "parameter", "w")
    x, g = b.input(ValueType(F32, (2, 4))), b.input(ValueType(F32, (4, 3)))
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    program = b.program([updating(b, b.add("gemm", (w, x, g, lr, Literal(1.0))), w)])
    arguments = random_arguments(program)
    arguments[1][0, 0] = np.nan
    for rate in (0.0, 0.5):
        assert_agrees(lower, program, [*arguments[:-1], rate])


def test_operands_that_lie_otherwise():
    """Transposed, with rows apart, every second column, backwards."""
    b = Builder()
    x = b.input(ValueType(F32, (6, 8)), name="x")
    turned = b.add("transpose", (x,), {"axes": (1, 0)})
    indices = [
        ((0, 6, 1), (2, 6, 1)),
        ((0, 6, 1), (0, 4, 2)),
        ((5, 6, -1), (0, 8, 1)),
        ((0, 6, 1), (7, 8, -1)),
        ((1, 4, 1), 3),
        (2, (1, 4, 1)),
        (2, (6, 4, -2)),
    ]
    parts = [b.add("slice", (x,), {"index": index}) for index in indices]
    outputs = [b.add("exp", (part,)) for part in (*parts, turned)]
    for part in (turned, *parts[:4]):
        axes = {"axes": (1, 0)}
        outputs.append(b.add("matmul", (part, b.add("transpose", (part,), axes))))
        outputs.append(b.add("sum", (part,), {"axis": (0,), "keepdims": False}))
    outputs += [b.add("add", (parts[0], part)) for part in parts[5:] if part.shape == (6,)]
    outputs += [b.add("subtract", (parts[1], part)) for part in parts[4:]]
    program = b.program([*outputs, turned, parts[2]])
    assert_agrees(lower, program, random_arguments(program))


@pytest.mark.parametrize("step", [2, 1, -1])
def test_a_row_of_a_matrix_and_a_vector_that_lies_otherwise(step):
    """A vector is the whole of a matrix of one row, and has an axis less."""
    b = Builder()
    x, v = b.input(ValueType(F32, (16,)), name="x"), b.input(ValueType(F32, (16,)), name="v")
    row = b.add("reshape", (b.add("slice", (x,), {"index": ((0, 8, 1),)}),), {"shape": (1, 8)})
    first = 7 if step < 0 else 0
    part = b.add("slice", (v,), {"index": ((first, 8, step),)})
    outputs = [b.add("subtract", (row, part)), b.add("multiply", (part, b.add("tanh", (row,))))]
    outputs.append(b.add("sum", (outputs[0],), {"axis": (1,), "keepdims": True}))
    program = b.program(outputs)
    assert_agrees(lower, program, random_arguments(program))


# Other things.


def test_programs_without_arrays():
    b = Builder()
    x, y = (b.input(ValueType("f64", (), "python"), name=name) for name in "xy")
    z = b.input(ValueType("f64", (), "scalar"), name="z")
    total = b.add("add", (b.add("multiply", (x, y)), b.add("power", (x, 3))))
    outputs = [total, b.add("exp", (total,)), b.add("less", (x, y)), b.add("divide", (x, y))]
    outputs += [b.add("multiply", (z, total)), x, z, Literal(2.5), Literal(np.float32(1))]
    program = b.program(outputs)
    assert_agrees(lower, program, [3.0, -0.5, np.float64(2)])
    with pytest.raises(ZeroDivisionError):
        lower(program).run([1.0, 0.0, np.float64(1)])


def test_names_of_any_kind():
    b = Builder()
    names = ["np", "run", "t1", "σ", "a b", "fail", "def", "places", "f32", None, "x", "x", "seen"]
    values = [b.input(ValueType(F32, (2,)), name=name) for name in names]
    total = values[0]
    for value in values[1:]:
        total = b.add("add", (total, value), name="address_of")
    constant = b.constant(np.arange(2.0, dtype=np.float32), "step")
    sums = b.add("cumsum", (total,), {"axis": 0}, name="np")
    program = b.program([b.add("add", (sums, constant), name="run"), constant])
    assert_agrees(lower, program, random_arguments(program))


def test_a_program_of_nothing():
    assert lower(Program((), (), ())).run([]) == []


@pytest.mark.breadth("seed")
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_agree_with_the_evaluator(seed):
    """To rounding; a sum that nearly cancels out may magnify that, so they are compared loosely."""
    made = RandomProgram(seed)
    program, given = made.program, copies(made.arguments)
    step = lower(program)
    try:
        theirs = evaluate(program, made.arguments)
    except ProgramError as error:  # an index, an exponent
        with pytest.raises((type(error.__cause__), FloatingPointError)):
            step.run(given)
        return
    first = [v for v, o in zip(theirs, program.outputs, strict=True) if o.replaces is None][:1]
    try:
        results = iter(step.run(given))
    except FloatingPointError:
        assert not np.isfinite(first[0])
        return
    inputs = [entry.variable for entry in program.inputs]
    for output, wanted in zip(program.outputs, theirs, strict=True):
        old = output.replaces
        ours = next(results) if old is None else given[inputs.index(old)]
        assert type(ours) is type(wanted)
        if np.asarray(wanted).dtype.kind == "f":
            np.testing.assert_allclose(ours, wanted, rtol=2e-3, atol=2e-3, strict=True)
        else:
            np.testing.assert_array_equal(ours, wanted, strict=True)


def test_memory_is_free_as_soon_as_the_step_is():
    step = lower(two_layers(8, 6, 5, 3))
    watched = weakref.ref(step.run)
    gc.disable()
    try:
        del step
        assert watched() is None
    finally:
        gc.enable()
