"""Each primitive means what NumPy means, and `infer` says beforehand which type that gives.

Every combination of some dtypes, kinds and edge values is computed twice: as an equation by
`evaluate`, and by NumPy itself. Where NumPy refuses, `infer` must refuse as well.
"""

from __future__ import annotations

import operator
import random
import warnings
from itertools import product

import numpy as np
import pytest

from miniflow.ir import (
    DTYPES,
    PRIMITIVES,
    Builder,
    Literal,
    ProgramError,
    check,
    evaluate,
    infer,
    type_of,
)

EDGES = [0.0, -0.0, 1.0, -2.5, 1e4, -1e4, np.inf, -np.inf, np.nan]
PYTHON = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "power": operator.pow,
    "negative": operator.neg,
    "absolute": abs,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": operator.eq,
    "not_equal": operator.ne,
}
ELEMENTWISE = [p for p in PRIMITIVES.values() if p.category == "elementwise" and not p.params]


def array_of(dtype: str) -> np.ndarray:
    """Return edge values of a dtype."""
    if dtype[0] == "f":
        return np.array(EDGES, DTYPES[dtype])
    if dtype == "bool":
        return np.array([True, False] * 4 + [True])
    info = np.iinfo(DTYPES[dtype])
    return np.array([0, 1, 2, 3, 7, 9, 100, info.min, info.max], DTYPES[dtype])


def samples() -> list[object]:
    """Return arrays, scalars and Python numbers to combine."""
    dtypes = ("bool", "i8", "i64", "u8", "u64", "f16", "f32", "f64")
    arrays = [array_of(dtype) for dtype in dtypes]
    more = [np.zeros((0, 9), np.float32), np.array(2.5), np.ones((3, 1), np.int32)]
    scalars = [np.float32(-1.5), np.float64(np.nan), np.int16(3), np.bool_(True), np.uint8(200)]
    return [*arrays, *more, *scalars, 3, -2, 0, 300, 0.5, -0.0, float("inf"), float("nan"), True]


SAMPLES = samples()


def compute(name: str, operands: tuple, **params: object) -> object:
    """Return the value of one equation whose operands are inputs, having checked its type."""
    b = Builder()
    read = [b.input(type_of(value)) for value in operands]
    result = b.add(name, read, params)
    program = b.program([result])
    check(program)
    (value,) = evaluate(program, operands)
    assert type_of(value) == result.type
    return value


def assert_same(ours: object, theirs: object) -> None:
    """Assert the same type and the same bits, all NaNs being alike."""
    assert type(ours) is type(theirs)
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs, strict=True)
    if ours.dtype.kind == "f":
        number = ~np.isnan(ours)
        np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(theirs)[number])


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 1])
def test_elementwise_of_one_operand_is_numpys(name):
    for x in SAMPLES:
        _compare_elementwise(name, (x,))


@pytest.mark.parametrize("name", [p.name for p in ELEMENTWISE if p.arity == 2])
def test_elementwise_of_two_operands_is_numpys(name):
    for operands in product(SAMPLES, SAMPLES):
        _compare_elementwise(name, operands)


def _compare_elementwise(name: str, operands: tuple) -> None:
    """Operands are literals where they are numbers, so that NumPy may look at them."""
    python = name in PYTHON and all(type(x) in (bool, int, float) for x in operands)
    function = PYTHON[name] if python else getattr(np, name)
    b = Builder()
    read = [b.input(type_of(x)) if isinstance(x, np.ndarray) else Literal(x) for x in operands]
    arrays = [x for x in operands if isinstance(x, np.ndarray)]
    try:
        theirs = function(*operands)
    except ZeroDivisionError:
        program = b.program([b.add(name, read)])
        with pytest.raises(ProgramError) as caught:
            evaluate(program, arrays)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        return
    except Exception as error:
        if isinstance(error, OverflowError) and python:
            return
        if isinstance(error, ValueError) and "negative integer powers" in str(error):
            return  # depends on the values: not a matter of types
        with pytest.raises(ProgramError, match=name):
            b.add(name, read)
        return
    result = b.add(name, read)
    if isinstance(theirs, complex):
        with pytest.raises(ProgramError, match="complex"):
            evaluate(b.program([result]), arrays)
        return
    (ours,) = evaluate(b.program([result]), arrays)
    assert type_of(ours) == result.type
    assert_same(ours, theirs)


def test_python_numbers_as_inputs_stay_python_numbers():
    assert type(compute("multiply", (3, 4))) is int
    assert type(compute("multiply", (3, 4.0))) is float
    assert type(compute("divide", (3, 4))) is float
    assert type(compute("add", (True, True))) is int
    assert type(compute("less", (3, 4))) is bool
    assert type(compute("exp", (3,))) is np.float64


def test_python_numbers_are_weak():
    x = np.ones(2, np.float32)
    assert compute("multiply", (x, 4.0)).dtype == np.float32
    assert compute("multiply", (x, np.float64(4.0))).dtype == np.float64
    assert compute("add", (np.ones(2, np.int8), 1)).dtype == np.int8
    assert compute("add", (np.ones(2, np.int8), 1.0)).dtype == np.float64


