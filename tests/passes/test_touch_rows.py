"""Tables are updated in the rows that were looked up, to the bit of an update of all rows."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import find
from miniflow.errors import MiniflowError, NotFiniteError
from miniflow.passes import stages, touch_rows

RNG = np.random.default_rng(0)
WORDS, WIDTH = 60, 3


def text(shape: tuple[int, ...], dtype: Any = np.int64) -> Any:
    return RNG.integers(0, 7, size=shape).astype(dtype)  # many of them several times


def graph(kind: str, dtype: Any = np.float32) -> tuple[mf.Node, dict[str, mf.Parameter], mf.Node]:
    X = mf.Input("X")
    table = mf.Parameter(RNG.normal(size=(WORDS, WIDTH)).astype(dtype), "table")
    V = mf.Parameter(RNG.normal(size=(WIDTH, 1)).astype(dtype), "V")
    found: mf.Node = mf.Embedding(X, table)
    if kind == "of several":
        found = mf.Mean(found, axis=1)
    elif kind == "of columns":
        found = mf.Gather(mf.Reshape(table, (WORDS, WIDTH, 1)), X)[:, :, 0]
    return mf.Mean(mf.Tanh(found @ V) ** 2), {"table": table, "V": V}, X


def dense(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    assert touch_rows in find(backend).passes
    module = import_module("miniflow.passes.touch_rows")
    monkeypatch.setattr(module, "ROWS_FOR_ONE", 10**9)


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize(("kind", "shape"), [("", (20,)), ("of several", (6, 4))])
def test_the_bits_are_those_of_an_update_of_all_rows(kind, shape, dtype, backend, monkeypatch):
    batches = [text(shape, whole) for whole in (np.int64, np.int32, np.uint8)]
    found = []
    for is_dense in (False, True):
        global RNG
        RNG = np.random.default_rng(7)
        loss, parameters, X = graph(kind, dtype)
        table = parameters["table"].value
        if is_dense:
            dense(monkeypatch, backend)
        step = mf.compile(loss, optimizer=mf.SGD(0.3), backend=backend)
        for batch in batches:
            step({X: batch})
        assert parameters["table"].value is table
        assert ("gather_update(table" in str(step.program)) != is_dense
        found.append([p.value.tobytes() for p in parameters.values()])
    assert found[0] == found[1]


def is_touched_by_rows(loss: mf.Node, X: mf.Node, fed: Any, optimizer: Any, **more: Any) -> bool:
    step = mf.compile(loss, optimizer=optimizer, backend="numpy", **more)
    step({X: fed})
    return "gather_update(table" in str(step.program)


def test_what_remembers_or_asks_for_all_of_the_gradient_moves_all_rows():
    loss, parameters, X = graph("")
    few, many = text((20,)), text((40,))
    assert is_touched_by_rows(loss, X, few, mf.SGD(0.1))
    assert is_touched_by_rows(loss, X, few, mf.SGD(mf.schedules.CosineDecay(0.1, steps=5)))
    groups = [(mf.SGD(0.1), [parameters["table"]]), (mf.Adam(0.1), [parameters["V"]])]
    assert is_touched_by_rows(loss, X, few, groups)
    assert not is_touched_by_rows(loss, X, many, mf.SGD(0.1))
    for optimizer in (mf.SGD(0.1, momentum=0.9), mf.Adam(0.1), mf.SGD(0.1, global_clipnorm=1.0)):
        assert not is_touched_by_rows(loss, X, few, optimizer)
    assert not is_touched_by_rows(loss, X, few, mf.SGD(0.1), wrt=[parameters["table"]])
    penalty = loss + 0.1 * mf.Sum(parameters["table"] ** 2)
    assert not is_touched_by_rows(penalty, X, few, mf.SGD(0.1))


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_step_that_fails_leaves_all_rows_as_they_were(backend):
    loss, parameters, X = graph("")
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
    step({X: text((20,))})
    before = parameters["table"].value.copy()
    outside = text((20,))
    outside[-1] = WORDS
    with pytest.raises(MiniflowError, match=rf"{WORDS}"):
        step({X: outside})
    np.testing.assert_array_equal(parameters["table"].value, before)
    parameters["V"].value = np.full((WIDTH, 1), np.nan, np.float32)
    with pytest.raises(NotFiniteError):
        step({X: text((20,))})
    np.testing.assert_array_equal(parameters["table"].value, before)


def test_two_tables_are_each_written_where_they_lie():
    X, Y = mf.Input("X"), mf.Input("Y")
    tables = [mf.Parameter(RNG.normal(size=(WORDS, WIDTH)), f"table{i}") for i in (1, 2)]
    pair = zip((X, Y), tables, strict=True)
    first, second = (mf.Mean(mf.Tanh(mf.Embedding(words, table))) for words, table in pair)
    loss = first + second
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    feed = {X: text((20,)), Y: text((20,))}
    expected = []
    value, gradients = mf.value_and_grad(loss, feed, tables)
    for table, gradient in zip(tables, gradients, strict=True):
        expected.append(table.value - 0.1 * gradient)
    assert step(feed) == pytest.approx(value)
    for table, right in zip(tables, expected, strict=True):
        np.testing.assert_allclose(table.value, right, rtol=1e-12)
    assert f"{WORDS * WIDTH}" not in step.source.replace(f"f64[{WORDS}, {WIDTH}]", "")
    assert step.source.count(f"f64[{WORDS}, {WIDTH}]") == 2  # the arguments


def test_the_pass_is_one_of_the_stages():
    loss, _, X = graph("")
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="reference")
    step({X: text((20,))})
    assert "touch_rows" in [name for name, _ in stages(step.program, find("native").passes)]
