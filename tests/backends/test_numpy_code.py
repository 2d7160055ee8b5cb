"""What the NumPy backend allocates and keeps alive, and what its code looks like."""

from __future__ import annotations

import gc
import linecache
import traceback
import tracemalloc
import weakref

import numpy as np
import pytest
from ir.programs import two_layers

from miniflow.backends.numpy import lower
from miniflow.ir import Builder, Origin, Output, Program, ValueType

from .agreement import assert_agrees, random_arguments
from .with_blas import REDUCE_ALL, with_and_without_blas


def optimized_step(n: int) -> Program:
    """Two layers, with a mask, gathers and scatters: whatever NumPy would make copies for."""
    return two_layers(n, 20, 128, 10)


@with_and_without_blas
@pytest.mark.parametrize("n", [128, 8192])
def test_a_step_allocates_next_to_nothing(n, setting, monkeypatch):
    monkeypatch.setenv("MINIFLOW_BLAS", setting)
    program = optimized_step(n)
    executable, arguments = lower(program), random_arguments(program, labels=10)
    assert peak_of_new_memory(executable, arguments) < 100_000


def test_a_step_that_returns_gradients_allocates_them_alone():
    b = Builder()
    x, w = b.input(ValueType("f32", (2000, 50))), b.input(ValueType("f32", (50, 40)), "parameter")
    z = b.add("tanh", (b.add("matmul", (x, w)),))
    g = b.add("multiply", (z, b.add("greater", (z, 0.25))))
    dw = b.add("matmul", (b.add("transpose", (x,), {"axes": (1, 0)}), g))
    program = b.program(
        [b.add("sum", (z,), {"axis": (0, 1), "keepdims": False}), Output(dw, "gradient")]
    )
    executable, arguments = lower(program), random_arguments(program)
    assert peak_of_new_memory(executable, arguments) < dw.type.nbytes + 100_000


def peak_of_new_memory(executable, arguments) -> int:
    with np.errstate(all="ignore"):
        for _ in range(3):
            executable.run(arguments)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            executable.run(arguments)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


def test_what_was_fed_is_not_kept_alive():
    program = two_layers()
    executable, arguments = lower(program), random_arguments(program)
    executable.run(arguments)
    fed = weakref.ref(arguments[0])
    del arguments
    gc.collect()
    assert fed() is None


def test_a_program_that_is_dropped_leaves_nothing_behind():
    lines = len(linecache.cache)
    executable = lower(two_layers())
    assert len(linecache.cache) == lines + 1
    gone = weakref.ref(executable.run)
    del executable
    assert gone() is None
    assert len(linecache.cache) == lines


# The code.


def test_the_code_speaks_of_nodes_and_phases():
    source = lower(two_layers()).source
    lines = source[source.index("def step") :].splitlines()
    sections = [line.strip() for line in lines if line.strip().startswith("# ")]
    assert sections == ["# forward", "# backward", "# update"]
    (line,) = (line for line in lines if "maximum(hidden" in line)
    assert line.strip().startswith("maximum(hidden, f32_0_4x5, out=Relu)")
    assert line.endswith("# Relu")


def test_a_traceback_shows_the_line():
    program = two_layers()
    executable, arguments = lower(program), random_arguments(program)
    arguments[1][0] = 7
    with pytest.raises(IndexError) as caught:
        executable.run(arguments)
    shown = "".join(traceback.format_exception(caught.value))
    assert ".take(y, out=at)" in shown


def test_names_that_python_or_numpy_have_are_harmless():
    b = Builder()
    names = ["lambda", "add", "exp", "step", "in_block", "block_0", "float32", "x\ny", "constants"]
    vectors = [b.input(ValueType("f64", (3,)), name=name) for name in names]
    total = vectors[0]
    for name, vector in zip(names, vectors, strict=True):
        o = Origin(f"Add '{name}'\n", "", "forward", 1)
        total = b.add(
            "add", (b.add("exp", (vector,), origin=o, name=name), total), origin=o, name=name
        )
    program = b.program([b.add("sum", (total,), REDUCE_ALL)])
    assert_agrees(lower, program, random_arguments(program))
