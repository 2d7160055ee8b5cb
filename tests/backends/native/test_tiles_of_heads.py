"""Heads of attention go through the batch tile by tile, and nobody can tell but by the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native.lowered import LoweredProgram
from miniflow.lowering import tiling
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_program import KEPT, SCRATCH

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
MASKS = ("none", "causal", "of keys", "of pairs", "both")


@pytest.fixture(autouse=True)
def a_tile_is_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "CACHE", 1)


class Writer:
    """A block of attention and one of two products, with what stands between them."""

    def __init__(self, dtype: str, masks: str = "causal", n: int = 5, places: int = 17) -> None:
        rng = np.random.default_rng(3)
        self.x, self.y, self.shown = mf.Input("x"), mf.Input("y"), mf.Input("shown")
        self.parameters = {
            name: mf.Parameter((0.4 * rng.standard_normal(shape)).astype(dtype), name)
            for name, shape in {**dict.fromkeys("QKVO", (9, 9)), "F": (9, 20), "G": (20, 9)}.items()
        }
        p, heads = self.parameters, 3
        options: dict[str, Any] = {"causal": masks in ("causal", "both")}
        shapes = {"of pairs": (places, places)}
        shape = shapes.get(masks, (n, 1, 1, places))
        if masks not in ("none", "causal"):
            options["mask"] = self.shown

        def split(z: mf.Node) -> mf.Node:
            return mf.Transpose(mf.Reshape(z, (-1, places, heads, 3)), (0, 2, 1, 3))

        a = mf.RMSNorm(self.x)
        seen = mf.ScaledDotProductAttention(*(split(a @ p[key]) for key in "QKV"), **options)
        z = self.x + mf.Reshape(mf.Transpose(seen, (0, 2, 1, 3)), (-1, places, 9)) @ p["O"]
        z = z + mf.ReLU(mf.RMSNorm(z) @ p["F"]) @ p["G"]
        self.loss = mf.MSE(z, self.y)
        self.feed = {
            self.x: rng.standard_normal((n, places, 9)).astype(dtype),
            self.y: rng.standard_normal((n, places, 9)).astype(dtype),
        }
        if "mask" in options:
            self.feed[self.shown] = rng.random(shape) < 0.7

    def trained(self, backend: str) -> tuple[list[np.ndarray], Any]:
        """What two steps leave behind, and the step."""
        step = mf.compile(self.loss, optimizer=mf.SGD(0.1), backend=backend)
        losses = [step(self.feed) for _ in range(2)]
        return [np.array(losses), *(p.value for p in self.parameters.values())], step


@pytest.mark.breadth("dtype", "masks")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masks", MASKS)
def test_it_trains_as_the_reference_does(dtype: str, masks: str) -> None:
    found, step = Writer(dtype, masks).trained("native")
    expected, _ = Writer(dtype, masks).trained("reference")
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert step.source.count("for tile in range(5)") == 2  # forward, and back
    check_loop_program(LoweredProgram(step.program).loop_program)


def test_a_mask_as_large_as_the_batch_serves_all_of_it() -> None:
    """Seventeen examples of as many places: what both of them count looks like the batch."""
    found, step = Writer("float64", "both", n=17).trained("native")
    expected, _ = Writer("float64", "both", n=17).trained("reference")
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-12, atol=1e-12)
    assert step.source.count("for tile in range(17)") == 2


def test_any_tiles_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = set()
    for room in (1, 4 * 4 * 2 * 17 * 20, 1 << 20):
        monkeypatch.setattr(tiling, "CACHE", room)
        values, step = Writer("float32").trained("native")
        bits.add(b"".join(value.tobytes() for value in values))
        assert ("for tile" in step.source) == (room < 1 << 20)
    assert len(bits) == 1


def memory_of(n: int, places: int) -> int:
    """How many bytes a step of so many examples takes, beside the caller's."""
    step = Writer("float32", n=n, places=places).trained("native")[1]
    buffers = LoweredProgram(step.program).loop_program.buffers.values()
    return sum(b.nbytes for b in buffers if b.role in (KEPT, SCRATCH) and b.alias is None)


def test_scores_have_room_for_a_tile_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are four arrays of them, and only what comes out of the softmax is needed later."""
    n, places = 12, 64
    in_tiles = memory_of(n, places)
    monkeypatch.setattr(tiling, "CACHE", 1 << 30)
    scores = n * 3 * places * places * 4
    assert in_tiles < memory_of(n, places) - 3 * scores / 2