def test_power_of_python_ints_depends_on_the_sign_of_a_literal_exponent():
    assert infer("power", (Literal(2), Literal(3)), {}) == type_of(8)
    assert infer("power", (Literal(2), Literal(-3)), {}) == type_of(0.125)
    with pytest.raises(ProgramError, match="depends on the sign"):
        compute("power", (2, 3))


def test_integer_literals_are_judged_by_their_value():
    x = np.ones(2, np.uint8)
    with pytest.raises(ProgramError, match="300"):
        infer("add", (Literal(np.uint8(1)), Literal(300)), {})
    b = Builder()
    with pytest.raises(ProgramError, match="add"):
        b.add("add", (b.input(type_of(x)), -1))


def test_where_is_numpys():
    conditions = [np.array([True, False, True] * 3), np.array(True), True, np.float64(0.0)]
    for condition, x, y in product(conditions, SAMPLES, SAMPLES):
        try:
            theirs = np.where(condition, x, y)
        except (OverflowError, ValueError):
            continue
        if theirs.dtype == object:
            continue
        b = Builder()
        operands = (condition, x, y)
        read = [b.input(type_of(v)) if isinstance(v, np.ndarray) else Literal(v) for v in operands]
        result = b.add("where", read)
        (ours,) = evaluate(b.program([result]), [v for v in operands if isinstance(v, np.ndarray)])
        assert type_of(ours) == result.type
        assert_same(ours, theirs)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_cast_is_numpys(dtype):
    for x in SAMPLES:
        if isinstance(x, np.ndarray):
            assert_same(compute("cast", (x,), dtype=dtype), x.astype(DTYPES[dtype]))
            continue
        try:
            theirs = DTYPES[dtype].type(x)
        except (OverflowError, ValueError):
            with pytest.raises(ProgramError):
                compute("cast", (x,), dtype=dtype)
            continue
        assert_same(compute("cast", (x,), dtype=dtype), theirs)


CUBE = np.arange(24.0).reshape(2, 3, 4) - 7
REDUCED = [CUBE, CUBE.astype(np.float32), CUBE.astype(np.int8), CUBE > 0, CUBE.astype(np.uint16)]
REDUCED += [np.array([[1.0, np.nan, np.inf]] * 2), np.full((2, 2), -0.0), np.zeros((0, 3), "f4")]
REDUCED += [np.array(3.5), np.float32(2), 3, 2.5, True, np.zeros((0,), np.int16)]


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduction_is_numpys(name, keepdims):
    for x in REDUCED:
        ndim = np.ndim(x)
        axes = [(), tuple(range(ndim)), *((a,) for a in range(ndim))] + [(0, 2)] * (ndim == 3)
        for axis in axes:
            try:
                theirs = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            except ValueError:
                with pytest.raises(ProgramError, match="length zero"):
                    compute(name, (x,), axis=axis, keepdims=keepdims)
                continue
            assert_same(compute(name, (x,), axis=axis, keepdims=keepdims), theirs)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_arg_reduction_is_numpys(name, keepdims):
    for x in REDUCED:
        for axis in range(np.ndim(x)):
            try:
                theirs = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            except ValueError:
                with pytest.raises(ProgramError, match="length zero"):
                    compute(name, (x,), axis=axis, keepdims=keepdims)
                continue
            assert_same(compute(name, (x,), axis=axis, keepdims=keepdims), theirs)


def test_cumsum_is_numpys():
    for x in REDUCED:
        for axis in range(np.ndim(x)):
            assert_same(compute("cumsum", (x,), axis=axis), np.cumsum(x, axis=axis))


MATMUL_SHAPES = [(), (3,), (2,), (0,), (2, 3), (3, 2), (3, 0), (4, 2, 3), (4, 3, 2), (5, 1, 3, 2)]


@pytest.mark.parametrize("a", MATMUL_SHAPES, ids=str)
def test_matmul_is_numpys_in_every_rank(a):
    seed = random.randrange(2**31)
    print(f"seed {seed}")  # of the pairing of dtypes for each pair of ranks
    draw = random.Random(seed)
    for b in MATMUL_SHAPES:
        first, second = draw.choices(list(DTYPES.values()), k=2)
        print(b, first, second)
        x = np.full(a, 1.5).astype(first)
        y = np.arange(float(np.prod(b))).reshape(b).astype(second)
        try:
            theirs = np.matmul(x, y)
        except ValueError:
            with pytest.raises(ProgramError, match="matmul"):
                compute("matmul", (x, y))
        else:
            assert_same(compute("matmul", (x, y)), theirs)


def test_matmul_promotes_as_numpy_does():
    for a, b in product(DTYPES.values(), repeat=2):
        x, y = np.ones((2, 3), a), np.ones((3, 2), b)
        assert_same(compute("matmul", (x, y)), np.matmul(x, y))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("m", "k", "n"), [(2, 3, 4), (1, 1, 1), (2, 0, 4), (0, 3, 4)])
