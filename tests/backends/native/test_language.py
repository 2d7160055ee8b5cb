"""Kernels mean in machine code what they mean in Python; what is no kernel is refused."""

from __future__ import annotations
import __future__

import ctypes

import numpy as np
import pytest

from miniflow.backends.native import functions, language, machine
from miniflow.backends.native.llvm import KernelError
from miniflow.backends.native.translation import translate

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

WORDS = {
    **{name: getattr(np, name) for name in ("absolute", "ceil", "copysign", "floor", "maximum")},
    **{name: getattr(np, name) for name in ("minimum", "rint", "sqrt", "where", "inf", "nan")},
    **{f"{k}{8 * n}": np.dtype(f"{k}{n}").type for k in "iu" for n in (1, 2, 4, 8)},
    "f32": np.float32,
    "f64": np.float64,
    "bool_": np.bool_,
    "fma": language.fma,
    **{name: getattr(language, name) for name in ("as_f32", "as_i32", "as_f64", "as_i64")},
    "exp": functions.exp_f32,
    "log": functions.log_f32,
}


def run_as_python(source: str, *arguments: object) -> int:
    """Run a kernel's text as Python; annotations are not looked at."""
    flags = __future__.annotations.compiler_flag
    scope: dict = dict(WORDS)
    exec(compile(source, "kernel", "exec", flags=flags, dont_inherit=True), scope)
    return scope["kernel"](*arguments) or 0


def run_compiled(source: str, *arguments: object) -> int:
    """Run a kernel's machine code."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    addresses, numbers, alive = [], [], []
    for argument in arguments:
        if isinstance(argument, int):
            numbers.append(argument)
        else:
            array = np.asarray(argument)
            alive.append(array)
            numbers += [len(addresses), 0]
            addresses.append(array.ctypes.data)
    places, values = np.array(addresses, np.int64), np.array(numbers, np.int64)
    return function(machine.kernel(source))(places.ctypes.data, values.ctypes.data)


def run_both(source: str, *arguments: object) -> list[np.ndarray]:
    """Run a kernel both ways, check that the results agree, and return the arrays."""

    def copies() -> list:
        return [np.array(a) if isinstance(a, np.ndarray) else a for a in arguments]

    as_python, compiled = copies(), copies()
    with np.errstate(all="ignore"):
        status = run_as_python(source, *as_python)
    assert run_compiled(source, *compiled) == status
    for ours, theirs in zip(compiled, as_python, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-7)
    return [a for a in compiled if isinstance(a, np.ndarray)]


def test_loops_and_sums():
    x = np.random.default_rng(0).standard_normal((5, 19)).astype(np.float32)
    source = """
def kernel(m: size, n: size, x: f32[m, n], b: f32[n], total: f32[m], out: f32[m, n]):
    for i in range(m):
        s = f64(0)
        for j in range(n):
            t1 = x[i, j] + b[j]
            out[i, j] = exp(t1) * 0.5
            s += f64(t1)
        total[i] = f32(s)
"""
    b, total = np.arange(19, dtype=np.float32), np.zeros(5, np.float32)
    _, _, total, out = run_both(source, 5, 19, x, b, total, np.zeros_like(x))
    np.testing.assert_allclose(total, (x + b).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(out, np.exp(x + b) / 2, rtol=1e-6)


def test_a_loop_of_nothing_does_nothing():
    source = """
def kernel(n: size, x: f64[n], out: f64[1]):
    s = f64(0)
    for j in range(n):
        s += x[j]
    out[0] = s
"""
    _, out = run_both(source, 0, np.zeros(0), np.ones(1))
    assert out[0] == 0


def test_it_returns_early():
    source = """
def kernel(n: size, x: i64[n], out: i64[n]):
    for j in range(n):
        if (x[j] < 0) | (x[j] >= n):
            return 1
        out[j] = x[j] * 2
