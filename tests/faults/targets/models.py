"""Model files and checkpoints, as they are and with new checksums."""

import contextlib
import io
import pathlib
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from blobs import Problem, problem
from mutations import mutated, mutated_json

import miniflow as mf
from miniflow.errors import ModelFileError
from miniflow.files.arrays import read_arrays, sealed
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.layers.networks import build
from miniflow.optimizers import SGD, Adam
from miniflow.training import fit
from miniflow.training.callbacks import EarlyStopping, KeepBest
from miniflow.training.checkpoints import previous_path
from targets.target import Target

MOST_NUMBERS = 1 << 20  # a model that takes larger inputs is not called

WORDS = [*PRIMITIVES, *DTYPES, "array", "scalar", "python", "fed", "parameter", "value", "n", "v"]


def write_models(folder: pathlib.Path) -> list[pathlib.Path]:
    """Model files of all kinds of graphs."""
    rng = np.random.default_rng(0)
    X, i = mf.Input("X"), mf.Input("i")
    dense = build((6, 5, 3), 0)
    image = mf.Reshape(X, (-1, 6, 6, 1))
    W, b = mf.Parameter(rng.normal(size=(3, 3, 1, 2)), "W"), mf.Parameter(np.zeros(2), "b")
    conv = mf.Flatten(mf.MaxPool(mf.ReLU(mf.Conv2D(image, W, b, padding="same")), 2))
    table = mf.Parameter(rng.normal(size=(4, 3)), "table")
    gathered = mf.LayerNorm(
        mf.Gather(table, i), mf.Parameter(np.ones(3)), mf.Parameter(np.zeros(3))
    )
    many = mf.Where(X, mf.Softmax(mf.GELU(X)), X[:, ::-1] ** 2) + mf.Max(X, axis=1, keepdims=True)
    mixed = mf.Concat(mf.Mean(many, axis=0, keepdims=True), many, axis=0)
    graphs = {
        "dense": (dense.logits, {dense.X: np.zeros((2, 6), np.float32)}),
        "convolution": (conv, {X: np.zeros((2, 36))}),
        "table": (gathered, {i: np.zeros(2, np.uint8)}),
        "mixed": (mixed, {X: np.ones((2, 4), np.float32)}),
        "numbers": (mf.Exp(X) / 2.0, {X: 1.0}),
    }
    paths = []
    for name, (output, inputs) in graphs.items():
        paths.append(folder / f"{name}.safetensors")
        mf.save(output, paths[-1], inputs)
    return paths


class Models(Target):
    """Model files, as `mf.load` and whoever calls the model take them."""

    name, share = "model", 30

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        paths = write_models(self.folder)
        self.whole = [path.read_bytes() for path in paths]
        self.parts = [read_arrays(path, "model") for path in paths]
        self.path = self.folder / "mutated.safetensors"
        self.backend = "numpy"

    def prepare(self, draw: random.Random) -> None:
        self.backend = draw.choice(("numpy", "reference", "auto"))
        self.path.write_bytes(self.changed(draw))

    def changed(self, draw: random.Random) -> bytes:
        return changed_container(draw, self.whole, self.parts, WORDS)

    def use(self) -> None:
        model = mf.load(self.path, self.backend)
        str(model.program), repr(model)
        assert model.outputs >= 0
        assert model.parameter_count >= 0
        for n in (1, 3):
            shapes = [tuple(n if s is None else s for s in entry.shape) for entry in model.inputs]
            if all(np.prod(shape, dtype=float) <= MOST_NUMBERS for shape in shapes):
                given = [
                    np.ones(shape, entry.dtype)
                    for shape, entry in zip(shapes, model.inputs, strict=True)
                ]
                np.shape(model.predict(*given))


def changed_container(
    draw: random.Random,
    whole: Sequence[bytes],
    parts: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    words: Sequence[str],
) -> bytes:
    """One of our safetensors files, changed outside or inside."""
    if draw.random() < 0.3:
        return mutated(draw, draw.choice(whole), whole)
    arrays, about = draw.choice(parts)
    arrays = dict(arrays)
    if arrays and draw.random() < 0.2:
        name = draw.choice(sorted(arrays))
        arrays[name] = draw.choice(
            (
                np.zeros(
                    draw.choice(((), (0,), (1,), (5, 6), (2, 3, 4))), draw.choice(list("fdiB?"))
                ),
                arrays[name].T,
                np.full_like(arrays[name], draw.choice((0, 1, -1, 7, float("nan"))))
                if arrays[name].dtype.kind == "f"
                else arrays[name],
            )
        )
        if draw.random() < 0.3:
            arrays[draw.choice((name + "x", "", "\x1b[0m", "9"))] = arrays.pop(name)
    if draw.random() < 0.9:
        about = mutated_json(draw, about, words)
    try:
        return sealed(arrays, about)
    except (TypeError, ValueError, AttributeError):  # no longer what a file can hold
        return mutated(draw, draw.choice(whole), whole)


# --- Checkpoints


class Checkpoints(Target):
    """Checkpoints, as `fit(..., resume=True)` takes them."""

    name, share = "checkpoint", 12

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        self.path = self.folder / "checkpoint.safetensors"
        self.kinds: list[Callable[[], dict[str, Any]]] = [
            lambda: {
                "optimizer": SGD(0.1, momentum=0.9),
                "rng": np.random.Generator(np.random.PCG64(1)),
                "callbacks": [KeepBest("validation_loss")],
            },
            lambda: {
                "optimizer": Adam(0.02),
                "rng": np.random.Generator(np.random.MT19937(1)),
                "callbacks": [EarlyStopping("loss")],
            },
            lambda: {"optimizer": SGD(0.1), "rng": np.random.Generator(np.random.Philox(1))},
        ]
        self.whole, self.parts = [], []
        for kind in self.kinds:
            self.path.unlink(missing_ok=True)
            self.train(problem(count=32), kind(), epochs=1)
            self.whole.append(self.path.read_bytes())
            self.parts.append(read_arrays(self.path, "checkpoint"))
        self.kind = 0

    def train(self, p: Problem, options: dict[str, Any], epochs: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            fit(
                p.loss,
                p.data,
                epochs=epochs,
                batch_size=16,
                validation=p.validation,
                checkpoint=self.path,
                resume=True,
                progress="lines",
                backend="interpreter",
                **options,
            )

    def prepare(self, draw: random.Random) -> None:
        self.kind = draw.randrange(len(self.kinds))
        at = slice(self.kind, self.kind + 1)
        changed = changed_container(
            draw, self.whole[at], self.parts[at], ["PCG64", "Adam", "0", ""]
        )
        self.path.write_bytes(changed)
        before = previous_path(self.path)
        before.unlink(missing_ok=True)
        if draw.random() < 0.2:
            before.write_bytes(self.whole[self.kind])

    def use(self) -> None:
        p = problem(count=32)
        first, options = p.bytes(), self.kinds[self.kind]()
        state = options["rng"].bit_generator.state
        try:
            self.train(p, options, epochs=2)
        except ModelFileError as error:
            if "best epoch" not in str(error):
                assert p.bytes() == first, "a refused checkpoint changed the parameters"
                assert str(options["rng"].bit_generator.state) == str(state)
            raise
