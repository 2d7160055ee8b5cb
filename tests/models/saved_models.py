"""What the tests of model files share: a small network, its file, and how a file is refused."""

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.errors import ModelFileError
from miniflow.files.arrays import read_arrays, sealed


def classifier(seed: int = 0) -> tuple[mf.Node, mf.Node, mf.Node, mf.Node]:
    """X, y, the logits and the loss of a small network."""
    rng = np.random.default_rng(seed)
    X, y = mf.Input("X"), mf.Input("y")
    W1, W2 = (
        mf.Parameter(rng.normal(size=(6, 5)), "W1"),
        mf.Parameter(rng.normal(size=(5, 3)), "W2"),
    )
    b1, b2 = mf.Parameter(np.zeros(5), "b1"), mf.Parameter(np.ones(3), "b2")
    logits = mf.Linear(mf.ReLU(mf.Linear(X, W1, b1)), W2, b2, name="logits")
    return X, y, logits, mf.CrossEntropyWithSoftmax(logits, y, name="loss")


def images(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 6))


def saved(node: mf.Node, folder: Path, inputs: Any = None, backend: str = "numpy") -> mf.Model:
    path = folder / "model.safetensors"
    mf.save(node, path, inputs)
    return mf.load(path, backend)


def parts(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the words of a good file."""
    X, _, logits, _ = classifier()
    saved(logits, tmp_path, {X: images(2)})
    arrays, about = read_arrays(tmp_path / "model.safetensors", "model")
    return arrays, about


def refusal(path: Path, contents: bytes) -> str | None:
    """The message with which a file is refused; None if it is a model after all."""
    path.write_bytes(contents)
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = mf.load(path, "reference")
            assert model.inputs
            str(model.program)
            repr(model)
    except ModelFileError as error:
        message = str(error)
        assert str(path) in message
        assert len(message) < 2_000
        assert "\x1b" not in message
        return message
    else:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 * len(contents) + 30_000_000


def parts_with_loop(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of a recurrent network: rows of three time steps of two numbers."""
    X, W = mf.Input("X"), mf.Parameter(np.eye(5) / 2, "W")
    U = mf.Parameter(np.ones((2, 5)) / 10, "U")
    first = mf.Sum(X, axis=(1, 2), keepdims=True)[:, :, 0] * np.zeros(5)
    items = mf.Transpose(X, (1, 0, 2))
    states = mf.scan(lambda h, x: mf.Tanh(x @ U + h @ W), first, items)
    saved(states[-1], tmp_path, {X: np.ones((2, 3, 2))})
    return read_arrays(tmp_path / "model.safetensors", "model")


def written(arrays: dict[str, Any], about: dict[str, Any]) -> bytes:
    return sealed(arrays, about)
