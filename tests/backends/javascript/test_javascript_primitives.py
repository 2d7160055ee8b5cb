"""Every primitive, written as JavaScript, agrees with the reference evaluator: over dtypes, kinds,
ranks and edge values. The samples are those of the tests of the primitives themselves.

Many equations share a program, so results must not disturb each other either.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from ir.test_primitives import CUBE, ELEMENTWISE, MATMUL_SHAPES, SAMPLES

from miniflow.ir import DTYPES, PRIMITIVES, Builder, Literal, type_of

from ..agreement import program_of_many
from ..test_numpy_primitives import INDICES, MORE_REDUCED, SLICES
from .engine import Job, assert_agrees, assert_all_agree, needs_engine

pytestmark = needs_engine


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_cases_agree(cases, as_literals=(False, True), **options):
    """All as they are; some with numbers written out, and results that are read again."""
    jobs = []
    for planned in as_literals:
        some = cases[::3] if planned and len(cases) > 100 else cases
        program, arguments = program_of_many(some, as_literals=planned, are_computed=planned)
        jobs.append(Job(program, [arguments]))
    assert_all_agree(jobs, **options)


# Which zero a maximum of 0.0 and -0.0 is depends on NumPy and the processor.
UNSIGNED = ("maximum", "minimum", "max", "min")


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 1])
def test_elementwise_of_one_operand(name):
    assert_cases_agree([(name, (x,), {}) for x in SAMPLES])


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 2])
def test_elementwise_of_two_operands(name):
    pairs = itertools.product(SAMPLES, SAMPLES)
    if name == "power":  # for one exponent of 0.5 NumPy takes the square root: see below
        pairs = [(x, y) for x, y in pairs if not (type(y) is float and y == 0.5)]
    cases = [(name, pair, {}) for pair in pairs]
    assert_cases_agree(cases, signed_zeros=name not in UNSIGNED)


def test_power_of_a_half_that_is_written_out_is_a_square_root():
    assert_cases_agree([("power", (x, 0.5), {}) for x in SAMPLES], as_literals=[True])


def test_where():
    conditions = [np.array([True, False, True] * 3), np.array(True), True, np.float64(0.0)]
    chosen = [x for x in SAMPLES if not isinstance(x, np.ndarray) or x.dtype.itemsize > 1][::2]
    cases = [("where", (c, x, y), {}) for c in conditions for x in chosen for y in chosen]
    assert_cases_agree(cases)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_cast(dtype):
    samples = SAMPLES
    if dtype == "u32":  # NumPy's casts of NaN and infinity differ between processors
        samples = [x for x in samples if np.all(np.isfinite(x))]
        samples += [np.array([0.0, -2.5, 3e9]).astype(d) for d in ("f4", "f8")]
    assert_cases_agree([("cast", (x,), {"dtype": dtype}) for x in samples])


def _axes(ndim: int) -> list[tuple[int, ...]]:
    return [axes for r in range(ndim + 1) for axes in itertools.combinations(range(ndim), r)]


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
def test_reduction(name):
    cases = [
        (name, (x,), {"axis": axis, "keepdims": keepdims})
        for x in MORE_REDUCED
        for axis in _axes(np.ndim(x))
        for keepdims in (False, True)
    ]
    assert_cases_agree(cases, signed_zeros=name not in UNSIGNED)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduction(name):
    assert_cases_agree(
        [
            (name, (x,), {"axis": axis, "keepdims": keepdims})
            for x in MORE_REDUCED
            for axis in range(np.ndim(x))
            for keepdims in (False, True)
        ]
    )


def test_cumsum():
    assert_cases_agree(
        [("cumsum", (x,), {"axis": axis}) for x in MORE_REDUCED for axis in range(np.ndim(x))]
    )


def test_matmul_in_every_rank():
    arrays = [np.arange(float(np.prod(shape))).reshape(shape) - 2 for shape in MATMUL_SHAPES]
    assert_cases_agree([("matmul", pair, {}) for pair in itertools.product(arrays, arrays)])


def test_matmul_in_every_dtype():
    left = [np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES.values()]
    right = [np.arange(12).reshape(3, 4).astype(dtype) for dtype in DTYPES.values()]
    assert_cases_agree([("matmul", pair, {}) for pair in itertools.product(left, right)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matmul_in_every_size_and_transposed(dtype):
    rng = np.random.default_rng(4)
    b, arguments, outputs = Builder(), [], []
    for m, k, n in [(1, 7, 9), (2, 5, 4), (3, 1, 5), (5, 9, 3), (7, 64, 11), (33, 40, 50)]:
        for transposed_a, transposed_b in itertools.product((False, True), repeat=2):
            factors = []
            for shape, is_transposed in (((m, k), transposed_a), ((k, n), transposed_b)):
                shape = shape[::-1] if is_transposed else shape
                arguments.append(rng.integers(-9, 9, shape).astype(dtype))  # exact in any order
                x = b.input(type_of(arguments[-1]))
                factors.append(b.add("transpose", (x,), {"axes": (1, 0)}) if is_transposed else x)
            outputs.append(b.add("matmul", factors))
    assert_agrees(b.program(outputs), arguments)


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
    assert_cases_agree(cases)


def test_gemm_of_what_is_not_in_memory():
    b = Builder()
    half = b.add("full", (Literal(0.5),), {"shape": (3, 3), "dtype": "f64"})
    x = b.input(type_of(CUBE[0]))
    part = b.add("slice", (x,), {"index": ((2, 3, -1), (0, 3, 1))})
    turned = b.add("transpose", (part,), {"axes": (1, 0)})
    outputs = [b.add("gemm", (part, left, half, 2.0, 1.0)) for left in (half, part, turned)]
    outputs += [b.add("matmul", pair) for pair in ((turned, half), (half, turned))]
    assert_agrees(b.program(outputs), [CUBE[0]])


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
    parts = [CUBE, CUBE[:1].astype(np.float32), np.zeros((0, 3, 4), np.int8)]
    cases += [
        ("concatenate", tuple(parts), {"axis": 0}),
        ("concatenate", (CUBE, CUBE), {"axis": 2}),
    ]
    pairs = itertools.product(DTYPES.values(), DTYPES.values())
    cases += [("concatenate", (np.ones(2, a), np.ones(1, b)), {"axis": 0}) for a, b in pairs]
    assert_cases_agree(cases)


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
    assert_cases_agree(cases)


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
        cases += [("slice_add", (CUBE, value), {"index": index}) for value in values[:-1]]
        cases.append(
            ("slice_update", (CUBE.astype(np.int8), np.full(place, 2.7)), {"index": index})
        )
        for dtype in (np.int8, np.int64, bool, np.float16, np.float32):
            part = np.ones(place, dtype)
            cases.append(("slice_add", (CUBE.astype(dtype), part), {"index": index}))
    for x in (CUBE, CUBE.astype(np.uint8), CUBE[:, :0].copy()):
        for axes, window in (((0,), (1,)), ((0, 2), (2, 3)), ((2,), (4,))):
            cases.append(("windows", (x,), {"axes": axes, "window": window}))
    assert_cases_agree(cases)


@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "i8", "i64", "bool"])
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
    assert_cases_agree(cases)


def test_every_primitive_is_tested_here():
    tested = {name for name in PRIMITIVES if f'"{name}"' in Path(__file__).read_text()}
    assert tested | {p.name for p in ELEMENTWISE} == set(PRIMITIVES)
