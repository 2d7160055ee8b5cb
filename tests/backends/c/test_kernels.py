"""Kernels as C: they mean what the evaluator makes of them, and are native's to the bit."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowering import nests

from miniflow.backends.c.kernels import print_kernels
from miniflow.backends.c.types import C_TYPES
from miniflow.ir import DTYPES
from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.nest_evaluate import evaluate_function, evaluate_kernel
from miniflow.lowering.nests import (
    ArrayParameter,
    Kernel,
    NumberParameter,
    SizeParameter,
    Store,
    Term,
    load,
)

CC = shutil.which("clang")
pytestmark = pytest.mark.skipif(CC is None, reason="needs a compiler for C")

OPTIONS = ("-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror")
FAST = ("-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", "-lm")


def compiled(kernels: Iterable[tuple[str, Kernel]], folder: Path) -> ctypes.CDLL:
    """Compile kernels with a C compiler that complains about everything."""
    text, library = folder / "kernels.c", folder / "kernels.so"
    text.write_text(print_kernels(kernels), encoding="utf-8")
    assert CC is not None
    command = [CC, *OPTIONS, str(text), *FAST, "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n{text.read_text()}"
    return ctypes.CDLL(str(library))


def call(function: Any, kernel: Kernel, arguments: Iterable[Any]) -> int:
    """Call a compiled kernel with arrays, numbers and sizes."""
    given: list[Any] = []
    for parameter, argument in zip(kernel.parameters, arguments, strict=True):
        if isinstance(parameter, ArrayParameter):
            given.append(ctypes.c_void_p(argument.ctypes.data))
        elif isinstance(parameter, SizeParameter):
            given.append(ctypes.c_int64(argument))
        else:
            assert isinstance(parameter, NumberParameter)
            given.append(np.ctypeslib.as_ctypes_type(DTYPES[parameter.dtype])(argument))
    return int(function(*given))


def some(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def arguments_of(kernel: str) -> list[list[Any]]:
    """Arguments for one of the kernels of `nests`, several times."""
    whole = np.array([100, -128, 3, 5], np.int8), np.array([255, 1, 0, 2], np.uint8)
    bits = np.array([2**32 - 1, 2**31, 77, 0], np.uint32)
    into = [np.ones(4, bool), np.zeros(4, "i1"), np.zeros(4, "i8"), *np.zeros((2, 4), "u4")]
    odd = some(4, 33)
    odd[0, 20], odd[1, 3], odd[2, 30], odd[3, 31] = np.nan, np.inf, -np.inf, np.nan
    zeros = np.zeros((2, 5), "f4")
    return {
        "sums_of_rows": [
            [5, n, some(5, n), some(n, seed=1), *zeros.copy(), np.zeros((5, n), "f4")]
            for n in (0, 1, 19, 64)
        ]
        + [[4, 33, odd, some(33), *zeros[:, :4].copy(), np.zeros_like(odd)]],
        "checked_indices": [
            [0, 4, np.array([0, 2, place, 1]), np.zeros(4, int)] for place in (7, -1, 3)
        ],
        "whole_numbers": [[0, 4, *whole, bits, *into]],
        "arithmetic": [[0, 1001, some(1001), some(1001, seed=1), np.zeros(1001, "f4")]],
        "every_third": [[0, 9, np.zeros(9)]],
    }[kernel]


KERNELS = ("sums_of_rows", "checked_indices", "whole_numbers", "arithmetic", "every_third")


def test_kernels_do_in_c_what_the_evaluator_does(tmp_path: Path) -> None:
    kernels = {word: getattr(nests, word)() for word in KERNELS}
    library = compiled(kernels.items(), tmp_path)
    for word, kernel in kernels.items():
        for arguments in arguments_of(word):
            ours, theirs = ([np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
                            for _ in range(2))  # fmt: skip
            status = evaluate_kernel(kernel, *theirs)
            assert call(getattr(library, word), kernel, ours) == status
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=3e-7, atol=1e-6)


def kernel_of_function(called: str) -> Kernel:
    """A kernel that calls a function for each entry of arrays."""
    function = FUNCTIONS[called]
    given = tuple(nests.array(f"of_{word}", function.dtype) for word in function.parameters)
    out = nests.array("out", function.dtype)
    value = Term("call", function.dtype, tuple(load(x, nests.J) for x in given), called)
    body = nests.columns(Store("out", (nests.J,), value))
    return Kernel((SizeParameter("n"), *given, out), (body,))


def samples(dtype: str, seed: int) -> np.ndarray:
    """Numbers of all magnitudes, many of ordinary ones, and the odd ones."""
    rng = np.random.default_rng(seed)
    if dtype[0] in "iu":
        info = np.iinfo(DTYPES[dtype])
        few = np.array(
            [0, 1, 2, 3, info.max, info.min, -1 if dtype[0] == "i" else 7], DTYPES[dtype]
        )
        many = rng.integers(info.min, info.max, 1_000, DTYPES[dtype], endpoint=True)
        return np.concatenate([many, rng.permutation(np.repeat(few, 99))])
    float_type, bits = {"f32": (np.float32, np.uint32), "f64": (np.float64, np.uint64)}[dtype]
    anything = rng.integers(0, np.iinfo(bits).max, 2_000, dtype=bits).view(float_type)
    ordinary = rng.standard_normal(2_000) * np.exp(rng.uniform(-20, 6, 2_000))
    odd = [0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, -104.0, 709.8, -745.2, 1.0, 0.5]
    with np.errstate(all="ignore"):
        return np.concatenate([anything, ordinary, odd]).astype(float_type)


def test_functions_are_the_evaluators_and_the_native_backends(tmp_path: Path) -> None:
    kernels = {called: kernel_of_function(called) for called in sorted(FUNCTIONS)}
    library = compiled([(f"of_{word}", kernel) for word, kernel in kernels.items()], tmp_path)
    native = pytest.importorskip("miniflow.backends.native.machine")
    has_native = native.is_available()
    for called, kernel in kernels.items():
        dtype = FUNCTIONS[called].dtype
        given = [samples(dtype, k) for k in range(len(FUNCTIONS[called].parameters))]
        ours = np.zeros_like(given[0])
        assert call(getattr(library, f"of_{called}"), kernel, [len(ours), *given, ours]) == 0
        with np.errstate(all="ignore"):
            theirs = evaluate_function(called, *given)
        accuracy = 4 * np.finfo(ours.dtype).eps if dtype[0] == "f" else 0
        np.testing.assert_allclose(ours, theirs, rtol=accuracy)
        if has_native:
            compare = np.zeros_like(ours)
            run_native(native.kernel_address(kernel), [len(ours), *given, compare])
            np.testing.assert_array_equal(ours, compare, err_msg=called)  # NaN is NaN
            is_zero = (ours == 0) & (compare == 0)
            np.testing.assert_array_equal(np.signbit(ours[is_zero]), np.signbit(compare[is_zero]))


def run_native(address: int, arguments: Iterable[Any]) -> None:
    """Run machine code of the native backend."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address)
    places, numbers = [], []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            numbers += [len(places), 0]
            places.append(argument.ctypes.data)
        else:
            numbers.append(argument)
    where, values = np.array(places, np.int64), np.array(numbers, np.int64)
    assert function(where.ctypes.data, values.ctypes.data) == 0


def test_every_dtype_of_loops_is_a_type_of_c() -> None:
    assert C_TYPES.keys() == {*DTYPES, "size"}
