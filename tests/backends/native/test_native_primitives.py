"""Every primitive, as machine code or as a call between, agrees with the reference evaluator.

Fewer combinations than in the NumPy backend's tests, as each kernel has to be compiled. Many
equations share a program, so results must not disturb each other either.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from miniflow.ir import DTYPES, PRIMITIVES, Builder, type_of
from miniflow.lowering.expressions import can_fuse
from miniflow.lowering.fuse import fuse

from ..agreement import assert_agrees, program_of_many
from ..cases import scans

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

EDGES = [0.0, -0.0, 1.0, -2.5, 1e4, -1e4, np.inf, -np.inf, np.nan, 0.3]
FLOATS = [np.array(EDGES, np.float32), np.array(EDGES)]
INTEGERS = [np.array([0, 1, 2, -3, 7, -9, 100, 2**31 - 1, -(2**31), 5], np.int32)]
INTEGERS += [np.arange(250, 260).astype(np.uint8), np.arange(-5, 5) * 2**40]
OTHERS = [np.array([True, False] * 5), np.array(2.5), np.float32(-1.5), 3, 0.5, float("nan")]
SAMPLES = [*FLOATS, *INTEGERS, *OTHERS]
ELEMENTWISE = [p for p in PRIMITIVES.values() if p.category == "elementwise" and not p.params]
CUBE = np.arange(24.0).reshape(2, 3, 4) - 7
MATRIX = np.array([[1.0, np.nan, np.inf, -0.0], [2.0, 1.0, -np.inf, -0.0]], np.float32)
REDUCED = [CUBE, MATRIX, CUBE[0].astype(np.int16), CUBE > 0, np.zeros((0, 3), np.float32)]
REDUCED += [MATRIX[0].copy(), np.array(3.5), np.float32(2)]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_all_agree(cases, are_computed: bool = False) -> None:
    program, arguments = program_of_many(cases, are_computed=are_computed)
    assert_agrees(lower, program, arguments, signed_zeros=False)


def test_elementwise_of_one_operand():
    names = [p.name for p in ELEMENTWISE if p.arity == 1]
    assert_all_agree([(name, (x,), {}) for name in names for x in SAMPLES])


@pytest.mark.parametrize("few", [FLOATS, INTEGERS], ids=["floats", "integers"])
def test_elementwise_of_two_operands(few):
    names = [p.name for p in ELEMENTWISE if p.arity == 2]
    with_others = list(itertools.product(few, OTHERS))
    pairs = [*itertools.product(few, few), *with_others, *(pair[::-1] for pair in with_others)]
    assert_all_agree([(name, pair, {}) for name in names for pair in pairs])


@pytest.mark.parametrize("dtype", [name for name in sorted(DTYPES) if name[0] in "iu"])
def test_bits_are_mixed_in_one_loop(dtype):
    info, rng = np.iinfo(DTYPES[dtype]), np.random.default_rng(7)
    samples = rng.integers(info.min, info.max, 40, DTYPES[dtype], endpoint=True)
    samples[:4] = info.min, info.max, 0, 1
    b = Builder()
    x = b.input(type_of(samples))
    results = []
    for amount in (0, 1, 5, info.bits - 1):
        left, right = (b.add(f"{way}_shift", (x, amount)) for way in ("left", "right"))
        mixed = b.add("bitwise_xor", (left, b.add("bitwise_and", (right, 77))))
        results += [left, right, b.add("bitwise_or", (mixed, x))]
    program = b.program(results)
    loop, *rest = fuse(program, can_fuse).groups
    assert loop.kind == "loop"
    assert not rest
    assert_agrees(lower, program, [samples])


@pytest.mark.parametrize("dtype", [name for name in sorted(DTYPES) if name[0] in "iu"])
def test_shifts_by_what_is_no_number_of_bits_are_numpys(dtype):
    info, b = np.iinfo(DTYPES[dtype]), Builder()
    samples = np.array([info.min, info.max, 0, 1, 100], DTYPES[dtype])
    by = np.array([info.bits, 0, info.bits - 1, 3, info.max], DTYPES[dtype])
    x, y = b.input(type_of(samples)), b.input(type_of(by))
    amounts = [y, info.bits, 99, *([-1] if dtype[0] == "i" else [])]
    program = b.program([b.add(f"{w}_shift", (x, a)) for w in ("left", "right") for a in amounts])
    assert all(map(can_fuse, program.equations))
    assert_agrees(lower, program, [samples, by])


def test_square_is_a_product():
    assert_all_agree([("power", (x, y), {}) for x in SAMPLES for y in (2, 2.0, np.float32(2), 3)])


def test_operands_of_every_shape():
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (3,), (4, 1), (1, 3), (), (1, 1), (2, 4, 3), (2, 1, 3), (2, 1, 1), (0, 3)]
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    pairs = list(itertools.product(arrays, arrays))
    assert_all_agree([("subtract", pair, {}) for pair in pairs])
    assert_all_agree([("subtract", pair, {}) for pair in pairs], are_computed=True)


def test_where_and_cast():
    conditions = [np.array([True, False] * 5), FLOATS[0], True]
    chosen = [FLOATS[0], FLOATS[1], INTEGERS[0], 1.5, 2]
    cases = [("where", (c, x, y), {}) for c in conditions for x in chosen for y in chosen]
    cases += [("cast", (x,), {"dtype": d}) for x in SAMPLES for d in ("f32", "f64", "bool", "i64")]
    assert_all_agree([*cases, ("cast", (FLOATS[0],), {"dtype": "f16"})])


def test_half_precision_is_numpys():
    x = np.array(EDGES, np.float16)
    assert_all_agree([("add", (x, 1.0), {}), ("exp", (x,), {}), ("multiply", (x, FLOATS[0]), {})])


def _axes(ndim: int) -> list[tuple[int, ...]]:
    return [axes for r in range(ndim + 1) for axes in itertools.combinations(range(ndim), r)]


@pytest.mark.parametrize("are_computed", [False, True])
def test_reductions(are_computed):
    cases = [
        (name, (x,), {"axis": axis, "keepdims": keepdims})
        for name in ("sum", "max", "min", "prod", "any", "all")
        for x in REDUCED
        for axis in _axes(np.ndim(x))
        for keepdims in (False, True)
    ]
    for name in ("argmax", "argmin"):
        cases += [(name, (x,), {"axis": 0, "keepdims": True}) for x in REDUCED[:4]]
    cases += [("cumsum", (x,), {"axis": 0}) for x in REDUCED[:4]]
    assert_all_agree(cases, are_computed)


def test_sums_of_many_numbers():
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((300, 70)) + 3).astype(np.float32)
    axes = [(0,), (1,), (0, 1)]
    assert_all_agree([("sum", (x,), {"axis": axis, "keepdims": False}) for axis in axes])


@pytest.mark.parametrize("are_computed", [False, True])
def test_products(are_computed):
    shapes = [(3,), (2, 3), (3, 2), (3, 0), (0, 3), (1, 3), (3, 1), (4, 2, 3), (4, 3, 2)]
    for dtype in (np.float32, np.float64, np.int64):
        arrays = [np.arange(np.prod(s)).reshape(s).astype(dtype) - 2 for s in shapes]
        pairs = itertools.product(arrays, arrays)
        assert_all_agree([("matmul", pair, {}) for pair in pairs], are_computed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gemm(dtype):
    cases = []
    for m, k, n in [(2, 3, 4), (1, 3, 4), (2, 3, 1), (2, 0, 4), (0, 3, 4)]:
        shapes = ((m, n), (m, k), (k, n))
        c, a, b = (np.arange(np.prod(s)).reshape(s).astype(dtype) - 2 for s in shapes)
        for alpha, beta in ((1.0, 1.0), (-0.5, 0.25), (0.0, 1.0), (2, 0.0), (dtype(3), dtype(2))):
            cases.append(("gemm", (c, a, b, alpha, beta), {}))
            if a.size and c.size:
                bad_c, bad_a = c.copy(), a.copy()
                bad_a[0, 0], bad_c[-1, -1] = np.nan, np.inf
                cases.append(("gemm", (bad_c, bad_a, b, alpha, beta), {}))
    assert_all_agree(cases)


def test_movements_and_creations():
    cases = []
    for x in (CUBE, CUBE.astype(np.int8), np.array(2.5), np.float32(3), 2.5):
        shape, size, ndim = np.shape(x), np.size(x), np.ndim(x)
        cases += [("reshape", (x,), {"shape": to}) for to in ((1, size), (size, 1, 1))]
        cases += [("broadcast_to", (x,), {"shape": to}) for to in (shape, (2, 1, *shape))]
        orders = itertools.permutations(range(ndim))
        cases += [("transpose", (x,), {"axes": axes}) for axes in orders]
    cases += [("concatenate", (CUBE, CUBE.astype(np.float32)), {"axis": 2})]
    for index in (
        (0, (0, 3, 1), (0, 4, 1)),
        (1, 2, 3),
        ((0, 2, 1), 1, (3, 4, -1)),
        ((1, 1, 1), (2, 2, -2), (0, 2, 2)),
        ((0, 0, 1), (0, 3, 1), 0),
    ):
        cases += [("slice", (CUBE,), {"index": index})]
        cases += [("slice_update", (CUBE, 7.0), {"index": index})]
        cases += [("slice_add", (CUBE, CUBE.reshape(-1)[5]), {"index": index})]
    for axes, window in (((0,), (1,)), ((0, 2), (2, 3)), ((2,), (4,))):
        cases += [("windows", (CUBE,), {"axes": axes, "window": window})]
    for shape in ((), (2, 0, 3), (2, 3)):
        cases += [("full", (v,), {"shape": shape, "dtype": "f32"}) for v in (0, 1.5, np.float32(2))]
    cases += [("arange", (), {"start": 5, "stop": 0, "step": -2, "dtype": "i32"})]
    assert_all_agree(cases)
    assert_all_agree(cases, are_computed=True)


@pytest.mark.parametrize("are_computed", [False, True])
def test_one_place_of_each_row_is_read_and_written(are_computed):
    rows = np.arange(5)
    cases = []
    for dtype, index_dtype in ((np.float32, np.int64), (np.float64, np.uint8), (bool, np.int32)):
        x = (np.arange(15).reshape(5, 3) % 4).astype(dtype)
        y = np.array([2, 0, 1, 1, 2]).astype(index_dtype)
        if index_dtype is np.int64:
            y[3] = -3
        value = np.arange(5).astype(dtype)
        cases += [("gather", (x, rows, y), {"axes": (0, 1)}), ("gather", (x, y), {"axes": (0,)})]
        for name in ("gather_update", "scatter_add"):
            for v in (value, 1, 0.5, value[:1]):
                cases.append((name, (x, v, rows, y), {"axes": (0, 1)}))
    assert_all_agree(cases, are_computed)


def test_other_indices_are_numpys():
    i, j = np.array([1, 0, 1, -1]), np.array([2, 2, 0, -3])
    cases = []
    for axes, indices in (((0,), (i,)), ((1,), (j,)), ((0, 2), (i, j)), ((0, 1, 2), (1, j, 3))):
        part = PRIMITIVES["gather"].compute(CUBE, *indices, axes=axes)
        cases.append(("gather", (CUBE, *indices), {"axes": axes}))
        for name in ("gather_update", "scatter_add"):
            cases.append((name, (CUBE, part * 2, *indices), {"axes": axes}))
    assert_all_agree(cases)


@pytest.mark.parametrize("dtype", ["f32", "i64"])
def test_loops_are_those_of_the_evaluator(dtype):
    some = [case for case in scans(dtype) if case[0] == "scan"]
    assert_all_agree(some[::7])
    assert_all_agree(some[3::7], are_computed=True)


def test_every_primitive_is_tested_here():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    tested = {name for name in PRIMITIVES if f'"{name}"' in text}
    assert tested | {p.name for p in ELEMENTWISE} == set(PRIMITIVES)
    assert set(DTYPES) >= {"f16", "f32", "f64"}
