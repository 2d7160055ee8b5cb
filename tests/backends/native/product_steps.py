"""Runs one product as machine code, and computes the chains that it has to equal."""

from __future__ import annotations

import ctypes
from fractions import Fraction

import numpy as np

from miniflow.backends.native import machine
from miniflow.backends.native.products.plan import compile_product, plan_product
from miniflow.ir import ValueType, Variable
from miniflow.lowering.views import Region

NAMES = {np.dtype("f4"): "f32", np.dtype("f8"): "f64"}


def region(array: np.ndarray) -> Region:
    """The region of an array that begins where its memory does, as far as a plan asks."""
    variable = Variable(ValueType(NAMES[array.dtype], array.shape))
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return Region(variable, 0, array.shape, strides)


def run(a, b, c, alpha=1.0, beta=None, processor=None, blocking=None) -> None:
    """Compute c = alpha · a @ b, plus beta · c if there is a beta, in place."""
    processor = processor or machine.processor()
    plan = plan_product(region(a), region(b), region(c), processor, blocking)
    assert plan is not None
    run_plan(plan, {"a": a, "b": b, "c": c}, alpha, beta)


def run_plan(plan, arrays, alpha=1.0, beta=None) -> None:
    """Run a product as planned, on arrays that begin where their memory does."""
    adds, c = beta is not None, arrays["c"]
    arrays |= {"alpha": np.array(alpha, c.dtype), "beta": np.array(beta or 0.0, c.dtype)}
    for word, nbytes in plan.scratch(adds=adds).items():
        arrays[word] = np.full(nbytes, 255, np.uint8)  # as floats, not numbers
    places = {word: (place, 0) for place, word in enumerate(arrays)}
    text, arguments = compile_product(plan, machine.final_routine, adds=adds)
    table = np.array([array.ctypes.data for array in arrays.values()], np.int64)
    numbers = ((x,) if isinstance(x, int) else places.get(x, places["c"]) for x in arguments)
    given = np.array([number for both in numbers for number in both], np.int64)
    step = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    assert step(machine.final_routine(text))(table.ctypes.data, given.ctypes.data) == 0


def product(a, b, **options) -> np.ndarray:
    """Return a @ b."""
    c = np.full(np.matmul(a, b).shape, np.nan, a.dtype)
    run(a, b, c, **options)
    return c


def fused(a, b, c) -> np.ndarray:
    """Return a · b + c in float32, rounded once."""
    product = a.astype(np.float64) * b.astype(np.float64)  # exact
    c = c.astype(np.float64)
    total = product + c
    part = total - product  # the error of the sum, exactly
    error = (product - (total - part)) + (c - part)
    bits = total.view(np.int64)
    is_even = bits & 1 == 0
    away = (error > 0) == (total > 0)
    odd = np.where((error != 0) & is_even, bits + np.where(away, 1, -1), bits)
    return odd.view(np.float64).astype(np.float32)  # from a number rounded to odd: as if at once


def chain(a, b) -> np.ndarray:
    """Return a @ b in float32, each entry a chain of fused multiply-adds in the order of k."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for p in range(a.shape[1]):
        total = fused(a[:, p, None], b[None, p], total)
    return total


def chain_of_doubles(a, b) -> np.ndarray:
    """The same for float64."""
    result = np.zeros((a.shape[0], b.shape[1]))
    for i, j in np.ndindex(result.shape):
        total = 0.0
        for x, y in zip(a[i].tolist(), b[:, j].tolist(), strict=True):
            total = float(Fraction(x) * Fraction(y) + Fraction(total))
        result[i, j] = total
    return result
