"""A file for any number of rows is right for each, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.onnx.judge import assert_close, checked, evaluated, run

import miniflow as mf
from miniflow.errors import CompileError

RNG = np.random.default_rng(7)


class Made(mf.Node):
    """Its value is what a function makes of its input's."""

    def __init__(self, x: mf.Node, code: Any) -> None:
        mf.Node.__init__(self, [x])
        self.code = code

    def forward(self) -> None:
        self.value = self.code(self.inbound_nodes[0].value)


def scattered(x: Any) -> Any:
    y = np.zeros((5, 3), x.dtype)
    np.add.at(y, np.arange(len(x)) % 5, x)
    return y


def written(x: Any) -> Any:
    y = np.copy(x)
    y[1:, 0] = 7.0
    return y


GROWING = {
    "mean": lambda x: x - np.mean(x, axis=0),
    "both": lambda x: np.concatenate([x, x]),
    "flat": lambda x: x.reshape(-1),
    "counted": lambda x: x.reshape(len(x), 3, 1) * np.arange(len(x))[:, None, None],
    "zeros": lambda x: np.zeros((len(x), 2)) + x[:, :1],
    "last": lambda x: x[-1],
    "reversed": lambda x: x[::-1].T,
    "every second column": lambda x: x[:, ::2],
    "products": lambda x: x @ x.T @ x,
    "n": lambda x: x * len(x),
    "float n": lambda x: x / float(len(x)),
    "1/n": lambda x: x * (1.0 / len(x)),
    "sums": lambda x: np.cumsum(x, axis=0),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
}

FIXED = {
    "all but the first": lambda x: x[1:] - x[:-1],  # of one row, an empty slice is another one
    "in place": written,
    "a slice of the rows": lambda x: x[:10],
    "every second row": lambda x: x[::2],
    "a loop over the rows": lambda x: np.stack([row * i for i, row in enumerate(x)]),
    "other code for many rows": lambda x: x * 2 if len(x) > 100 else x,
    "an array of the number of rows": lambda x: x * np.array([1.0 / len(x)]),
    "an array as long as there are rows": lambda x: x * np.linspace(0, 1, len(x))[:, None],
    "a power of the number of rows": lambda x: x * float(len(x)) ** 1.5,
    "a square": lambda x: x.reshape(-1)[: len(x) ** 2 // len(x)],
    "places that depend on the rows": scattered,
}


@pytest.mark.parametrize("name", sorted(GROWING))
def test_what_grows_evenly_is_right_for_any_number_of_rows(name: str, tmp_path: Path) -> None:
    x = mf.Input("x")
    node, path = Made(x, GROWING[name]), tmp_path / "made.onnx"
    mf.export(node, path, inputs={x: np.ones((4, 3))})
    data = path.read_bytes()
    message = checked(data)
    assert message.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    for n in (1, 2, 4, 9, 101):
        rows = RNG.normal(size=(n, 3))
        wanted = np.asarray(mf.value(node, {x: rows}))
        (found,) = run(data, {"x": rows}).values()
        assert_close(found, wanted, ulps=256, floor=64)
    (found,) = evaluated(data, {"x": rows}).values()
    assert_close(found, wanted, ulps=256, floor=64)


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_does_not_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    x = mf.Input("x")
    node, path = Made(x, FIXED[name]), tmp_path / "made.onnx"
    rows = RNG.normal(size=(4, 3))
    try:
        mf.export(node, path, inputs={x: rows})
    except CompileError as error:
        assert str(error).startswith(f"{node}")  # noqa: PT017
        assert "batch=" in str(error)  # noqa: PT017
        assert not path.exists()
        mf.export(node, path, inputs={x: rows}, batch=4)
        counts = [4]
    else:
        counts = [1, 3, 4, 150]
    for n in counts:
        rows = RNG.normal(size=(n, 3))
        (found,) = run(path.read_bytes(), {"x": rows}).values()
        assert_close(found, np.asarray(mf.value(node, {x: rows})), ulps=256, floor=64)


def network(x: mf.Node, kind: str) -> tuple[Any, mf.Node]:
    """An example of what is fed, and a network."""

    def weights(*shape: int) -> mf.Parameter:
        return mf.Parameter(RNG.normal(size=shape).astype("f4") * 0.5)

    if kind == "mlp":
        hidden = mf.ReLU(mf.Linear(x, weights(6, 5), weights(5)))
        return np.ones((2, 6), "f4"), mf.Softmax(mf.Linear(hidden, weights(5, 3), weights(3)))
    if kind == "cnn":
        maps = mf.ReLU(mf.Conv2D(x, weights(3, 3, 2, 4), weights(4), padding="same"))
        maps = mf.MaxPool(mf.Conv2D(maps, weights(3, 3, 2, 6), groups=2, stride=(1, 2)))
        maps = mf.AveragePool(maps, 2)
        flat = mf.Flatten(maps)
        return np.ones((2, 12, 14, 2), "f4"), mf.Linear(flat, weights(2 * 1 * 6, 3), weights(3))
    if kind == "normed":
        return np.ones((2, 6), "f4"), mf.LayerNorm(mf.GELU(x), weights(6), weights(6))
    if kind == "embedding":
        table = weights(11, 4)
        return np.zeros((2, 5), int), mf.Mean(mf.Gather(table, x), axis=1)
    W, U = weights(4, 5), weights(5, 5)

    def step(h: mf.Node, item: mf.Node) -> mf.Node:
        return mf.Tanh(item @ W + h @ U)

    time_first = mf.Transpose(x, (1, 0, 2))
    first = mf.Sum(x, axis=1) @ W * 0.0
    states = mf.scan(step, first, time_first)
    return np.ones((2, 7, 4), "f4"), states[-1]


@pytest.mark.parametrize("kind", ["cnn", "embedding", "mlp", "normed", "recurrent"])
def test_networks_take_any_number_of_rows(kind: str, tmp_path: Path) -> None:
    x = mf.Input("x")
    example, node = network(x, kind)
    path = tmp_path / "network.onnx"
    mf.export(node, path, inputs={x: example})
    data = path.read_bytes()
    checked(data)
    for n in (1, 2, 5, 103):
        shape = (n, *example.shape[1:])
        fed = (
            RNG.integers(0, 11, shape)
            if example.dtype.kind == "i"
            else RNG.normal(size=shape).astype("f4")
        )
        (found,) = run(data, {"x": fed}).values()
        assert_close(found, np.asarray(mf.value(node, {x: fed})), ulps=256, floor=64)
    (found,) = evaluated(data, {"x": fed}).values()
    assert_close(found, np.asarray(mf.value(node, {x: fed})), ulps=256, floor=64)
