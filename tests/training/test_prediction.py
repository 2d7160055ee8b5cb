"""`mf.predict` and `Model.predict`: every row, in order, whatever the size of the batches."""

import io
import pathlib
import sys
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.errors import CompileError, MiniflowError, NotFiniteError
from miniflow.models import Model
from miniflow.options import OptionError
from miniflow.training.stepping import InterpreterWarning

rng = np.random.default_rng(0)
POINTS = rng.normal(size=(57, 4)).astype(np.float32)
X, y = mf.Input("X"), mf.Input("y")
W = mf.Parameter(rng.normal(size=(4, 3)).astype(np.float32), "W")
logits = mf.MatMul(X, W, name="logits")
loss = mf.CrossEntropyWithSoftmax(logits, y, name="loss")
EXPECTED = POINTS @ W.value


@pytest.mark.parametrize("backend", ["auto", "interpreter", "numpy", "native"])
@pytest.mark.parametrize("batch_size", [1, 10, 57, 1000])
def test_it_is_the_value_for_every_row(backend: str, batch_size: int) -> None:
    if batch_size == 1 and backend != "numpy":
        pytest.skip("the same as in batches of 10, and slow")
    found = mf.predict(logits, {X: POINTS}, batch_size, backend=backend)
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_data_of_any_form() -> None:
    labels = np.zeros(57, int)

    def batches() -> Any:
        for start in range(0, 57, 20):
            yield {X: POINTS[start : start + 20]}

    for data in ({X: POINTS, y: labels}, POINTS, POINTS.tolist(), Dataset(POINTS, labels), batches):
        given: Any = data
        np.testing.assert_allclose(mf.predict(logits, given, 10), EXPECTED, rtol=1e-5, atol=1e-6)


def test_a_list_of_outputs_and_dropout_that_drops_nothing() -> None:
    dropped = mf.Dropout(logits, mf.Seed(), rate=0.5)
    one, two = mf.predict([dropped, mf.Sum(logits, axis=1)], {X: POINTS}, 10)
    np.testing.assert_allclose(one, EXPECTED, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(two, EXPECTED.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_compiled_is_interpreted() -> None:
    class Odd(mf.Op):
        def compute(self, x: Any) -> Any:
            return np.array([float(v) for v in np.ravel(x)]).reshape(np.shape(x))

    odd = Odd(X)
    with pytest.warns(InterpreterWarning, match="Odd"):
        found = mf.predict(odd, {X: POINTS}, 30)
    assert np.array_equal(found, POINTS.astype(float))
    with pytest.raises(CompileError):
        mf.predict(odd, {X: POINTS}, backend="numpy")


WRONG: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "a loss": (loss, {X: POINTS, y: np.zeros(57, int)}, {}, r"a row for each. Of a loss, give the"),
    "two inputs": (loss, POINTS, {}, r"has 2 inputs, Input 'X' .*say which gets what"),
    "nothing needed": (logits, {y: POINTS}, {}, r"data has nothing that MatMul 'logits'"),
    "no size": (logits, {X: POINTS}, {"batch_size": 0}, r"batch_size is a whole number"),
    "a style": (logits, {X: POINTS}, {"progress": "lines"}, r"progress is one of auto, bar, none"),
    "an option": (logits, {X: POINTS}, {"verbose": 0}, r"write progress='none'"),
    "a backend": (logits, {X: POINTS}, {"backend": "gpu"}, r"predict: backend is one of"),
    "no node": ("logits", {X: POINTS}, {}, r"The output is a node"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_told(what: str) -> None:
    node, data, options, message = WRONG[what]
    with pytest.raises(MiniflowError, match=message):
        mf.predict(node, data, **options)


class Screen(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", ["auto", "bar", "none"])
def test_a_bar_is_drawn_on_a_terminal_if_it_takes_a_while(
    progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    monkeypatch.setattr("miniflow.bars.BEFORE", 1e9)
    mf.predict(logits, {X: POINTS}, 30, progress=progress)
    assert screen.getvalue() == ""
    monkeypatch.setattr("miniflow.bars.BEFORE", 0.0)
    monkeypatch.setattr("miniflow.bars.BETWEEN", 0.0)
    mf.predict(logits, {X: POINTS}, 30, progress=progress)
    assert ("57 rows" in screen.getvalue()) == (progress != "none")


def test_where_there_is_no_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    mf.predict(logits, {X: POINTS}, 30)
    assert capsys.readouterr().out == ""


@pytest.fixture
def model(tmp_path: pathlib.Path) -> Model:
    mf.save(logits, tmp_path / "m.safetensors", inputs={X: POINTS})
    return mf.load(tmp_path / "m.safetensors")


def test_a_model_predicts_in_batches(model: Model) -> None:
    expected = EXPECTED.argmax(axis=1)
    for size in (10, 57, 1000):
        assert np.array_equal(model.predict(POINTS, batch_size=size), expected)
        assert np.array_equal(model.predict(POINTS.tolist(), batch_size=size), expected)
    with pytest.raises(OptionError, match=r"batch_size is a whole number"):
        model.predict(POINTS, batch_size=0)
    broken = POINTS.copy()
    broken[31] = np.nan
    with pytest.raises(NotFiniteError, match=r"in 1 of 57 rows, the first is row 31"):
        model.predict(broken, batch_size=10)


def test_a_model_without_rows_predicts_at_once(tmp_path: pathlib.Path) -> None:
    mf.save(mf.Mean(logits, axis=0), tmp_path / "m.safetensors", inputs={X: POINTS[:2]})
    model = mf.load(tmp_path / "m.safetensors")
    if model.inputs[0].shape[0] is None:
        assert np.array_equal(model.predict(POINTS, batch_size=10), EXPECTED.mean(axis=0) > 0)


def test_a_model_of_several_outputs_predicts_each(tmp_path: pathlib.Path) -> None:
    negative = mf.Neg(logits, name="negative")
    mf.save([logits, negative], tmp_path / "m.safetensors", inputs={X: POINTS})
    found = mf.load(tmp_path / "m.safetensors").predict(POINTS, batch_size=10)
    assert np.array_equal(found["logits"], EXPECTED.argmax(axis=1))
    assert np.array_equal(found["negative"], EXPECTED.argmin(axis=1))
