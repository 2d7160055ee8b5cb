"""Equations that are part of no group run as nests of their own, whatever their arrays are like."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from miniflow.ir import DTYPES, Builder, Output, Variable, slice_index, type_of

from ..agreement import assert_agrees

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

Case = tuple[str, tuple[tuple[int, ...], ...], dict[str, Any]]
AXES = [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1), (0, 1, 2)]
REDUCTIONS: list[Case] = [
    (name, ((3, 4, 5),), {"axis": axis, "keepdims": keepdims})
    for name in ("sum", "prod", "max", "min", "any", "all")
    for axis in AXES
    for keepdims in (False, True)
]
EXTREMES: list[Case] = [
    (name, ((3, 4, 5),), {"axis": axis, "keepdims": keepdims})
    for name in ("argmax", "argmin")
    for axis in range(3)
    for keepdims in (False, True)
]
SUMS: list[Case] = [("cumsum", ((3, 4, 5),), {"axis": axis}) for axis in range(3)]
BROADCASTS: list[Case] = [
    ("add", ((3, 1, 5), (4, 1)), {}),
    ("multiply", ((1, 4, 1), (3, 1, 5)), {}),
    ("greater", ((3, 4, 1), (1, 4, 5)), {}),
    ("where", ((3, 1, 1), (4, 1), (5,)), {}),
    ("maximum", ((2, 1, 3, 1), (4, 1, 5)), {}),
]
SHAPES: list[Case] = [
    (name, (shape,), {"axis": (axis,), "keepdims": False})
    for name in ("prod", "any")
    for shape, axis in [((1, 4), 0), ((4, 1), 1), ((1, 1), 0), ((0, 3), 0), ((3, 0), 0), ((7,), 0)]
]


def array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Small numbers, so that products of whole ones stay whole; some are equal, one is NaN."""
    x = rng.integers(-2, 3, shape) + (rng.random(shape) < 0.3) * 0.5
    x = np.abs(x) if dtype[0] == "u" else x > 0 if dtype == "bool" else x
    found = np.array(x, DTYPES[dtype])
    if dtype[0] == "f" and found.size > 3:
        found.flat[int(rng.integers(found.size))] = np.nan
    return found


def laid_anyhow(b: Builder, chosen: random.Random, x: np.ndarray) -> tuple[Variable, np.ndarray]:
    """An input that is transposed, turned around or cut out until it has the shape of x; and x."""
    way = chosen.choice(["as it is", "transposed", "backwards", "every other"])
    if way == "transposed":
        axes = tuple(chosen.sample(range(x.ndim), x.ndim))
        given = np.ascontiguousarray(x.transpose(np.argsort(axes)))
        return b.add("transpose", (b.input(type_of(given)),), {"axes": axes}), given
    if way == "backwards":
        brackets = [slice(None, None, chosen.choice([1, -1])) for _ in x.shape]
        given = np.ascontiguousarray(x[tuple(brackets)])
        index = slice_index(brackets, x.shape)
        return b.add("slice", (b.input(type_of(given)),), {"index": index}), given
    if way == "every other":
        given = np.repeat(x, 2, axis=x.ndim - 1) if x.ndim else x
        index = slice_index([*[slice(None)] * (x.ndim - 1), slice(None, None, 2)], given.shape)
        return b.add("slice", (b.input(type_of(given)),), {"index": index}), given
    return b.input(type_of(x)), x


def tried(cases: Sequence[Case], dtypes: Sequence[str], seed: int) -> str:
    """Run cases in one program, compare with the evaluator, and return the source."""
    print("seed", seed)
    rng, chosen, b = np.random.default_rng(seed), random.Random(seed), Builder()
    outputs, arguments = [], []
    for name, shapes, params in cases:
        for dtype in dtypes:
            operands = []
            for k, shape in enumerate(shapes):
                is_condition = name == "where" and k == 0
                x = array(rng, shape, "bool" if is_condition else dtype)
                operand, given = laid_anyhow(b, chosen, x)
                operands.append(operand)
                arguments.append(given)
            outputs.append(Output(b.add(name, operands, params)))
    lowered = lower(b.program(outputs))
    assert_agrees(lower, lowered.program, arguments, signed_zeros=False)
    return str(lowered.source)


