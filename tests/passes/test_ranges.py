"""Ranges hold what NumPy computes; and bounds made of them hold what an update makes."""

from __future__ import annotations

import numpy as np
import pytest

import miniflow as mf
from miniflow.ir import DTYPES, Builder, ValueType, evaluate
from miniflow.passes.finite import check_bounds
from miniflow.passes.ranges import Range, Ranges
from miniflow.schedules import CosineDecay, PiecewiseConstant

SHAPES = {"a": (4, 3), "b": (3, 5), "c": (4, 3), "row": (3,)}
MATRICES = [
    ("add", "ac"), ("subtract", "ac"), ("multiply", "ac"), ("multiply", "aa"), ("maximum", "ac"),
    ("minimum", "ac"), ("negative", "a"), ("absolute", "a"), ("sign", "a"), ("rint", "a"),
    ("hypot", "ac"), ("tanh", "a"), ("exp", "a"), ("sin", "a"), ("arctan", "a"), ("matmul", "ab"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_computed_lies_in_its_range(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    b, ranges = Builder(), Ranges()
    values, variables = {}, {}
    for name, shape in SHAPES.items():
        size = 10.0 ** rng.uniform(-6, 6)
        variables[name] = b.input(ValueType(dtype, shape), name=name)
        values[name] = rng.uniform(-size, size, shape).astype(DTYPES[dtype])
        low, high = float(values[name].min()), float(values[name].max())
        ranges.know(variables[name], Range(low, high), float(np.linalg.norm(values[name])) * 1.001)
    found = [b.add(name, [variables[x] for x in names]) for name, names in MATRICES]
    size = b.add("absolute", (variables["a"],))
    found += [
        size,
        b.add("sqrt", (size,)),
        b.add("divide", (variables["c"], b.add("add", (size, 0.5)))),
    ]
    for axis in ((0,), (1,), (0, 1)):
        for name in ("sum", "max", "min"):
            found.append(b.add(name, (variables["c"],), {"axis": axis, "keepdims": False}))
    found.append(b.add("cumsum", (variables["a"],), {"axis": 0}))
    found.append(b.add("windows", (variables["a"],), {"axes": (0, 1), "window": (2, 2)}))
    total = b.add(
        "matmul", (b.add("transpose", (variables["a"],), {"axes": (1, 0)}), variables["c"])
    )
    table = b.add("full", (0.0,), {"shape": (6, 3), "dtype": dtype})
    rows = b.constant(np.array([1, 1, 5, 1]))
    found += [total, b.add("scatter_add", (table, variables["a"], rows), {"axes": (0,)})]
    for equation in b.equations:
        ranges.add(equation)
    with np.errstate(all="ignore"):
        results = evaluate(b.program(found), list(values.values()))
    for variable, result in zip(found, results, strict=True):
        known = ranges.of(variable)
        if known is not None:
            assert known.low <= np.min(result)
            assert np.max(result) <= known.high
    assert sum(ranges.of(variable) is None for variable in found) <= 1  # e to the power of too much


def test_a_range_of_halves_is_wider_by_what_halves_lose() -> None:
    b, ranges = Builder(), Ranges()
    x = b.input(ValueType("f16", (2,)), name="x")
    ranges.know(x, Range(-1.0, 1.0))
    rest = b.add("subtract", (1.0, b.add("minimum", (x, 0.9999))))  # which as a half is 1
    for equation in b.equations:
        ranges.add(equation)
    (found,) = evaluate(b.program([rest]), [np.array([0, 1], np.float16)])
    assert found[1] == 0.0
    known = ranges.of(rest)
    assert known is not None
    assert known.low <= 0.0


@pytest.mark.parametrize("seed", range(10))
def test_a_step_within_bounds_drifts_no_farther_than_it_may(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, W = mf.Input("X"), mf.Parameter(np.zeros((3, 2), "f4"), "W")
    optimizers = (
        mf.SGD(1.0), mf.SGD(1.0, momentum=0.9, nesterov=True), mf.Adam(1.0), mf.RMSprop(1.0),
        mf.AdamW(1.0), mf.Adam(1.0, global_clipnorm=1.0), mf.SGD(1.0, clipvalue=1e9),
    )  # fmt: skip
    optimizer = optimizers[seed % len(optimizers)]
    step = mf.compile(mf.Sum(X @ W), optimizer=optimizer, backend="reference")
    step({X: np.ones((4, 3), "f4")})
    program = step.program
    bare = type(program)(program.inputs, program.equations, program.outputs[:-1], program.constants)
    found = check_bounds(bare)
    assert found is not None
    arguments = []
    for entry in program.inputs:
        shape, dtype = entry.variable.shape, entry.variable.dtype
        known = found.ranges.get(entry.variable)
        if entry.role == "fed":
            arguments.append((rng.normal(size=shape) * 10.0 ** rng.uniform(0, 6)).astype("f4"))
        elif entry.role == "hyper":
            arguments.append(1.0)
        elif dtype == "i64":
            arguments.append(np.array(rng.integers(0, 9)))
        else:
            assert known is not None
            arguments.append(np.where(rng.random(shape) < 0.5, known.low, known.high).astype("f4"))
    results = evaluate(found.program, arguments)  # the loss may be none: it is not asked for
    for output, value in zip(found.program.outputs, results, strict=True):
        if output.replaces in found.ranges and value.dtype.kind == "f":
            known = found.ranges[output.replaces]
            assert np.isfinite(value).all()
            assert np.abs(value).max() <= known.size * 32.0 ** (1 / min(found.steps, 1000)) * 1.0001


BOUNDED = {
    "momentum and weight decay": lambda: mf.SGD(0.1, momentum=0.9, weight_decay=5e-4),
    "Nesterov and weight decay": lambda: mf.SGD(0.1, 0.9, nesterov=True, weight_decay=5e-4),
    "weight decay by a cosine": lambda: mf.SGD(CosineDecay(0.1, 90), weight_decay=1e-4),
    "Adam by a cosine": lambda: mf.Adam(CosineDecay(0.01, 90, warmup=5)),
    "AdamW by steps": lambda: mf.AdamW(PiecewiseConstant([3, 5], [0.1, 0.01, 0.001])),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_are_enough_for_every_usual_update_so_that_no_new_value_is_looked_at(
    name: str,
) -> None:
    X, W = mf.Input("X"), mf.Parameter(np.zeros((40, 30), "f4"), "W")
    step = mf.compile(mf.Sum(X @ W), optimizer=BOUNDED[name](), backend="numpy")
    step({X: np.ones((4, 40), "f4")})
    assert not any(e.primitive == "isfinite" for e in step.program.equations)


@pytest.mark.parametrize("value", [3, 2**70, 10**400])
def test_ints_of_any_size_have_a_range_or_none(value: int) -> None:
    """Python's own, in a program as a number that is fed, or written down."""
    b, ranges = Builder(), Ranges()
    x = b.input(ValueType("i64", (), "python"), name="x")
    ranges.know(x, Range(0.0, 2.0))
    for operands in ((x, x), (x, value)):
        total = b.add("add", operands)
        ranges.add(b.equations[-1])
        known = ranges.of(total)
        assert (known is None) == (value > 2**1000 and operands[1] is value)
        assert known is None or known.low <= float(operands[1] is value and value) <= known.high


def test_a_count_of_conditions_is_trained_with() -> None:
    """`Add(Equal(x, x), Equal(x, x))` is an int of Python's where a Python number is fed."""
    x = mf.Input("x")
    W = mf.Parameter(np.ones(3), "W")
    step = mf.compile(mf.Mean((mf.Equal(x, x) + mf.Equal(x, x)) * W), optimizer=mf.Adam(0.1))
    assert step({x: 0}) == 2.0
    assert step({x: 0}) < 2.0
