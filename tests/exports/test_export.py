"""What `export` writes, by a file's ending, and what it refuses before anything is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.onnx.judge import assert_close, checked, operators, run

import miniflow as mf
from miniflow.errors import CompileError, GraphError
from miniflow.graph import Node
from miniflow.options import OptionError

NODE = shutil.which("node")
RNG = np.random.default_rng(5)


@pytest.fixture
def model(tmp_path: Path) -> mf.Model:
    X, y = mf.Input("X"), mf.Input("y")
    W, b = (
        mf.Parameter(RNG.normal(size=(4, 3)).astype("f4"), "W"),
        mf.Parameter(np.arange(3, dtype="f4")),
    )
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, W, b, name="logits"), y)
    notes = {"class_names": ["ant", "bée", "cat"], "pixels": ["X"]}
    path = tmp_path / "model.safetensors"
    mf.save(loss, path, inputs={X: np.zeros((2, 4), "f4")}, notes=notes)
    return mf.load(path)


def test_a_file_says_what_it_takes_and_gives(model: mf.Model, tmp_path: Path) -> None:
    mf.export(model, tmp_path / "model.onnx")
    message = checked((tmp_path / "model.onnx").read_bytes())
    metadata = {p.key: p.value for p in message.metadata_props}
    assert metadata["miniflow"] == mf.__version__ == message.producer_version
    assert metadata["kind"] == "model"
    assert json.loads(metadata["class_names"]) == ["ant", "bée", "cat"]
    assert json.loads(metadata["inputs"]) == [
        {"name": "X", "shape": [None, 4], "dtype": "float32", "about": "pixels from 0 to 1"}
    ]
    (output,) = json.loads(metadata["outputs"])
    assert (output["name"], output["shape"], output["dtype"]) == ("logits", [None, 3], "float32")
    assert "input X: float32 (n, 4), pixels from 0 to 1" in message.doc_string
    assert message.graph.input[0].doc_string == "pixels from 0 to 1"


def test_a_model_for_one_number_of_rows_has_no_other(model: mf.Model, tmp_path: Path) -> None:
    mf.export(model, tmp_path / "one.onnx", batch=1)
    data = (tmp_path / "one.onnx").read_bytes()
    shape = checked(data).graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 4]
    metadata = {p.key: p.value for p in checked(data).metadata_props}
    assert json.loads(metadata["outputs"])[0]["shape"] == [1, 3]
    row = RNG.random((1, 4)).astype("f4")
    assert_close(run(data, {"X": row})["logits"], model(row))
    assert operators(data) == ["Gemm"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["js", "onnx", "c"])
def test_the_same_model_gives_the_same_bytes(ending: str, model: mf.Model, tmp_path: Path) -> None:
    code = "import sys, miniflow as mf; mf.export(mf.load(sys.argv[1]), sys.argv[2])"
    path = tmp_path / "there" / f"here.{ending}"
    path.parent.mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / "model.safetensors"), str(path)]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(command, check=True, env=environment, timeout=120)
    mf.export(model, tmp_path / f"here.{ending}")
    assert path.read_bytes() == (tmp_path / f"here.{ending}").read_bytes()


def test_a_node_is_written_as_its_model_would_be(tmp_path: Path) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(X @ mf.Parameter(np.eye(3), "W"), y)
    mf.value(loss, {X: np.ones((2, 3)), y: np.array([0, 1])})
    mf.export(loss, tmp_path / "node.onnx")
    mf.save(loss, tmp_path / "m.safetensors")
    mf.export(mf.load(tmp_path / "m.safetensors"), tmp_path / "model.onnx")
    assert (tmp_path / "node.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


class Turned(Node):
    """A class of a learner's own."""

    def __init__(self, x: Node) -> None:
        Node.__init__(self, [x])

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.value = np.arctan(np.copy(x).T[::-1])


def test_a_class_of_ones_own_is_written(tmp_path: Path) -> None:
    x = mf.Input("x")
    mf.export(Turned(x), tmp_path / "own.onnx", inputs={x: np.zeros((2, 3), "f4")})
    rows = RNG.normal(size=(4, 3)).astype("f4")
    (found,) = run((tmp_path / "own.onnx").read_bytes(), {"x": rows}).values()
    assert_close(found, mf.value(Turned(x), {x: rows}))


