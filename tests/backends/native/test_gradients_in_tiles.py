"""Gradients of weights are added up tile by tile, in the order of the tiles, whoever does them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import filling
from miniflow.backends.native.lowered import LoweredProgram
from miniflow.errors import NodeError, NotFiniteError
from miniflow.lowering import pieces, tiling
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_program import KEPT

LETTERS, PLACES, WIDTH = 11, 17, 8
TOLERANCE = {"float32": 5e-5, "float64": 1e-11}


@pytest.fixture(autouse=True)
def a_tile_is_an_item_and_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tiling, "CACHE", 1)
    monkeypatch.setattr(pieces, "FEWEST", 0.01)
    monkeypatch.setattr(filling, "WORTH_WAKING", 0)
    yield
    mf.set_threads(None)


class Speller:
    """A small transformer that guesses letters, and Adam."""

    def __init__(
        self, dtype: str = "float32", examples: int = 5, loss: Any = mf.CrossEntropyWithSoftmax
    ) -> None:
        rng = np.random.default_rng(7)
        self.x, self.y = mf.Input("x"), mf.Input("y")
        shapes = {"letters": (LETTERS, WIDTH), **dict.fromkeys("QKVO", (WIDTH, WIDTH))}
        shapes |= {"F": (WIDTH, 12), "G": (12, WIDTH), "scores": (WIDTH, LETTERS)}
        shapes |= {"gain": (WIDTH,), "offset": (WIDTH,), "f": (12,), "g": (WIDTH,)}
        self.parameters = {
            name: mf.Parameter((0.5 * rng.standard_normal(shape)).astype(dtype), name)
            for name, shape in shapes.items()
        }
        p = self.parameters

        def heads(z: mf.Node) -> mf.Node:
            return mf.Transpose(mf.Reshape(z, (-1, PLACES, 2, WIDTH // 2)), (0, 2, 1, 3))

        x = mf.Embedding(self.x, p["letters"])
        a = mf.RMSNorm(x)
        seen = mf.ScaledDotProductAttention(*(heads(a @ p[key]) for key in "QKV"), causal=True)
        x = x + mf.Reshape(mf.Transpose(seen, (0, 2, 1, 3)), (-1, PLACES, WIDTH)) @ p["O"]
        z = mf.Linear(mf.LayerNorm(x, p["gain"], p["offset"]), p["F"], p["f"])
        x = x + mf.Linear(mf.ReLU(z), p["G"], p["g"])
        self.loss = loss(x @ p["scores"], self.y)
        shape = examples, PLACES
        self.feed = {v: rng.integers(0, LETTERS, shape) for v in (self.x, self.y)}

    def step(self, backend: str = "native") -> mf.Compiled:
        return mf.compile(self.loss, optimizer=mf.Adam(0.01), backend=backend)

    def trained(self, step: mf.Compiled) -> list[np.ndarray]:
        losses = [step(self.feed) for _ in range(3)]
        return [np.array(losses), *(np.array(p.value) for p in self.parameters.values())]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_goes_through_all_layers_and_back_in_a_tile(dtype: str) -> None:
    speller, other = Speller(dtype), Speller(dtype)
    step = speller.step()
    for value, expected in zip(
        speller.trained(step), other.trained(other.step("reference")), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert step.source.count("for tile in range(5):  # in 5 pieces, in order") == 1
    assert step.source.count("for tile in") == 1
    inside = step.source.split("for tile in")[1].split("\n    t")[0]
    for name in "QKVOFG":
        assert f"        d{name} += " in inside
    for name in ("gain", "offset", "f", "g"):  # sums over the rows, by kernels
        assert f"    d{name} = 0.0" in step.source
        assert f"=d{name}" in inside
    lowered = LoweredProgram(step.program).loop_program
    check_loop_program(lowered)


@pytest.mark.parametrize(("examples", "threads"), [(5, 4), (37, 2), (37, 3)])
def test_no_bit_depends_on_who_adds_to_them(examples: int, threads: int) -> None:
    """Of 37 tiles, 16 are begun at a time."""
    mf.set_threads(1)
    alone = Speller(examples=examples)
    expected = alone.trained(alone.step())
    mf.set_threads(threads)
    several = Speller(examples=examples)
    found = several.trained(several.step())
    assert [x.tobytes() for x in found] == [x.tobytes() for x in expected]


def test_nor_on_how_large_tiles_are(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = set()
    for room in (1, 4 * 3 * 2 * 2 * PLACES * PLACES * 4, 1 << 30):
        monkeypatch.setattr(tiling, "CACHE", room)
        speller = Speller(examples=7)
        step = speller.step()
        bits.add(b"".join(x.tobytes() for x in speller.trained(step)[1:]))
        assert ("for tile" in step.source) == (room < 1 << 30)
    assert len(bits) == 1


def test_what_the_way_back_reads_has_memory_for_a_tile() -> None:
    speller = Speller(examples=64)
    step = speller.step()
    speller.trained(step)
    buffers = LoweredProgram(step.program).loop_program.buffers
    large = [b for b in buffers.values() if b.role == KEPT and b.size >= 64 * PLACES * WIDTH]
    assert len(large) <= 2  # the letters' rows, and their gradient


class OwnLoss(mf.Node):
    """A learner's, who does not look at labels."""

    def __init__(self, scores: mf.Node, letters: mf.Node) -> None:
        mf.Node.__init__(self, [scores, letters])

    def forward(self) -> None:
        x, y = (node.value for node in self.inbound_nodes)
        self.rows, self.labels = x.reshape(-1, LETTERS), y.reshape(-1)
        powers = np.exp(self.rows)
        self.p = powers / np.sum(powers, axis=1, keepdims=True)
        n = len(self.labels)
        self.value = np.mean(-np.log(self.p[np.arange(n), self.labels]))

    def backward(self) -> None:
        x, y = self.inbound_nodes
        n = len(self.labels)
        dx = self.p / n
        dx[np.arange(n), self.labels] -= 1 / n
        self.gradients = {x: dx.reshape(x.value.shape), y: 0}


def test_a_label_out_of_range_is_found_before_anything_changes() -> None:
    speller = Speller(loss=OwnLoss)
    step = speller.step()
    step(speller.feed)
    assert "in order" in step.source
    before = [p.value.tobytes() for p in speller.parameters.values()]
    labels = speller.feed[speller.y]
    for label in (LETTERS, -LETTERS - 1):
        labels[3, 2] = label
        with pytest.raises(NodeError, match=f"OwnLoss .* index {label} is out of bounds"):
            step(speller.feed)
        assert [p.value.tobytes() for p in speller.parameters.values()] == before
    losses = set()
    for label in (-1, LETTERS - 1):  # the same letter, counted from the end
        labels[3, 2] = label
        for parameter, value in zip(speller.parameters.values(), before, strict=True):
            parameter.value[...] = np.frombuffer(value, np.float32).reshape(parameter.value.shape)
        losses.add(float(step(speller.feed)))
    assert len(losses) == 1


def test_what_is_not_finite_changes_nothing() -> None:
    speller = Speller()
    step = speller.step()
    speller.parameters["G"].value[3, 3] = np.nan
    before = [p.value.tobytes() for p in speller.parameters.values()]
    with pytest.raises(NotFiniteError):
        step(speller.feed)
    assert [p.value.tobytes() for p in speller.parameters.values()] == before
