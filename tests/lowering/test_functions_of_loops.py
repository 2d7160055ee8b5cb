"""exp, log and their kin, as loops have them, are as good as a library's.

They are tried here as the evaluator runs them, on NumPy's arrays: the error is measured against
NumPy's function in a wider dtype, in units in the last place (ulp).
"""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir.dtypes import DTYPES as ALL
from miniflow.lowering.nest_evaluate import evaluate_function

NAMES = ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "arctan")
ARGUMENTS = {"hypot": 2, "power": 2}  # of the others: 1
WORST = {  # error, in units in the last place
    "exp": 1,
    "expm1": 2,
    "log": 1,
    "log1p": 2,
    "tanh": 3,
    "hypot": 2,
    "sin": 0.8,
    "cos": 0.8,
    "arctan": 1,
    "power": 0.8,
}
DTYPES = {"f32": (np.float32, np.uint32, np.float64), "f64": (np.float64, np.uint64, np.longdouble)}
HAS_WIDER = np.finfo(np.longdouble).nmant > 60


def samples(dtype: str) -> np.ndarray:
    """Numbers of all magnitudes, and many of ordinary ones."""
    float_type, bits, _ = DTYPES[dtype]
    rng = np.random.default_rng(20)
    anything = rng.integers(0, np.iinfo(bits).max, 100_000, dtype=bits).view(float_type)
    ordinary = rng.standard_normal(100_000) * np.exp(rng.uniform(-20, 6, 100_000))
    return np.concatenate([anything, ordinary.astype(float_type), edges(dtype)])


def edges(dtype: str) -> np.ndarray:
    """Numbers where the functions turn: the last that does not overflow, the first that does."""
    info = np.finfo(DTYPES[dtype][0])
    some = [0.0, 1.0, np.inf, np.log(float(info.max)), np.log(float(info.smallest_subnormal)), 0.5]
    some += [float(info.tiny), float(info.smallest_subnormal), float(info.max), 9.01, 19.06, 1e-10]
    near = [np.nextafter(x, to) for x in some for to in (-np.inf, np.inf)]
    both = np.array([*some, *near, np.nan])
    with np.errstate(over="ignore"):
        return np.concatenate([both, -both]).astype(DTYPES[dtype][0])


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def arguments(name: str, dtype: str) -> list[np.ndarray]:
    """Samples for each argument; the second are as large as the first, or of any other size."""
    x = samples(dtype)
    rng = np.random.default_rng(21)
    near = x * rng.uniform(-2, 2, x.size).astype(x.dtype)
    others = np.where(rng.random(x.size) < 0.5, near, rng.permutation(x))
    if name == "power":  # most of them would be far out of range
        small = np.exp(rng.standard_normal(x.size)).astype(x.dtype)
        x = np.where(rng.random(x.size) < 0.7, small, x)
        others = np.where(rng.random(x.size) < 0.7, x.dtype.type(20) * small[::-1], others)
    return [x, others][: ARGUMENTS.get(name, 1)]


@pytest.mark.parametrize("name", [*NAMES, *ARGUMENTS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_error_is_at_most_three_units_in_the_last_place(name, dtype):
    if dtype == "f64" and not HAS_WIDER:
        pytest.skip("this machine has nothing wider than f64 to compare with")
    given = arguments(name, dtype)
    ours = evaluate_function(f"{name}_{dtype}", *given)
    exact = getattr(np, name)(*(x.astype(DTYPES[dtype][2]) for x in given))
    rounded = exact.astype(ours.dtype)
    finite = np.isfinite(rounded) & ((rounded != 0) | (name != "power"))
    unit = np.spacing(np.abs(rounded[finite])).astype(exact.dtype)
    worst = np.max(np.abs(ours[finite].astype(exact.dtype) - exact[finite]) / unit)
    assert worst < WORST[name]


@pytest.mark.parametrize("name", [*NAMES, *ARGUMENTS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_numbers_are_numpys(name, dtype):
    given = arguments(name, dtype)
    ours, theirs = evaluate_function(f"{name}_{dtype}", *given), getattr(np, name)(*given)
    special = ~np.isfinite(theirs) | (theirs == 0) | ~np.isfinite(ours)
    np.testing.assert_array_equal(ours[special], theirs[special])
    number = special & ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours[number]), np.signbit(theirs[number]))
    assert special.sum() > 20


ODD = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, np.inf, -np.inf, np.nan, 1e30, -1e30]


@pytest.mark.parametrize("name", ["power", "floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_numbers_beside_each_other_are_numpys(name, dtype):
    odd = np.array([*ODD, 2.0**23 + 1, -(2.0**52) - 1, 1e-40], DTYPES[dtype][0])
    x, y = (side.ravel() for side in np.meshgrid(odd, odd))
    ours, theirs = evaluate_function(f"{name}_{dtype}", x, y), getattr(np, name)(x, y)
    np.testing.assert_allclose(ours, theirs, rtol=2 * np.finfo(x.dtype).eps)
    number = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours[number]), np.signbit(theirs[number]))


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_divisions_of_floats_are_numpys(name, dtype):
    x = samples(dtype)
    y = np.random.default_rng(22).permutation(x)
    theirs = getattr(np, name)(x, y)
    np.testing.assert_array_equal(evaluate_function(f"{name}_{dtype}", x, y), theirs)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", [d for d in sorted(ALL) if d[0] in "iu"])
def test_divisions_of_integers_are_numpys(name, dtype):
    info, rng = np.iinfo(ALL[dtype]), np.random.default_rng(23)
    odd = [info.min, info.max, *(n for n in range(-3, 4) if n >= info.min)]
    some = np.append(rng.integers(info.min, info.max, 200, ALL[dtype]), np.array(odd, ALL[dtype]))
    x, y = (side.ravel() for side in np.meshgrid(some, some))
    theirs = getattr(np, name)(x, y)
    np.testing.assert_array_equal(evaluate_function(f"{name}_{dtype}", x, y), theirs)


def test_halves_are_numpys():
    bits = np.arange(1 << 16, dtype=np.uint16)
    halves = bits.view(np.float16)
    wide = evaluate_function("from_half_u32", bits.astype(np.uint32)).view(np.float32)
    np.testing.assert_array_equal(wide, halves.astype(np.float32))
    narrow = evaluate_function("to_half_u32", wide.view(np.uint32))
    np.testing.assert_array_equal(narrow[~np.isnan(wide)], bits[~np.isnan(wide)])
    between = (wide[:-1].astype(float) + wide[1:]) / 2
    numbers = np.concatenate([samples("f64"), between, np.nextafter(between, 0)])
    rounded = evaluate_function("half_f64", numbers)
    np.testing.assert_array_equal(rounded, numbers.astype(np.float16).astype(float))