@pytest.mark.parametrize("ending", ["h", "onn", "safetensors", ""])
def test_other_endings_are_told(ending: str, model: mf.Model, tmp_path: Path) -> None:
    path = tmp_path / f"model.{ending}".rstrip(".")
    before = sorted(tmp_path.iterdir())
    if ending == "safetensors":
        path = tmp_path / "other.safetensors"
    with pytest.raises(OptionError, match=r"what is written is \.onnx, \.c or \.js"):
        mf.export(model, path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("what", "options", "error", "message"),
    [
        (3, {}, OptionError, "a model, a node or a compiled step is written, not 3"),
        ("model", {"batch": 0}, OptionError, "batch is a whole number of at least 1"),
        ("model", {"inputs": []}, OptionError, "a model has its own"),
        ("unfed", {}, GraphError, "was never fed"),
    ],
)
def test_what_cannot_be_written_is_told_first(
    what: Any, options: Any, error: Any, message: str, model: mf.Model, tmp_path: Path
) -> None:
    what = {"model": model, "unfed": mf.Input("x") * 2.0}.get(what, what)
    with pytest.raises(error, match=message):
        mf.export(what, tmp_path / "m.onnx", **options)
    assert not (tmp_path / "m.onnx").exists()


class Adding(Node):
    """Adds fractions to whole numbers in place, which no operator does."""

    def __init__(self, x: Node, name: str) -> None:
        Node.__init__(self, [x], name=name)

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        total = np.zeros(4, np.int64) + (x[0] > 0)
        np.add.at(total, np.array([1, 1]), 1.5)
        self.value = x + total


def test_what_onnx_cannot_say_is_refused_with_the_node(tmp_path: Path) -> None:
    x = mf.Input("x")
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    with pytest.raises(CompileError, match=r"^Adding 'odd' cannot be written as ONNX: it adds"):
        mf.export(Adding(x, "odd"), path, inputs={x: np.zeros((2, 4))})
    assert path.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_more_than_one_message_holds_is_refused(
    model: mf.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miniflow.backends.onnx.printing.MOST", 50)
    with pytest.raises(CompileError, match="more than the 2 GiB"):
        mf.export(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_folder_that_is_not_there_is_the_systems_error(model: mf.Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mf.export(model, tmp_path / "nowhere" / "m.onnx")


# --- JavaScript


def predicted(path: Path, given: np.ndarray, folder: Path) -> Any:
    """What a module gives, and what it says of itself."""
    module = folder / "module.mjs"
    module.write_bytes(path.read_bytes())
    code = (
        f"import * as m from {json.dumps(module.as_uri())};"
        f"const x = Float32Array.from({json.dumps(given.ravel().tolist())});"
        "console.log(JSON.stringify([[...m.predict(x)], m.inputs, m.outputs, m.classNames]));"
    )
    command = [str(NODE), "--input-type=module", "-"]
    ran = subprocess.run(
        command, input=code, capture_output=True, text=True, timeout=60, check=False
    )
    assert not ran.stderr, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.skipif(NODE is None, reason="needs Node to run JavaScript")
@pytest.mark.breadth("batch")
@pytest.mark.parametrize("batch", [None, 3])
def test_a_module_predicts_for_any_number_of_rows(
    batch: int | None, model: mf.Model, tmp_path: Path
) -> None:
    mf.export(model, tmp_path / "model.js", batch=batch)
    for n in (1, 3, 7) if batch is None else (3,):
        rows = RNG.random((n, 4)).astype("f4")
        found, inputs, outputs, names = predicted(tmp_path / "model.js", rows, tmp_path)
        np.testing.assert_allclose(np.reshape(found, (n, 3)), model(rows), rtol=1e-5, atol=1e-6)
    assert inputs[0]["about"] == "pixels from 0 to 1"
    assert outputs[0]["shape"] == [batch, 3]
    assert inputs[0]["shape"] == [batch, 4]
    assert names == ["ant", "b\u00e9e", "cat"]


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="needs Node to run JavaScript")
def test_a_module_of_the_shipped_digits_recognises_them(tmp_path: Path) -> None:
    from miniflow.shipped import DIGITS_FILE

    model = mf.load(DIGITS_FILE)
    mf.export(model, tmp_path / "digits.js")
    images = RNG.random((5, 784)).astype("f4")
    found, *_ = predicted(tmp_path / "digits.js", images, tmp_path)
    np.testing.assert_allclose(np.reshape(found, (5, 10)), model(images), rtol=1e-4, atol=1e-4)


def test_to_javascript_takes_a_program_as_the_backend_does(model: mf.Model) -> None:
    from miniflow.backends.javascript import to_javascript

    assert mf.to_javascript(model.program, "f") == to_javascript(model.program, "f")
    assert mf.to_javascript(model).startswith("// A model, written by miniflow")
    with pytest.raises(OptionError, match="a model or a program is written, not 3"):
        mf.to_javascript(3)
    with pytest.raises(CompileError, match="cannot be called"):
        mf.to_javascript(model, "1x")