ALL = ["f32", "f64", "i64", "i32", "u8"]


@pytest.mark.parametrize(
    ("cases", "dtypes"),
    [
        (REDUCTIONS[:28], ["f32", "i64"]),
        pytest.param(REDUCTIONS[:28], ["f64", "i32", "u8", "i8"], marks=pytest.mark.slow),
        (REDUCTIONS[28:56], ["f32"]),
        pytest.param(REDUCTIONS[28:56], ["f64", "i64", "u8"], marks=pytest.mark.slow),
        (REDUCTIONS[56:], ["f32", "bool"]),
        (EXTREMES, ["f32", "i64"]),
        pytest.param(EXTREMES, ["f64", "i32", "u8"], marks=pytest.mark.slow),
        (SUMS, [*ALL, "u32"]),
        (BROADCASTS, ALL),
        (SHAPES, ["f32", "i64"]),
    ],
)
def test_no_array_is_left_to_numpy(cases: Sequence[Case], dtypes: Sequence[str]) -> None:
    source = tried(cases, dtypes, seed=0)
    assert "np.copyto" not in source
    assert "out=" not in source


INDEXINGS = [  # the shape of x, those of the indices, their axes
    ((5, 4, 3), ((6,),), (1,)),
    ((5, 4, 3), ((6,),), (2,)),
    ((5, 4, 3), ((2, 6),), (0,)),
    ((5, 4, 3), ((6,), (6,)), (0, 2)),
    ((5, 4, 3), ((2, 1), (6,)), (1, 2)),
    ((5, 4, 3), ((6,), (6,), (6,)), (0, 1, 2)),
    ((5, 4), ((1,),), (1,)),
]


@pytest.mark.parametrize("dtype", ["f32", "f64", "i64", "u8"])
@pytest.mark.parametrize("name", ["gather", "gather_update", "scatter_add"])
def test_indices_of_any_axes(name: str, dtype: str) -> None:
    rng, chosen, b = np.random.default_rng(3), random.Random(3), Builder()
    outputs, arguments = [], []
    for shape, shapes_of_indices, axes in INDEXINGS:
        x, given = laid_anyhow(b, chosen, array(rng, shape, dtype))
        arguments.append(given)
        indices = []
        for axis, of_index in zip(axes, shapes_of_indices, strict=True):
            numbers = rng.integers(-shape[axis], shape[axis], of_index)
            index, given = laid_anyhow(b, chosen, numbers)
            arguments.append(given)
            indices.append(index)
        read = b.add("gather", (x, *indices), {"axes": axes})
        if name == "gather":
            outputs.append(Output(read))
            continue
        value, given = laid_anyhow(b, chosen, array(rng, read.shape, dtype))
        arguments.append(given)
        outputs.append(Output(b.add(name, (x, value, *indices), {"axes": axes})))
    lowered = lower(b.program(outputs))
    assert_agrees(lower, lowered.program, arguments, signed_zeros=False)
    assert "np.copyto" not in lowered.source


@pytest.mark.parametrize("place", [4, -5])
def test_an_index_out_of_range_names_its_node_and_updates_nothing(place: int) -> None:
    b = Builder()
    w = b.input(type_of(np.zeros((3, 4, 2))), "parameter", name="w")
    y = b.input(type_of(np.zeros(2, int)), name="y")
    changed = b.add("scatter_add", (w, 1.0, y), {"axes": (1,)})
    step = lower(b.program([Output(changed, "parameter", replaces=w)]))
    weights = np.ones((3, 4, 2))
    step.run([weights, np.array([0, 3])])
    assert weights.sum() == 24 + 12
    with pytest.raises(IndexError, match=r"out of range|out of bounds"):
        step.run([weights, np.array([0, place])])
    assert weights.sum() == 24 + 12
