"""Every primitive, written as JavaScript, agrees with the reference evaluator: over dtypes, kinds,
ranks and edge values (`cases`).

Many equations share a program, so results must not disturb each other either.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from ir.test_primitives import CUBE, SAMPLES

from miniflow.ir import DTYPES, PRIMITIVES, Builder, Literal, ValueType, evaluate, type_of

from .. import cases
from ..agreement import program_of_many
from .engine import Job, assert_agrees, assert_all_agree, needs_engine, run

pytestmark = needs_engine


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_cases_agree(given, as_literals=(False, True), **options):
    """All as they are; some with numbers written out, and results that are read again."""
    jobs = []
    for planned in as_literals:
        some = given[::3] if planned and len(given) > 100 else given
        program, arguments = program_of_many(some, as_literals=planned, are_computed=planned)
        jobs.append(Job(program, [arguments]))
    assert_all_agree(jobs, **options)


# Which zero a maximum of 0.0 and -0.0 is depends on NumPy and the processor.
UNSIGNED = ("maximum", "minimum", "max", "min")


@pytest.mark.parametrize("name", cases.ONE_OPERAND)
def test_elementwise_of_one_operand(name):
    assert_cases_agree([(name, (x,), {}) for x in SAMPLES])


@pytest.mark.parametrize("name", cases.TWO_OPERANDS)
def test_elementwise_of_two_operands(name):
    pairs = itertools.product(SAMPLES, SAMPLES)
    if name == "power":  # for one exponent of 0.5 NumPy takes the square root: see below
        pairs = [(x, y) for x, y in pairs if not (type(y) is float and y == 0.5)]
    some = [(name, pair, {}) for pair in pairs]
    assert_cases_agree(some, signed_zeros=name not in UNSIGNED)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_operations_in_operations_are_computed_as_they_stand(dtype):
    """A product x * (y / z) is not x * y / z, to the bit, nor at the ends of the dtype."""
    names = ("add", "subtract", "multiply", "divide")
    b = Builder()
    x, y, z = (b.input(ValueType(dtype, (40,))) for _ in range(3))
    pairs = list(itertools.product(names, names))
    outputs = [b.add(outer, (x, b.add(inner, (y, z)))) for outer, inner in pairs]
    outputs += [b.add(outer, (b.add(inner, (x, y)), z)) for outer, inner in pairs]
    program = b.program(outputs)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.3, 3.0, 40).astype(DTYPES[dtype]) for _ in range(3)]
    large = np.finfo(DTYPES[dtype]).max / 2
    arguments = [np.concatenate([a[:30], large * a[30:] / 3]) for a in arrays]
    ((told,),) = run([Job(program, [arguments])])
    for ours, theirs in zip(told.results, evaluate(program, arguments), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_power_of_a_half_that_is_written_out_is_a_square_root():
    assert_cases_agree([("power", (x, 0.5), {}) for x in SAMPLES], as_literals=[True])


def test_where():
    assert_cases_agree(cases.where(step=2))


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_cast(dtype):
    samples = SAMPLES
    if dtype == "u32":  # NumPy's casts of NaN and infinity differ between processors
        samples = [x for x in samples if np.all(np.isfinite(x))]
        samples += [np.array([0.0, -2.5, 3e9]).astype(d) for d in ("f4", "f8")]
    assert_cases_agree(cases.cast(dtype, samples))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
def test_reduction(name):
    assert_cases_agree(cases.reductions(name), signed_zeros=name not in UNSIGNED)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_reduction(name):
    assert_cases_agree(cases.arg_reductions(name))


def test_cumsum():
    assert_cases_agree(cases.cumsum())


def test_matmul_in_every_rank():
    assert_cases_agree(cases.matmul_in_every_rank())


def test_matmul_in_every_dtype():
    assert_cases_agree(cases.matmul_in_every_dtype())


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
    assert_cases_agree(cases.gemm(dtype))


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
    assert_cases_agree(cases.movements())


def test_creations():
    assert_cases_agree(cases.creations())


def test_slices():
    assert_cases_agree(cases.slices())


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "i8", "i64", "bool"])
def test_gathers_and_scatters(dtype):
    assert_cases_agree(cases.gathers_and_scatters(dtype))


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8", "i64", "bool"])
def test_scans(dtype):
    assert_cases_agree(cases.scans(dtype))


def test_every_primitive_is_tested_here():
    assert cases.primitives_tested_in(__file__) == set(PRIMITIVES)
