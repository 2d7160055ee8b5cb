"""Every primitive, lowered to NumPy code, agrees with the reference evaluator: over dtypes, kinds,
ranks and edge values (`cases`).

Many equations share a program, so results must not disturb each other either.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from ir.test_primitives import SAMPLES

from miniflow.backends.numpy import lower
from miniflow.ir import DTYPES, PRIMITIVES, Builder, ProgramError, ValueType, type_of

from . import cases
from .agreement import assert_agrees, program_of_many


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_all_agree(some, ways=(False, True), **options):
    for planned in ways:
        program, arguments = program_of_many(some, as_literals=planned, are_computed=planned)
        assert_agrees(lower, program, arguments, **options)


@pytest.mark.parametrize("name", cases.ONE_OPERAND)
def test_elementwise_of_one_operand(name):
    assert_all_agree([(name, (x,), {}) for x in SAMPLES])


@pytest.mark.breadth("planned")
@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("name", cases.TWO_OPERANDS)
def test_elementwise_of_two_operands(name, planned):
    pairs = itertools.product(SAMPLES, SAMPLES)
    assert_all_agree([(name, pair, {}) for pair in pairs], [planned])


@pytest.mark.slow
def test_where():
    assert_all_agree(cases.where())


@pytest.mark.parametrize("dtype", ["f16", "f32", "f64", "i8", "i32", "u16", "i64", "bool"])
def test_where_of_many_elements_is_chosen_bit_by_bit(dtype):
    rng = np.random.default_rng(5)
    x, y = (rng.integers(0, 2, 400).astype(DTYPES[dtype]) for _ in range(2))
    if dtype[0] == "f":
        x[:4], y[2:6] = (np.nan, -0.0, np.inf, -np.inf), (np.inf, -0.0, np.nan, 0.0)
    condition, zero = rng.random(400) < 0.5, DTYPES[dtype].type(0)
    minus = -zero if dtype[0] == "f" else zero
    operands = [(x, y), (x, zero), (zero, y), (x, minus), (minus, y), (x, y[:1]), (x, x)]
    some = [("where", (condition, *pair), {}) for pair in operands]
    some += [("where", (condition.reshape(8, 50), x.reshape(8, 50), y[:50]), {})]
    assert_all_agree(some)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_cast(dtype):
    assert_all_agree(cases.cast(dtype))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
def test_reduction(name):
    assert_all_agree(cases.reductions(name))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduction(name):
    assert_all_agree(cases.arg_reductions(name))


def test_cumsum():
    assert_all_agree(cases.cumsum())


def test_matmul_in_every_rank():
    assert_all_agree(cases.matmul_in_every_rank())


def test_matmul_in_every_dtype():
    assert_all_agree(cases.matmul_in_every_dtype())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gemm(dtype):
    assert_all_agree(cases.gemm(dtype), signed_zeros=False)  # BLAS adds up in an order of its own


def test_movements():
    assert_all_agree(cases.movements())


def test_creations():
    assert_all_agree(cases.creations())


def test_slices():
    assert_all_agree(cases.slices())


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8", "bool"])
def test_gathers_and_scatters(dtype):
    assert_all_agree(cases.gathers_and_scatters(dtype))


@pytest.mark.breadth("dtype")
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
    some = []
    for axes, indices in places:
        part = PRIMITIVES["gather"].compute(x, *indices, axes=axes)
        some.append(("gather", (x, *indices), {"axes": axes}))
        some.append(("gather_update", (x, part * 2, *indices), {"axes": axes}))
        # Whole numbers: the order in which they are added up does not matter.
        whole = np.arange(part.size, dtype=np.float32).reshape(part.shape) % 8
        some.append(("scatter_add", (np.zeros_like(x), whole, *indices), {"axes": axes}))
    assert_all_agree(some)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_one_entry_of_each_row_is_added_to_as_numpy_does(dtype):
    x, rows = np.ones((4, 3), DTYPES[dtype]), {"start": 0, "stop": 4, "step": 1, "dtype": "i64"}
    b = Builder()
    table, at = b.input(type_of(x)), b.input(ValueType("i64", (4,)))
    counts = b.add("arange", (), rows)
    values = (1, 300, True, 0.5, np.float64(2.5), np.int64(-3), np.bool_(True))
    sums = []
    for value in values:
        try:
            sums.append(b.add("scatter_add", (table, value, counts, at), {"axes": (0, 1)}))
        except ProgramError:
            continue
    assert_agrees(lower, b.program(sums), [x, np.array([0, 2, -1, 1])])


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8", "i64", "bool"])
def test_scans(dtype):
    assert_all_agree(cases.scans(dtype))


def test_every_primitive_is_tested_here():
    assert cases.primitives_tested_in(__file__) == set(PRIMITIVES)
