"""What the tests of files of C share: networks, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import miniflow as mf

RNG = np.random.default_rng(7)


def weights(*shape: int, dtype: Any = "f4") -> mf.Parameter:
    return mf.Parameter((RNG.normal(size=shape) * 0.3).astype(dtype), "W")


def network(kind: str, dtype: Any) -> tuple[mf.Node, mf.Node, dict[Any, Any]]:
    """The output and the loss of a network, and what is fed."""
    x, y = mf.Input("x"), mf.Input("y")
    if kind == "recurrent":
        W, U = weights(40, 24, dtype=dtype), weights(24, 24, dtype=dtype)
        first = np.zeros((9, 24), dtype)
        states = mf.scan(lambda h, item: mf.Tanh(item @ W + h @ U), first, x)
        out = states[-1] @ weights(24, 5, dtype=dtype)
        given = RNG.normal(size=(6, 9, 40))
    elif kind == "cnn":
        maps = mf.Conv2D(x, weights(5, 5, 1, 8, dtype=dtype), weights(8, dtype=dtype))
        maps = mf.MaxPool(mf.ReLU(maps), 2)
        maps = mf.ReLU(mf.Conv2D(maps, weights(3, 3, 8, 20, dtype=dtype), padding="same"))
        out = mf.Linear(mf.Flatten(maps), weights(500, 5, dtype=dtype), weights(5, dtype=dtype))
        given = RNG.normal(size=(9, 14, 14, 1))
    else:
        hidden = mf.Sigmoid(mf.Linear(x, weights(70, 37, dtype=dtype), weights(37, dtype=dtype)))
        out = mf.Linear(hidden, weights(37, 5, dtype=dtype), weights(5, dtype=dtype))
        given = RNG.normal(size=(33, 70))
    rows = len(given) if kind != "recurrent" else 9
    loss = mf.CrossEntropyWithSoftmax(out, y)
    return out, loss, {x: given.astype(dtype), y: RNG.integers(0, 5, rows)}


def exported(what: Any, folder: Path, name: str = "model", **options: Any) -> str:
    mf.export(what, folder / f"{name}.c", **options)
    return (folder / f"{name}.c").read_text(encoding="utf-8")


def small(tmp_path: Path) -> mf.Model:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(RNG.normal(size=(4, 3)).astype("f4"), "W")
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, W, np.arange(3, dtype="f4"), name="logits"), y)
    notes = {"class_names": ["ant", 'b"é*/??', "cat"], "pixels": ["X"]}
    mf.save(loss, tmp_path / "m.safetensors", inputs={X: np.zeros((2, 4), "f4")}, notes=notes)
    return mf.load(tmp_path / "m.safetensors")
