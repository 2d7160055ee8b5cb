"""One dictionary may serve a loss and its logits: what is fed beside is told once, by its name."""

import gc
import warnings
import weakref
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import FeedError
from miniflow.interpreter.unneeded import FeedWarning

rows = np.random.default_rng(0).normal(size=(4, 2))


class Graphs:
    """Logits, a loss of them, what both are fed with, and an input of neither."""

    def __init__(self) -> None:
        self.X, self.y, self.other = mf.Input("X"), mf.Input("y"), mf.Input("other")
        self.W = mf.Parameter(np.eye(2), "W")
        self.logits = mf.MatMul(self.X, self.W, name="logits")
        self.loss = mf.CrossEntropyWithSoftmax(self.logits, self.y, name="loss")
        self.feed: dict[Any, Any] = {self.X: rows, self.y: np.array([0, 1, 0, 1])}


def trained(loss: mf.Node, data: Any, backend: str, **options: Any) -> Any:
    options = {"epochs": 1, "rng": 0, "progress": "none", **options}
    mf.fit(loss, data, mf.SGD(0.0), backend=backend, **options)
    return mf.evaluate(loss, data, backend=backend).loss


def compiled(backend: str, **options: Any) -> Callable[[mf.Node, Any], Any]:
    return lambda node, feed: mf.compile(node, backend=backend, **options)(feed)


RUNNERS: dict[str, Callable[[mf.Node, Any], Any]] = {
    "value": mf.value,
    "value_and_grad": lambda node, feed: mf.value_and_grad(node, feed)[0],
    "numpy": compiled("numpy"),
    "native": compiled("native"),
    "reference": compiled("reference"),
    "numpy step": compiled("numpy", optimizer=mf.SGD(0.0)),
    "native step": compiled("native", optimizer=mf.SGD(0.0)),
    "fit, interpreter": lambda node, feed: trained(node, feed, "interpreter"),
    "fit, numpy": lambda node, feed: trained(node, feed, "numpy"),
    "fit, native": lambda node, feed: trained(node, feed, "native"),
    "fit, a function": lambda node, feed: trained(node, lambda: iter([feed, feed]), "numpy"),
    "evaluate": lambda node, feed: mf.evaluate(node, feed, batch_size=3).loss,
}


needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
every_runner = pytest.mark.parametrize(
    "runner", [pytest.param(n, marks=needs_llvmlite if "native" in n else ()) for n in RUNNERS]
)


@every_runner
def test_a_fed_node_that_the_output_does_not_depend_on_is_warned_about(runner: str) -> None:
    g = Graphs()
    expected = mf.value(g.loss, g.feed)
    with pytest.warns(FeedWarning, match=r"^CrossEntropy.* not depend on Input 'other' ") as told:
        seen = RUNNERS[runner](g.loss, {**g.feed, g.other: "a string of no use"})
    assert len(told) == 1
    np.testing.assert_allclose(seen, expected)


@every_runner
def test_a_key_that_is_no_node_stays_an_error(runner: str) -> None:
    g = Graphs()
    with pytest.raises(FeedError, match=r"'X'.*keys are nodes"):
        RUNNERS[runner](g.loss, {**g.feed, "X": rows})


def test_one_dictionary_serves_a_loss_and_its_logits_and_is_warned_about_once() -> None:
    g = Graphs()
    step, predict = mf.compile(g.loss, optimizer=mf.SGD(0.1)), mf.compile(g.logits)
    assert predict.why_retraced() == "It was not recorded yet: call it."
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(5):
            step(g.feed)
            np.testing.assert_allclose(predict(g.feed), rows @ g.W.value)
            np.testing.assert_allclose(mf.value(g.logits, g.feed), rows @ g.W.value)
    assert len(told) == 1
    assert "MatMul 'logits'" in str(told[0].message)
    assert "Input 'y'" in str(told[0].message)
    assert predict.why_retraced() == "It was recorded once."


def test_all_of_them_are_named_in_one_warning() -> None:
    g = Graphs()
    feed = {**g.feed, g.other: 1.0, mf.Input("third"): 2.0}
    with pytest.warns(FeedWarning, match=r"'y' \(.*\) and Input 'other' .* and Input 'third'"):
        mf.value(g.logits, feed)


def test_what_is_computed_elsewhere_may_be_fed_too_and_has_no_effect() -> None:
    g = Graphs()
    doubled = g.logits * 2.0
    with pytest.warns(FeedWarning, match="Mul"):
        assert np.array_equal(mf.value(g.logits, {g.X: rows, doubled: rows}), rows)


def test_arrays_of_other_lengths_are_no_matter_if_nobody_needs_them() -> None:
    g = Graphs()
    data = {g.other: np.zeros(99), **g.feed}
    with pytest.warns(FeedWarning, match="'other'"):
        history = mf.fit(g.loss, data, mf.SGD(0.1), epochs=2, validation=data, progress="none")
    assert len(history) == 2


def test_to_be_told_does_not_keep_a_graph_alive() -> None:
    g = Graphs()
    with pytest.warns(FeedWarning):
        mf.value(g.logits, g.feed)
    seen = [weakref.ref(node) for node in (g.logits, g.loss, g.y)]
    gc.disable()
    try:
        del g
        assert [reference() for reference in seen] == [None] * 3
    finally:
        gc.enable()


def test_another_output_is_told_of_too() -> None:
    g = Graphs()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for output in (g.logits, mf.Sum(g.logits), g.logits):
            mf.value(output, g.feed)
    assert len(told) == 2


@every_runner
def test_the_warning_is_of_the_users_line(runner: str) -> None:
    g = Graphs()
    with pytest.warns(FeedWarning) as told:
        RUNNERS[runner](g.loss, {**g.feed, g.other: 1.0})
    assert told[0].filename == __file__
