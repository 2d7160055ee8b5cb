"""Rows added to places that overlap have the bits of one addition after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

import miniflow as mf
from miniflow.backends import find
from miniflow.backends.native import lower, machine, overlaps, run
from miniflow.passes import optimize

from .test_products import WIDTHS

NETWORKS: dict[str, Any] = {
    "images": ((2, 9, 11, 16), lambda x, k: mf.Conv2D(x, k((3, 4, 16, 5)))),
    "strides": ((2, 9, 9, 16), lambda x, k: mf.Conv2D(x, k((3, 3, 16, 4)), stride=2)),
    "holes": ((2, 9, 9, 16), lambda x, k: mf.Conv2D(x, k((3, 3, 16, 4)), dilation=2)),
    "many channels": ((1, 4, 4, 160), lambda x, k: mf.Conv2D(x, k((2, 2, 160, 4)))),
    "few channels": ((2, 6, 6, 3), lambda x, k: mf.Conv2D(x, k((3, 3, 3, 4)))),
    "rows": ((3, 20, 16), lambda x, k: mf.Conv1D(x, k((5, 16, 4)))),
}
OVERLAPPING = {"images", "strides", "rows"}


def results(what: str, dtype: str) -> list[bytes]:
    """The gradient of the images."""
    rng = np.random.default_rng(0)
    shape, network = NETWORKS[what]
    x = mf.Parameter(rng.standard_normal(shape).astype(dtype))

    def kernel(shape: tuple[int, ...]) -> mf.Node:
        return mf.Parameter(rng.standard_normal(shape).astype(dtype))

    step = mf.compile(mf.Sum(mf.Tanh(network(x, kernel))), wrt=[x], backend="reference")
    step({})
    program = optimize(step.program, find("native").passes)
    arguments = [rng.standard_normal(e.variable.shape).astype(dtype) for e in program.inputs]
    return [np.asarray(array).tobytes() for array in lower(program).run(arguments)]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("what", NETWORKS)
def test_gradients_of_windows_have_the_bits_of_one_addition_after_the_other(
    what: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    made = overlaps.compiled_overlaps

    def compiled(copy: Any) -> Any:
        found.append(made(copy))
        return found[-1]

    monkeypatch.setattr(run, "compiled_overlaps", lambda _: None)
    wanted = results(what, dtype)
    monkeypatch.setattr(run, "compiled_overlaps", compiled)
    for width in ("avx512", "avx2"):
        monkeypatch.setattr(machine, "processor", lambda width=width: WIDTHS[width])
        found.clear()
        assert results(what, dtype) == wanted
        has_room = dtype == "f4" or width == "avx512"  # in registers
        assert any(found) == (what in OVERLAPPING and has_room)
