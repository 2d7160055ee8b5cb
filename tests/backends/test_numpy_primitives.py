"""Every primitive, lowered to NumPy code, agrees with the reference evaluator: over dtypes, kinds,
ranks and edge values. The samples are those of the tests of the primitives themselves.

Many equations share a program, so results must not disturb each other either.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from ir.test_primitives import CUBE, ELEMENTWISE, MATMUL_SHAPES, REDUCED, SAMPLES

from miniflow.backends.numpy_backend import lower
from miniflow.ir import DTYPES, PRIMITIVES

from .agreement import assert_agrees, program_of_many


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_all_agree(cases, **options):
    for planned in (False, True):
        program, arguments = program_of_many(cases, as_literals=planned, are_computed=planned)
        assert_agrees(lower, program, arguments, **options)


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 1])
def test_elementwise_of_one_operand(name):
    assert_all_agree([(name, (x,), {}) for x in SAMPLES])


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 2])
def test_elementwise_of_two_operands(name):
    assert_all_agree([(name, pair, {}) for pair in itertools.product(SAMPLES, SAMPLES)])


def test_where():
    conditions = [np.array([True, False, True] * 3), np.array(True), True, np.float64(0.0)]
    chosen = [x for x in SAMPLES if not isinstance(x, np.ndarray) or x.dtype.itemsize > 1]
    cases = [("where", (c, x, y), {}) for c in conditions for x in chosen for y in chosen]
    assert_all_agree(cases)


@pytest.mark.parametrize("dtype", ["f16", "f32", "f64", "i8", "i32", "u16", "i64", "bool"])
def test_where_of_many_elements_is_chosen_bit_by_bit(dtype):
    rng = np.random.default_rng(5)
    x, y = (rng.integers(0, 2, 400).astype(DTYPES[dtype]) for _ in range(2))
    if dtype[0] == "f":
        x[:4], y[2:6] = (np.nan, -0.0, np.inf, -np.inf), (np.inf, -0.0, np.nan, 0.0)
    condition, zero = rng.random(400) < 0.5, DTYPES[dtype].type(0)
    minus = -zero if dtype[0] == "f" else zero
    operands = [(x, y), (x, zero), (zero, y), (x, minus), (minus, y), (x, y[:1]), (x, x)]
    cases = [("where", (condition, *pair), {}) for pair in operands]
    cases += [("where", (condition.reshape(8, 50), x.reshape(8, 50), y[:50]), {})]
    assert_all_agree(cases)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_cast(dtype):
    assert_all_agree([("cast", (x,), {"dtype": dtype}) for x in SAMPLES])


def _axes(ndim: int) -> list[tuple[int, ...]]:
    return [axes for r in range(ndim + 1) for axes in itertools.combinations(range(ndim), r)]


TALL = np.random.default_rng(3).standard_normal((40, 7)).astype(np.float32)
TALL_WITH_NAN = np.where(TALL > 2, np.nan, TALL)
MORE_REDUCED = [*REDUCED, TALL, TALL.astype(np.float64), TALL_WITH_NAN, (TALL * 4).astype(np.int16)]


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
def test_reduction(name):
    assert_all_agree(
        [
            (name, (x,), {"axis": axis, "keepdims": keepdims})
            for x in MORE_REDUCED
            for axis in _axes(np.ndim(x))
            for keepdims in (False, True)
        ]
    )


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduction(name):
    assert_all_agree(
        [
            (name, (x,), {"axis": axis, "keepdims": keepdims})
            for x in MORE_REDUCED
            for axis in range(np.ndim(x))
            for keepdims in (False, True)
        ]
    )


def test_cumsum():
    assert_all_agree(
        [("cumsum", (x,), {"axis": axis}) for x in MORE_REDUCED for axis in range(np.ndim(x))]
    )


def test_matmul_in_every_rank():
    arrays = [np.arange(float(np.prod(shape))).reshape(shape) - 2 for shape in MATMUL_SHAPES]
    assert_all_agree([("matmul", pair, {}) for pair in itertools.product(arrays, arrays)])


def test_matmul_in_every_dtype():
    left = [np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES.values()]
    right = [np.arange(12).reshape(3, 4).astype(dtype) for dtype in DTYPES.values()]
    assert_all_agree([("matmul", pair, {}) for pair in itertools.product(left, right)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gemm(dtype):
    cases = []
    for m, k, n in [(2, 3, 4), (1, 3, 4), (2, 3, 1), (2, 0, 4), (0, 3, 4), (1, 1, 1)]:
        c, a, b = (
            np.arange(np.prod(s)).reshape(s).astype(dtype) - 2 for s in ((m, n), (m, k), (k, n))
        )
        for alpha, beta in itertools.product((1.0, -0.5, 0.0, 2), (1.0, 0.25, 0.0)):
            cases.append(("gemm", (c, a, b, alpha, beta), {}))
        cases.append(("gemm", (c, a, b, dtype(-0.5), dtype(2)), {}))
        if a.size and c.size:
            a, c = a.copy(), c.copy()
            a[0, 0], c[-1, -1] = np.nan, np.inf
            cases += [("gemm", (c, a, b, x, y), {}) for x in (0.0, 1.0) for y in (0.0, 1.0)]
    assert_all_agree(cases, signed_zeros=False)  # BLAS adds up in an order of its own


def test_movements():
    cases = []
    for x in (
        CUBE,
        CUBE.astype(np.int8)[:, ::2].copy(),
        np.array(2.5),
        np.float32(3),
        2,
        2.5,
        True,
    ):
        shape, size, ndim = np.shape(x), np.size(x), np.ndim(x)
        for to in ((1, size), (size,), (size, 1, 1)):
            cases.append(("reshape", (x,), {"shape": to}))
        for to in (shape, (2, *shape), (2, 1, *shape)):
            cases.append(("broadcast_to", (x,), {"shape": to}))
        cases += [
            ("transpose", (x,), {"axes": axes}) for axes in itertools.permutations(range(ndim))
        ]
    for x in (CUBE, CUBE.astype(np.uint8), CUBE[:, :0].copy()):
        for axes, window in (((0,), (1,)), ((0, 2), (2, 3)), ((2,), (4,))):
            cases.append(("windows", (x,), {"axes": axes, "window": window}))
    parts = [CUBE, CUBE[:1].astype(np.float32), np.zeros((0, 3, 4), np.int8)]
    cases += [
        ("concatenate", tuple(parts), {"axis": 0}),
        ("concatenate", (CUBE, CUBE), {"axis": 2}),
    ]
    pairs = itertools.product(DTYPES.values(), DTYPES.values())
    cases += [("concatenate", (np.ones(2, a), np.ones(1, b)), {"axis": 0}) for a, b in pairs]
    assert_all_agree(cases)


def test_creations():
    cases = []
    for dtype in DTYPES:
        for value in (0, 1.5, np.float32(2), np.array(3)):
            cases += [
                ("full", (value,), {"shape": s, "dtype": dtype}) for s in ((), (2, 0, 3), (2, 3))
            ]
        for start, stop, step in ((0, 5, 1), (5, 0, -2), (3, 3, 1), (0, -4, 1), (1, 10, 4)):
            cases.append(
                ("arange", (), {"start": start, "stop": stop, "step": step, "dtype": dtype})
            )
    assert_all_agree(cases)


SLICES = [
    (0, (0, 3, 1), (0, 4, 1)),
    (1, 2, 3),
    ((0, 2, 1), 1, (3, 4, -1)),
    ((1, 1, 1), (2, 2, -2), (0, 2, 2)),
    ((0, 0, 1), (0, 3, 1), 0),
    ((1, 1, 1), (0, 3, 1), (0, 4, 1)),
]


def test_slices():
    cases = [("slice", (x,), {"index": i}) for i in SLICES for x in (CUBE, CUBE.astype(np.uint8))]
    cases += [("slice", (x,), {"index": ()}) for x in (np.array(2.5), np.float32(2))]
    for index in SLICES:
        place = np.shape(PRIMITIVES["slice"].compute(CUBE, index=index))
        values = [
            7,
            1.5,
            np.float32(3),
            np.array(-0.0),
            np.ones(place) * 5,
            np.ones((1, 1, *place)),
        ]
        cases += [("slice_update", (CUBE, value), {"index": index}) for value in values]
        cases.append(
            ("slice_update", (CUBE.astype(np.int8), np.full(place, 2.7)), {"index": index})
        )
        cases += [("slice_add", (CUBE, value), {"index": index}) for value in values[:-1]]
        cases.append(
            ("slice_add", (CUBE.astype(np.int8), np.ones(place, np.int8)), {"index": index})
        )
    assert_all_agree(cases)


ROWS, COLUMNS = np.array([1, 0, 1, -1]), np.array([2, 2, 0, -3])
INDICES = [
    ((0,), (ROWS,)),
    ((1,), (COLUMNS.astype(np.int32),)),
    ((2,), (np.array([[0, 3], [3, -4]]),)),
    ((0, 1), (ROWS, COLUMNS)),
    ((0, 2), (ROWS, np.uint8([1, 1, 3, 0]))),
    ((0, 1, 2), (ROWS, COLUMNS, np.array([3, 3, 0, 1]))),
    ((0, 1, 2), (ROWS[:, None], COLUMNS, np.array(3))),
    ((0, 1, 2), (1, 2, 3)),
    ((0,), (np.int64(-1),)),
    ((1, 2), (COLUMNS, 0)),
    ((0,), (np.zeros((0,), np.int64),)),
    ((1, 2), (np.arange(3), np.array([[0, 3, 1], [0, 3, -3]]))),
    ((2,), (np.array(3),)),
]


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8", "bool"])
def test_gathers_and_scatters(dtype):
    x = CUBE.astype(DTYPES[dtype])
    vector, cases = np.arange(5.0).astype(DTYPES[dtype]), []
    for axes, indices in INDICES:
        part = np.asarray(PRIMITIVES["gather"].compute(x, *indices, axes=axes))
        some = part[..., :1] if part.ndim else part
        values = [part, part.astype(np.float32), some, np.array(2), 1, 0.5, np.float32(2)]
        cases.append(("gather", (x, *indices), {"axes": axes}))
        for name in ("gather_update", "scatter_add"):
            cases += [(name, (x, value, *indices), {"axes": axes}) for value in values]
    at = np.array([4, -1, 0, 0])
    for name in ("gather_update", "scatter_add"):
        cases.append((name, (vector, np.arange(4).astype(DTYPES[dtype]), at), {"axes": (0,)}))
    cases.append(("gather", (vector, at), {"axes": (0,)}))
    assert_all_agree(cases)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint64])
def test_many_indices(dtype):
    rng = np.random.default_rng(11)
    x = rng.standard_normal((50, 7, 40)).astype(np.float32)
    rows, i, j, k = np.arange(50), *(rng.integers(0, n, 1500).astype(dtype) for n in x.shape)
    places = [
        ((0, 1, 2), (i, j, k)),
        ((0, 2), (i, k)),
        ((0,), (i,)),
        ((1,), (j,)),
        ((0, 1), (i, j)),
    ]
    places += [((0, 1), (rows, j[:50])), ((0, 1, 2), (rows, j[:50], k[:50]))]
    cases = []
    for axes, indices in places:
        part = PRIMITIVES["gather"].compute(x, *indices, axes=axes)
        cases.append(("gather", (x, *indices), {"axes": axes}))
        cases.append(("gather_update", (x, part * 2, *indices), {"axes": axes}))
        # Whole numbers: the order in which they are added up does not matter.
        whole = np.arange(part.size, dtype=np.float32).reshape(part.shape) % 8
        cases.append(("scatter_add", (np.zeros_like(x), whole, *indices), {"axes": axes}))
    assert_all_agree(cases)


def test_every_primitive_is_tested_here():
    tested = {name for name in PRIMITIVES if f'"{name}"' in Path(__file__).read_text()}
    assert tested | {p.name for p in ELEMENTWISE} == set(PRIMITIVES)
