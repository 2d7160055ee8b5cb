"""What the tiles of a product fetch ahead, seen by a micro-kernel that computes nothing."""

from __future__ import annotations

import ctypes
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import machine
from miniflow.backends.native.processor import Processor
from miniflow.backends.native.products.blocking import Blocking
from miniflow.backends.native.products.driver import CODE
from miniflow.backends.native.products.micro_kernel import frame_offset
from miniflow.backends.native.products.plan import compile_product, plan_product

from .product_steps import region

AVX512 = Processor("", "", 64, 32, True, True)
KERNEL = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_void_p)
K = 8192  # so that some rows are more than a cache holds
STEP = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


def fetched(a, n, blocking):
    """Where the strip of each tile lies, and from where to where it fetches, in order."""
    found = []

    def kernel(strip, _b, _c, k, frame):
        ahead = ctypes.c_int64.from_address(frame + frame_offset("ahead")).value
        step = ctypes.c_int64.from_address(frame + frame_offset("ahead_step")).value
        found.append((strip, ahead, ahead + step * k))
        ctypes.c_int64.from_address(frame + frame_offset("ahead")).value = ahead + step * k

    instead = KERNEL(kernel)
    b, c = np.zeros((a.shape[1], n), np.float32), np.zeros((a.shape[0], n), np.float32)
    plan = plan_of(a, n, blocking)
    arrays = {"a": a, "b": b, "c": c, "alpha": np.ones(1), "beta": np.ones(1)}
    arrays |= {word: np.empty(size, np.uint8) for word, size in plan.scratch(adds=False).items()}
    given = compile_product(plan, machine.final_routine, adds=False)
    kernels = [CODE.index(word) for word in ("high", "low", "high_at_edge", "low_at_edge")]
    address = ctypes.cast(instead, ctypes.c_void_p).value
    arguments = [address if k in kernels else x for k, x in enumerate(given.arguments)]
    places = {word: (place, 0) for place, word in enumerate(arrays)}
    pairs = ((x,) if isinstance(x, int) else places.get(x, places["c"]) for x in arguments)
    numbers = np.array([number for both in pairs for number in both], np.int64)
    table = np.array([array.ctypes.data for array in arrays.values()], np.int64)
    assert STEP(machine.final_routine(given.text))(table.ctypes.data, numbers.ctypes.data) == 0
    return found


@pytest.mark.parametrize("packs_a", [False, True])
@pytest.mark.parametrize("panels", [1, 3])
def test_the_tiles_of_a_strip_fetch_the_next_one(packs_a, panels):
    a = np.zeros((24, K), np.float32)
    tiles = fetched(a, 96, Blocking(8, 2, K, 24, packs_a, True, panels))
    assert len(tiles) == 9  # three strips, three panels
    strips = [tiles[k : k + panels] for k in range(0, 9, panels)]
    size = 8 * K * 4
    for number, strip in enumerate(strips):
        begin = strip[0][0]
        if number % 3 == 2:  # the last one of a group: nothing more
            assert {fetch for _, *fetch in strip for fetch in fetch} == {begin}
            continue
        bounds = [(fetch[0], fetch[1]) for _, *fetch in strip]
        assert bounds[0][0] == begin + size
        assert 0 <= bounds[-1][1] - (begin + 2 * size) < size // 16  # whole bytes a step
        assert all(before[1] == after[0] for before, after in pairwise(bounds))


def plan_of(a, n, blocking):
    b, c = np.zeros((a.shape[1], n), np.float32), np.zeros((a.shape[0], n), np.float32)
    return plan_product(region(a), region(b), region(c), AVX512, blocking)


def test_rows_that_lie_apart_and_few_rows_are_not_fetched():
    blocking = Blocking(8, 2, K, 24, False, True, 2)
    apart, turned = np.zeros((24, 2 * K), np.float32)[:, :K], np.zeros((K, 24), np.float32).T
    few = np.zeros((8, K), np.float32)
    found = [plan_of(a, 64, blocking).bytes_ahead for a in (apart, turned, few)]
    assert found == [0, 0, 0]
    assert plan_of(np.zeros((24, K), np.float32), 64, blocking).bytes_ahead == 4


def test_a_tile_that_meets_all_columns_fetches_as_many_lines_as_a_step_has():
    plan = plan_of(np.zeros((56, K), np.float32), 10, Blocking(28, 1, K, 56, False, False))
    kernels = compile_product(plan, str, adds=False).arguments
    text = str(kernels[CODE.index("low_at_edge")])
    assert text.count(", i32 0, i32 2, i32 1)") == 2  # 28 numbers: 112 bytes
