"""Every argument of the functions that work on graphs and models, given what it is not: it does
what is right, or says in one sentence what fits.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_wrong_options import WRONG

import miniflow as mf
from miniflow.errors import MiniflowError
from miniflow.graph.values import describe
from miniflow.options import OptionError

x, y, W = mf.Input("x"), mf.Input("y"), mf.Parameter(np.ones((2, 2)), "W")
LOGITS = x @ W
LOSS = mf.CrossEntropyWithSoftmax(LOGITS, y)
FEED: dict[mf.Node, Any] = {x: np.array([[1.0, 2.0], [3.0, 4.0]]), y: np.array([0, 1])}
GIVEN = [*WRONG, np.array(["a"]), np.array([None]), np.zeros((0, 3)), 2**70, "\0", lambda: 1]
Call = Callable[..., Any]

# function → how it is called, and what with; each of these is given what it is not
CALLS: dict[str, tuple[Call, dict[str, Any]]] = {
    "value": (lambda node, feed: mf.value(node, feed), {"node": LOSS, "feed": FEED}),
    "value_and_grad": (
        lambda node, feed, wrt: mf.value_and_grad(node, feed, wrt),
        {"node": LOSS, "feed": FEED, "wrt": [W]},
    ),
    "accuracy": (lambda node, feed: mf.accuracy(node, feed), {"node": LOSS, "feed": FEED}),
    "check_gradients": (
        lambda **given: mf.check_gradients(LOSS, FEED, **given),
        {"tolerance": None, "seed": 0},
    ),
    "find_not_finite": (lambda node: mf.find_not_finite(node, FEED), {"node": LOSS}),
    "compile": (
        lambda node, **given: mf.compile(node, **given)(FEED),
        {"node": LOSS, "wrt": [W], "backend": "numpy"},
    ),
    "a step": (
        lambda feed: mf.compile(LOSS, backend="numpy")(feed),
        {"feed": FEED},
    ),
    "gradient": (lambda node, wrt: mf.gradient(node, wrt), {"node": LOSS, "wrt": [W]}),
    "per_example_gradients": (
        lambda node, wrt: mf.per_example_gradients(node, FEED, wrt=wrt),
        {"node": LOSS, "wrt": [W]},
    ),
    "graph_of": (
        mf.graph_of,
        {"program": mf.compile(LOGITS, backend="reference"), "parameters": None},
    ),
    "parameters": (mf.parameters, {"node": LOSS}),
    "predict": (
        lambda data, **given: mf.predict(LOGITS, data, **given),
        {"data": FEED[x], "batch_size": 2, "progress": "none", "backend": "numpy"},
    ),
    "evaluate": (
        lambda **given: mf.evaluate(LOSS, FEED, **given),
        {"batch_size": 2, "backend": "numpy"},
    ),
    "scan": (
        lambda **given: mf.value(mf.scan(sequence=x, **given), {x: FEED[x]}),
        {"step": lambda state, item: state + item, "first": np.zeros(2), "reverse": False},
    ),
}


def is_told(what: str, use: Callable[[Any], Any], given: Any) -> None:
    message = "."
    try:
        with np.errstate(all="ignore"):
            use(given)
    except MiniflowError as error:
        message = f"{error}"
    except Exception as error:
        pytest.fail(f"{what} of {describe(given)}: {type(error).__name__}: {error}")
    assert message.endswith("."), f"{what} of {describe(given)}: {message}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_an_argument_that_does_not_fit_is_told_in_one_sentence(name: str) -> None:
    call, arguments = CALLS[name]
    for argument in arguments:
        for given in GIVEN:
            is_told(f"{name}'s {argument}", lambda v, a=argument: call(**arguments | {a: v}), given)


@pytest.mark.filterwarnings("ignore")
def test_what_a_model_is_asked_for_is_told_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.safetensors"
    mf.save(LOGITS, path, inputs={x: FEED[x]})
    model, like = mf.load(path, backend="numpy"), {x: FEED[x]}
    for given in GIVEN:
        is_told("a call", model, given)
        is_told("predict", model.predict, given)
        is_told("batch_size", lambda v: model.predict(FEED[x], batch_size=v), given)
        is_told("load's backend", lambda v: mf.load(path, backend=v), given)
        is_told("save's inputs", lambda v: mf.save(LOGITS, path, v), given)
        is_told("save's notes", lambda v: mf.save(LOGITS, path, like, notes=v), given)


def test_the_program_for_no_number_of_rows_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.safetensors"
    mf.save(LOGITS, path, inputs={x: FEED[x]})
    model = mf.load(path, backend="numpy")
    for given in (None, 1.5, "a", -1, [1], np.array([1, 1]), float("nan")):
        with pytest.raises(OptionError, match=r"rows is a whole number of at least 0"):
            model.program_for(given)  # type: ignore[arg-type]
    assert model.program_for(np.int64(3)).inputs[0].variable.shape == (3, 2)  # type: ignore[arg-type]


class Fitted:
    way_to_a_node = "its node is .output_node"


@pytest.mark.parametrize(
    ("given", "way"),
    [
        (mf.layers.Dense(2), 'call it on a node, as in layer(mf.Input("X"))'),
        (Fitted(), "its node is .output_node"),
    ],
)
def test_what_has_a_node_or_makes_one_says_so(given: Any, way: str, tmp_path: Any) -> None:
    calls: list[Call] = [
        mf.value,
        mf.compile,
        mf.draw,
        lambda it: mf.save(it, tmp_path / "model.safetensors"),
        lambda it: mf.export(it, tmp_path / "model.onnx"),
        lambda it: mf.predict(it, FEED),
        lambda it: mf.evaluate(it, FEED),
        lambda it: mf.fit(it, FEED, mf.SGD(0.1)),
    ]
    for call in calls:
        with pytest.raises(MiniflowError) as told:
            call(given)
        assert str(told.value).endswith(f"{way}."), told.value


def test_what_of_a_model_makes_nodes_is_told(tmp_path: pathlib.Path) -> None:
    mf.save(LOGITS, tmp_path / "model.safetensors", inputs={x: FEED[x]})
    with pytest.raises(MiniflowError, match=r"given: mf.graph_of\(model\) makes nodes of it\."):
        mf.value(mf.load(tmp_path / "model.safetensors"), FEED)