"""
    x = np.array([0, 2, 7, 1])
    assert run_as_python(source, 4, x, np.zeros(4, int)) == 1
    _, out = run_both(source, 4, x, np.zeros(4, int))
    assert out.tolist() == [0, 4, 0, 0]


def test_integers_wrap_and_booleans_take_a_byte():
    source = """
def kernel(n: size, x: i8[n], y: u8[n], flags: bool[n], out: i8[n], wide: i64[n]):
    for j in range(n):
        out[j] = x[j] * 2 - 1
        wide[j] = i64(x[j]) + i64(y[j])
        flags[j] = (x[j] > 0) & ~bool_(y[j])
"""
    x, y = np.array([100, -128, 3, 5], np.int8), np.array([255, 1, 0, 2], np.uint8)
    flags, out, wide = np.ones(4, bool), np.zeros(4, np.int8), np.zeros(4, np.int64)
    with np.errstate(over="ignore"):
        _, _, flags, out, wide = run_both(source, 4, x, y, flags, out, wide)
    assert flags.tolist() == [False, False, True, False]
    assert wide.tolist() == [355, -127, 3, 7]


def test_shifts_draw_the_sign_along_if_there_is_one():
    source = """
def kernel(n: size, x: u32[n], y: i32[n], right: u32[n], signed: i32[n], mixed: u32[n]):
    for j in range(n):
        right[j] = x[j] >> 5
        signed[j] = y[j] >> 5
        mixed[j] = (x[j] << 3) ^ (x[j] | 9)
"""
    x = np.array([2**32 - 1, 2**31, 77, 0], np.uint32)
    zero = np.zeros(4, np.uint32)
    _, _, right, signed, _ = run_both(source, 4, x, x.view(np.int32), zero, zero.view("i4"), zero)
    assert right.tolist() == [2**27 - 1, 2**26, 2, 0]
    assert signed.tolist() == [-1, -(2**26), 2, 0]


def test_arithmetic_is_rounded_operation_by_operation():
    """Not contracted to fused operations, nor reordered: so it is NumPy's, bit by bit."""
    source = """
def kernel(n: size, x: f32[n], y: f32[n], out: f32[n]):
    for j in range(n):
        out[j] = (x[j] * y[j] + x[j]) / (y[j] - x[j] * 0.1) - x[j] * y[j]
"""
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(1001).astype(np.float32) for _ in range(2))
    _, _, out = run_both(source, 1001, x, y, np.zeros_like(x))
    theirs = (x * y + x) / (y - x * np.float32(0.1)) - x * y
    np.testing.assert_array_equal(out, theirs)


def test_sums_keep_nan_and_infinity():
    source = """
def kernel(m: size, n: size, x: f32[m, n], total: f32[m], largest: f32[m]):
    for i in range(m):
        s = f32(0)
        top = f32(-inf)
        for j in range(n):
            s += x[i, j]
            top = maximum(top, x[i, j])
        total[i] = s
        largest[i] = top
"""
    x = np.ones((4, 33), np.float32)
    x[0, 20], x[1, 3], x[2, 30], x[3, 31] = np.nan, np.inf, -np.inf, np.inf
    x[3, 5] = -np.inf
    _, total, largest = run_both(source, 4, 33, x, np.zeros(4, "f4"), np.zeros(4, "f4"))
    np.testing.assert_array_equal(total, [np.nan, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(largest, [np.nan, np.inf, 1, np.inf])


@pytest.mark.parametrize(
    "line",
    [
        "out[0] = x[0] + n",  # a float and a size
        "out[0] = unknown",
        "out[0] = sinh(x[0])",
        "while n: pass",
        "y = 1",
        "out[0] = x[0] if n else 0.0",
        "out[0] = bool_(x[0])",
        "import os",
    ],
)
def test_what_is_not_in_the_language_is_refused(line):
    with pytest.raises(KernelError):
        translate(f"def kernel(n: size, x: f64[n], out: f64[n]):\n    {line}\n", "k")
