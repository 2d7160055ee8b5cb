"""Rows of any length are copied from where they lie, bit by bit."""

import ctypes

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native.gathering import RowGather
from miniflow.backends.native.table import StepTable
from miniflow.lowering import pieces
from miniflow.lowering.loop_program import BufferView


@pytest.mark.parametrize("nbytes", [1, 7, 8, 64, 71, 200, 3136])
def test_rows_are_those_that_numpy_takes(nbytes):
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 256, (50, nbytes), np.uint8)
    order, batch = rng.integers(0, 50, 9), np.zeros((11, nbytes), np.uint8)
    views = (BufferView(name, "u8", 0, (9, nbytes), (nbytes, 1)) for name in ("batch", "whole"))
    gather = RowGather(*views, BufferView("order", "i64", 0, (9,), (1,)), 9, nbytes)
    arrays = {"batch": batch, "whole": whole, "order": order}
    for first, last in ((0, 4), (4, 9)):
        step = gather.compiled(first, last)
        table = StepTable(list(arrays))
        table.add(step, ())
        numbers = np.array(table.finish().numbers, np.int64)
        places = np.array([array.ctypes.data for array in arrays.values()], np.int64)
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(step.function)
        assert function(places.ctypes.data, numbers.ctypes.data) == 0
    assert np.array_equal(batch[:9], whole[order])
    assert not batch[9:].any()


def test_a_long_batch_is_cut_and_a_short_one_is_not(monkeypatch):
    view = BufferView("x", "f32", 0, (512, 784), (784, 1))
    gather = RowGather(view, view, view, 512, 3136)
    assert len(gather.pieces()) > 1
    monkeypatch.setattr(pieces, "FEWEST", 1e9)
    assert gather.pieces() == []