def test_gemm_scales_and_adds_a_product(dtype, m, k, n):
    c, a, b = (
        np.random.default_rng(0).normal(size=s).astype(dtype) for s in ((m, n), (m, k), (k, n))
    )
    for alpha, beta in ((2, -1.5), (np.dtype(dtype).type(0.5), True), (np.float16(3), np.int8(2))):
        theirs = c * beta + np.matmul(a, b) * alpha
        assert theirs.dtype == dtype
        assert_same(compute("gemm", (c, a, b, alpha, beta)), theirs)


def test_gemm_keeps_nan_of_what_it_scales_by_zero():
    c, a, b = np.full((1, 1), np.nan), np.ones((1, 2)), np.ones((2, 1))
    assert np.isnan(compute("gemm", (c, a, b, 1.0, 0.0))).all()


def test_gemm_takes_matrices_of_one_dtype_and_numbers_that_do_not_widen_it():
    f32, f64 = np.ones((2, 2), np.float32), np.ones((2, 2))
    wrong = [
        (f64, f32, f32, 1.0, 1.0),
        (f32, f64, f32, 1.0, 1.0),
        (f64.astype(int), f64.astype(int), f64.astype(int), 1, 1),
        (f32.astype("f2"), f32.astype("f2"), f32.astype("f2"), 1, 1),
        (f32[0], f32, f32, 1.0, 1.0),
        (f32[:1], f32, f32, 1.0, 1.0),
        (f32[0], f32[0], f32, 1.0, 1.0),
        (f32[None], f32[None], f32, 1.0, 1.0),
        (f32, f32, f32[:1], 1.0, 1.0),
        (f32, f32, f32, np.float64(1), 1.0),
        (f32, f32, f32, 1.0, np.int64(1)),
        (f32, f32, f32, np.array(1.0, "f4"), 1.0),
    ]
    for operands in wrong:
        with pytest.raises(ProgramError, match="gemm"):
            compute("gemm", operands)


def test_movements_are_numpys():
    for x in (CUBE, CUBE.astype(np.int8)[:, ::2], np.float32(3), 2, 2.5):
        x_array = np.asarray(x)
        size, ndim = x_array.size, x_array.ndim
        assert_same(compute("reshape", (x,), shape=(1, size)), x_array.reshape(1, size))
        to = (2, *x_array.shape)
        assert_same(compute("broadcast_to", (x,), shape=to), np.broadcast_to(x_array, to))
        axes = tuple(range(1, ndim)) + (0,) * (ndim > 0)
        assert_same(compute("transpose", (x,), axes=axes), x_array.transpose(axes))
    assert compute("reshape", (np.float64(2),), shape=()).shape == ()


def test_windows_are_numpys():
    view = np.lib.stride_tricks.sliding_window_view
    for x in (CUBE, CUBE.astype(np.int8)[:, ::-2], CUBE[:, :0]):
        for axes, window in (((0,), (1,)), ((0, 2), (2, 3)), ((2,), (4,))):
            seen = compute("windows", (x,), axes=axes, window=window)
            assert_same(seen, view(x, window, axes))


def test_concatenate_is_numpys():
    parts = [CUBE, CUBE[:1].astype(np.float32), np.zeros((0, 3, 4), np.int8)]
    assert_same(compute("concatenate", parts, axis=0), np.concatenate(parts, axis=0))
    for a, b in product(DTYPES, DTYPES):
        pair = [np.ones(2, DTYPES[a]), np.ones(1, DTYPES[b])]
        assert_same(compute("concatenate", pair, axis=0), np.concatenate(pair))
    for bad, axis in (([CUBE, CUBE[0]], 0), ([CUBE, CUBE[:1]], 1), ([np.float64(1)], 0)):
        with pytest.raises(ProgramError, match="concatenate"):
            compute("concatenate", bad, axis=axis)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_creations_are_numpys(dtype):
    for value in (0, 1.5, np.float32(2), np.array(3)):
        theirs = np.full((2, 0, 3), value, DTYPES[dtype])
        assert_same(compute("full", (value,), shape=(2, 0, 3), dtype=dtype), theirs)
    for start, stop, step in ((0, 5, 1), (5, 0, -2), (3, 3, 1), (0, -4, 1), (1, 10, 4)):
        params = {"start": start, "stop": stop, "step": step, "dtype": dtype}
        if dtype == "bool":
            with pytest.raises(ProgramError, match="arange"):
                compute("arange", (), **params)
        else:
            theirs = np.arange(start, stop, step, dtype=DTYPES[dtype])
            assert_same(compute("arange", (), **params), theirs)


def test_every_primitive_has_a_category_and_a_name_of_its_own():
    categories = {"elementwise", "reduction", "matmul", "movement", "indexing", "creation", "loop"}
    assert {p.category for p in PRIMITIVES.values()} == categories
    assert all(name == p.name for name, p in PRIMITIVES.items())


def test_dtypes_that_the_ir_lacks_are_refused():
    for value in (1j, np.complex64(1), np.array(["a"]), np.array([None]), "text", None, [1.0]):
        with pytest.raises(ProgramError):
            type_of(value)
