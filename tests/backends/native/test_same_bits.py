"""The same bits on every processor that has a fused multiply-add, and in every mode of it."""

from __future__ import annotations

import ctypes
import json
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

import miniflow as mf
from miniflow.backends.native import machine
from miniflow.backends.native.processor import NO_FMA

is_x86 = platform.machine().lower() in ("x86_64", "amd64")
on_x86 = pytest.mark.skipif(not is_x86, reason="what is left out here are features of x86")
has_avx2 = pytest.mark.skipif(
    not machine.processor().has_fma or machine.processor().nbytes < 32,
    reason="this processor has not what is left out here",
)
every_amount = pytest.mark.parametrize(
    "amount", ["quick", pytest.param("every", marks=pytest.mark.slow)]
)
KEPT = {
    "all": ("all",),
    "avx2": ("avx", "avx2", "fma", "f16c"),
    "avx": ("avx", "fma"),
    "without fma": ("avx", "avx2", "f16c"),
    "sse": (),
}


@cache
def trained(kept: str, amount: str) -> dict:
    """What a process prints that knows these features of the processor."""
    script = Path(__file__).with_name("trainings.py")
    command = [sys.executable, str(script), amount, *KEPT[kept]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@on_x86
@has_avx2
@every_amount
@pytest.mark.parametrize("kept", ["avx", pytest.param("avx2", marks=pytest.mark.slow)])
def test_trainings_give_the_same_bits_with_other_vectors(kept, amount):
    assert trained(kept, amount) == trained("all", amount)
    assert NO_FMA not in trained(kept, amount)["said"][0]


@on_x86
@has_avx2
@every_amount
@pytest.mark.parametrize("kept", ["without fma", pytest.param("sse", marks=pytest.mark.slow)])
def test_without_fused_multiply_add_they_agree_to_rounding_and_say_so(kept, amount):
    found, expected = dict(trained(kept, amount)), trained("all", amount)
    source, why = found.pop("said")
    assert source.lower() == f"# {NO_FMA}."
    assert why == f"native: it was asked for by name; {NO_FMA}"
    for key, (_, total) in found.items():
        rounding = 1e-4 if "32" in key else 1e-11
        assert total == pytest.approx(expected[key][1], rel=rounding), key


def flushing() -> tuple[object, object]:
    """What sets the mode in which small numbers are flushed to zero, and what reads the mode."""
    write = machine.routine(
        "declare void @llvm.x86.sse.ldmxcsr(ptr)\n"
        "define i64 @run(ptr %mode) { call void @llvm.x86.sse.ldmxcsr(ptr %mode)\nret i64 0 }"
    )
    read = machine.routine(
        "declare void @llvm.x86.sse.stmxcsr(ptr)\n"
        "define i64 @run(ptr %mode) { call void @llvm.x86.sse.stmxcsr(ptr %mode)\nret i64 0 }"
    )
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
    return function(write), function(read)


@on_x86
def test_nothing_is_flushed_and_the_mode_is_put_back():
    x = mf.Input("x")
    f = mf.compile(x * 0.25, backend="native")
    tiny = np.array([1e-40, -3e-42, 4e-38], np.float32)
    expected = f({x: tiny})
    assert (expected != 0).all()
    set_mode, read_mode = flushing()
    before, flushed, after = (ctypes.c_uint32() for _ in range(3))
    read_mode(ctypes.byref(before))
    flushed.value = before.value | 0x8040 | 0x6000  # to zero, from zero, and rounded towards it
    set_mode(ctypes.byref(flushed))
    try:
        found = f({x: tiny})
        read_mode(ctypes.byref(after))
    finally:
        set_mode(ctypes.byref(before))
    np.testing.assert_array_equal(found, expected)
    assert after.value & ~0x3F == flushed.value & ~0x3F  # but for what has been noticed meanwhile
