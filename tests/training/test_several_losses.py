"""`fit({"a": loss_a, "b": loss_b})`: the sum is trained, and the history has each by its name."""

import pathlib
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GraphError, MiniflowError, ModelFileError
from miniflow.options import OptionError

rng = np.random.default_rng(0)
POINTS = rng.normal(size=(50, 4)).astype(np.float32)
KINDS, SIZES = (POINTS[:, 0] > 0).astype(int), POINTS[:, 1:2] * 2


class TwoHeads:
    def __init__(self) -> None:
        self.X, self.kind, self.size = mf.Input("X"), mf.Input("kind"), mf.Input("size")
        draw = np.random.default_rng(1)
        W = mf.Parameter(draw.normal(size=(4, 8)).astype(np.float32), "W")
        hidden = mf.Tanh(self.X @ W)
        self.heads = [
            mf.Parameter(draw.normal(size=(8, n)).astype(np.float32), f"head{n}") for n in (2, 1)
        ]
        logits, sizes = (hidden @ head for head in self.heads)
        weights = [1.0, 3.0]
        self.losses: dict[str, mf.Node] = {
            "kind": mf.CrossEntropyWithSoftmax(logits, self.kind, class_weights=weights),
            "size": mf.MSE(sizes, self.size),
        }
        self.total = self.losses["kind"] + 0.25 * self.losses["size"]
        self.parameters = [W, *self.heads]
        self.data = {self.X: POINTS, self.kind: KINDS, self.size: SIZES}

    def bytes(self) -> bytes:
        return b"".join(p.value.tobytes() for p in self.parameters)


def train(heads: TwoHeads, loss: Any = None, **options: Any) -> mf.History:
    settings: dict[str, Any] = {
        "optimizer": mf.Adam(0.02), "epochs": 3, "batch_size": 16, "rng": 2, "progress": "none",
        "validation": heads.data, "loss_weights": {"size": 0.25},
    }  # fmt: skip
    return mf.fit(loss or heads.losses, heads.data, **{**settings, **options})


@pytest.mark.parametrize("backend", ["interpreter", "numpy", "native"])
def test_the_sum_is_trained_and_each_is_told(backend: str) -> None:
    one, two = TwoHeads(), TwoHeads()
    history = train(one, backend=backend)
    plain = train(two, two.total, loss_weights=None, backend=backend)
    assert one.bytes() == two.bytes()
    assert [row.loss for row in history] == pytest.approx([row.loss for row in plain], rel=1e-6)
    names = ["kind", "kind_accuracy", "size", *(f"validation_{n}" for n in ("kind", "size"))]
    assert set(names) <= set(history.columns())
    for name in ("kind", "size"):
        alone = mf.evaluate(one.losses[name], one.data)
        assert history[f"validation_{name}"][-1] == pytest.approx(alone.loss, rel=1e-5)
    exact = mf.evaluate(one.losses["kind"], one.data).accuracy
    assert history["validation_kind_accuracy"][-1] == pytest.approx(exact)
    parts = history["kind"][0], history["size"][0]
    assert history[0].loss == pytest.approx(parts[0] + 0.25 * parts[1], rel=1e-5)
    assert "size_accuracy" not in history.columns()


def test_a_table_and_a_monitor_have_them(tmp_path: pathlib.Path) -> None:
    heads = TwoHeads()
    best = mf.KeepBest("validation_size")
    history = train(heads, callbacks=[best, mf.CSVLogger(tmp_path / "h.csv")])
    header, *rows = (tmp_path / "h.csv").read_text().splitlines()
    assert header.split(",") == history.columns()
    assert float(rows[-1].split(",")[history.columns().index("size")]) == history["size"][-1]
    assert best.best == min(history["validation_size"])  # type: ignore[type-var]
    with pytest.raises(OptionError, match=r"monitor is one of .*validation_size.*not 'sizes'"):
        train(heads, callbacks=[mf.EarlyStopping("sizes")])
    with pytest.raises(OptionError, match=r"The history has no column 'sizes'; .*size"):
        history["sizes"]


def test_an_accuracy_among_them_is_best_when_highest() -> None:
    heads = TwoHeads()
    best = mf.KeepBest("kind_accuracy")
    history = train(heads, callbacks=[best])
    assert best.best == max(history["kind_accuracy"])  # type: ignore[type-var]


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_resumes_to_the_same_bits_and_rows(
    accumulate: int, backend: str, tmp_path: pathlib.Path
) -> None:
    straight, parts = TwoHeads(), TwoHeads()
    options: dict[str, Any] = {"accumulate": accumulate, "backend": backend, "resume": True}
    history = train(straight, epochs=4, checkpoint=tmp_path / "a", **options)
    train(parts, epochs=2, checkpoint=tmp_path / "b", **options)
    parts = TwoHeads()
    resumed = train(parts, epochs=4, checkpoint=tmp_path / "b", **options)
    assert parts.bytes() == straight.bytes()
    assert [row._replace(seconds=0) for row in resumed] == [
        row._replace(seconds=0) for row in history
    ]
    with pytest.raises(ModelFileError, match=r"Its loss weights"):
        train(TwoHeads(), checkpoint=tmp_path / "b", **(options | {"loss_weights": None}))


def test_one_loss_by_its_name_is_itself() -> None:
    heads = TwoHeads()
    history = train(heads, {"kind": heads.losses["kind"]}, loss_weights=None)
    assert history["kind"] == history["loss"]
    assert history["kind_accuracy"] == history["accuracy"]


heads = TwoHeads()
WRONG: dict[str, tuple[Any, Any, str]] = {
    "no losses": ({}, None, r"dictionary of losses is empty"),
    "no node": ({"a": 3.0}, None, r"The output is a node, and 3.0"),
    "no name": ({3: heads.total}, None, r"a loss is called 3 \(int\)"),
    "a column": ({"loss": heads.total}, None, r"'loss' is the name of a column"),
    "a column of another": (
        {"a": heads.total, "a_accuracy": heads.total},
        None,
        r"'a_accuracy' is the name of a column of another loss",
    ),
    "a weight of nothing": (heads.losses, {"c": 1.0}, r"has 'c' \(str\), and the losses are kind"),
    "a weight that is none": (heads.losses, {"kind": "x"}, r"the weight of 'kind' is a number"),
    "weights that are none": (heads.losses, [1.0], r"loss_weights is a dictionary"),
    "weights of one": (heads.total, {"a": 1.0}, r"loss_weights are for several losses"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_told(what: str) -> None:
    loss, weights, message = WRONG[what]
    before = heads.bytes()
    with pytest.raises((MiniflowError, GraphError), match=message):
        mf.fit(loss, heads.data, mf.SGD(0.1), loss_weights=weights, progress="none")
    assert heads.bytes() == before
