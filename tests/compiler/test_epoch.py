"""`step.epoch`: many steps in one call are to the bit what as many single calls are."""

import re

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends.native.series import NativeSeries
from miniflow.compiler import rows
from miniflow.errors import CompileError, DataError, FeedError, GraphError, NotFiniteError
from miniflow.options import OptionError

ROWS = 50
COMPILED = ("reference", "numpy", "native")


def network(dtype=np.float32):
    """A loss with dropout and sample weights, its inputs and its parameters."""
    rng = np.random.default_rng(3)
    x, y, weights, seed = mf.Input("x"), mf.Input("y"), mf.Input("weights"), mf.Seed()
    w1 = mf.Parameter(rng.normal(size=(6, 8)).astype(dtype), "w1")
    w2 = mf.Parameter(rng.normal(size=(8, 3)).astype(dtype), "w2")
    b1, b2 = mf.Parameter(np.zeros(8, dtype), "b1"), mf.Parameter(np.zeros(3, dtype), "b2")
    hidden = mf.Dropout(mf.Tanh(mf.Linear(x, w1, b1)), seed, rate=0.25)
    score = mf.Linear(hidden, w2, b2)
    loss = mf.CrossEntropyWithSoftmax(score, y) + mf.Mean(mf.Sum(score**2, axis=1) * weights)
    return loss, (x, y, weights, seed), [w1, b1, w2, b2]


def examples(dtype=np.float32):
    """What is fed to the network's inputs but the seed."""
    rng = np.random.default_rng(4)
    return (
        rng.normal(size=(ROWS, 6)).astype(dtype),
        rng.integers(0, 3, ROWS),
        rng.uniform(0.5, 2.0, ROWS).astype(dtype),
    )


def compiled(backend, dtype=np.float32):
    loss, inputs, parameters = network(dtype)
    optimizer = mf.Adam(mf.schedules.CosineDecay(0.05, steps=20))
    return mf.compile(loss, optimizer=optimizer, backend=backend), inputs, parameters, optimizer


def order_of(batch):
    rows = np.random.default_rng(5).permutation(ROWS)
    return [rows[start : start + batch] for start in range(0, ROWS, batch)]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [5, 12])
def test_an_epoch_is_its_single_steps_to_the_bit(backend, dtype, batch):
    arrays, order = examples(dtype), order_of(batch)
    step, (*inputs, seed), parameters, optimizer = compiled(backend, dtype)
    expected = [
        step({n: a[rows] for n, a in zip(inputs, arrays, strict=True)} | {seed: 7 + number})
        for number, rows in enumerate(order)
    ]
    other, (*other_inputs, other_seed), others, other_optimizer = compiled(backend, dtype)
    data = dict(zip(other_inputs, arrays, strict=True)) | {other_seed: 7}
    losses = other.epoch(data, np.array(order) if ROWS % batch == 0 else order)
    assert losses.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(losses, expected)
    for one, another in zip(parameters, others, strict=True):
        np.testing.assert_array_equal(one.value, another.value)
    assert optimizer.state.keys() == other_optimizer.state.keys()
    for key, value in optimizer.state.items():
        np.testing.assert_array_equal(value, other_optimizer.state[key])


def test_without_a_seed_in_the_data_nothing_is_dropped():
    arrays, order = examples(), order_of(5)
    losses = []
    for run in ("epoch", "calls"):
        step, (*inputs, _), _, _ = compiled("numpy")
        data = dict(zip(inputs, arrays, strict=True))
        if run == "epoch":
            losses.append(step.epoch(data, order))
        else:
            losses.append([step({n: a[rows] for n, a in data.items()}) for rows in order])
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_data_may_be_mapped_lists_strided_or_of_another_byte_order(tmp_path, backend):
    x, target, w = mf.Input("x"), mf.Input("target"), mf.Parameter(np.zeros((2, 1)), "w")
    loss = mf.MSE(x @ w, target)
    values = np.arange(24.0).reshape(12, 2) / 24
    wanted = values.sum(1, keepdims=True)
    np.save(tmp_path / "x.npy", values)
    order = [[3, 1, 1], [0, 11, 5], [5, 6, 7], [1, 2, 3], [9, 8, 7], [0, 1]]
    found = []
    for given in (
        values,
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        values.tolist(),
        np.asfortranarray(values),
        values.astype(">f8"),
        np.repeat(values, 2, 0)[::2],
    ):
        w.value = np.zeros((2, 1))
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
        found.append(step.epoch({x: given, target: wanted}, order))
    for losses in found[1:]:
        np.testing.assert_array_equal(losses, found[0])


def test_a_single_number_is_fed_at_every_step():
    x, scale, w = mf.Input("x"), mf.Input("scale"), mf.Parameter(np.ones(1), "w")
    step = mf.compile(mf.Mean((w * scale - x) ** 2), optimizer=mf.SGD(0.0))
    losses = step.epoch({x: np.zeros((4, 1)), scale: 3.0}, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(losses, [9.0, 9.0])


def test_an_order_without_steps_makes_none():
    step, inputs, parameters, _ = compiled("numpy")
    before = [p.value.copy() for p in parameters]
    losses = step.epoch(dict(zip(inputs[:3], examples(), strict=True)), [])
    assert losses.shape == (0,)
    for parameter, value in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (np.arange(6), "order.reshape(-1, n)"),
        (np.zeros((2, 2, 2), int), "has the shape (2, 2, 2)"),
        (np.float32([[0, 1]]), "order[0] has numbers of the dtype float32: rows are whole numbers"),
        (np.array([[True, False]]), "of the dtype bool"),
        ([[0, 1], [2, ROWS]], f"order[1] has the row {ROWS}; data has {ROWS}, 0 to {ROWS - 1}."),
        ([[0, -1]], "order[0] has the row -1"),
        ([[0, 1], []], "order[1] has no rows"),
        ([0, 1], "order[0] is 0 (int): it has the row numbers of one step"),
        ([[0, 1], [[2]]], "order[1] is "),
        ("rows", "not 'rows' (str)"),
        (None, "not None"),
        (iter([[0]]), "order is an array of row numbers"),
    ],
)
def test_an_order_that_is_none_is_refused_before_the_first_step(order, says):
    step, inputs, parameters, _ = compiled("numpy")
    before = [p.value.copy() for p in parameters]
    with pytest.raises(DataError, match=re.escape(says)):
        step.epoch(dict(zip(inputs[:3], examples(), strict=True)), order)
    for parameter, value in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)


def test_data_that_does_not_fit_is_refused_before_the_first_step():
    step, (x, y, weights, seed), (w1, *_), _ = compiled("numpy")
    images, labels, given = examples()
    whole = {x: images, y: labels, weights: given}
    refused = [
        (whole | {y: labels[:-1]}, DataError, "different lengths: 50 for Input 'x'"),
        ({x: images, y: labels}, FeedError, "needs a value for Input 'weights'"),
        ({seed: 1}, DataError, "data has no array"),
        ([images, labels], DataError, "data is a dictionary"),
        (None, DataError, "data is a dictionary"),
        (whole | {"x": images}, FeedError, "data has the key 'x'"),
        (whole | {w1: images}, FeedError, "is fed, and the optimizer updates it"),
        (whole | {seed: np.arange(10)}, OptionError, "counts up by one"),
        (whole | {seed: 0.5}, OptionError, "counts up by one"),
        (whole | {x: images.astype(complex)}, GraphError, "real numbers"),
    ]
    before = w1.value.copy()
    for data, error, says in refused:
        with pytest.raises(error, match=re.escape(says)):
            step.epoch(data, [[0, 1], [2, 3]])
        np.testing.assert_array_equal(w1.value, before)


def test_without_an_optimizer_there_is_no_epoch():
    loss, inputs, _ = network()
    with pytest.raises(CompileError, match="there is no optimizer"):
        mf.compile(loss).epoch(dict(zip(inputs[:3], examples(), strict=True)), [[0]])


@pytest.mark.parametrize("backend", COMPILED)
def test_what_is_not_finite_ends_it_with_the_losses_before(backend):
    arrays, order = examples(), order_of(5)
    arrays[0][order[3][2], 1] = np.nan
    step, inputs, parameters, _ = compiled(backend)
    with pytest.raises(NotFiniteError, match=r"^Step 3 of the epoch: .*Input 'x'") as caught:
        step.epoch(dict(zip(inputs, (*arrays, 3), strict=True)), order)
    reference, (*others, seed), same, _ = compiled(backend)
    expected = [
        reference({n: a[rows] for n, a in zip(others, arrays, strict=True)} | {seed: 3 + number})
        for number, rows in enumerate(order[:3])
    ]
    np.testing.assert_array_equal(caught.value.losses, expected)
    for one, another in zip(parameters, same, strict=True):
        np.testing.assert_array_equal(one.value, another.value)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_another_error_says_at_which_step(backend):
    images, labels, given = examples()
    labels[20] = 9
    step, (x, y, weights, _), _, _ = compiled(backend)
    order = [[0, 1], [2, 3], [5, 6], [20, 4], [7, 8]]
    with pytest.raises(GraphError, match="labels") as caught:
        step.epoch({x: images, y: labels, weights: given}, order)
    assert caught.value.__notes__ == ["This was step 3 of the epoch; 3 have been made."]


def test_rows_side_by_side_are_read_where_they_lie_to_the_same_bits():
    arrays, found = examples(), []
    for order in (np.arange(ROWS).reshape(10, 5), list(np.arange(ROWS).reshape(10, 5))[:9]):
        step, inputs, parameters, _ = compiled("native")
        data = dict(zip(inputs, (*arrays, 3), strict=True))
        losses = [*step.epoch(data, order)]
        if len(losses) < 10:
            last = {n: a[45:] for n, a in zip(inputs, arrays, strict=False)}
            losses.append(step(last | {inputs[3]: 12}))
        found.append([np.array(losses), *(p.value for p in parameters)])
    for one, another in zip(*found, strict=True):
        np.testing.assert_array_equal(one, another)


def test_native_makes_many_steps_in_one_call(monkeypatch):
    runs = []
    run = NativeSeries.run
    monkeypatch.setattr(
        NativeSeries,
        "run",
        lambda self, *given: runs.append(run(self, *given)) or runs[-1],
    )
    monkeypatch.setattr(rows, "A_CALL", 60.0)  # on a busy machine, too
    arrays = examples()
    step, inputs, _, _ = compiled("native")
    order = np.random.default_rng(0).integers(0, ROWS, (300, 5))
    step.epoch(dict(zip(inputs, (*arrays, 3), strict=True)), order)
    assert sum(result.made for result in runs) == 299  # the first is a call by itself
    assert len(runs) < 10


def test_a_part_of_numpys_makes_an_epoch_a_loop_and_source_says_so():
    whole, w = mf.Input("whole"), mf.Parameter(np.array([0.5, 2.0]), "w")
    loss = mf.Mean((whole**whole - w) ** 2)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    losses = step.epoch({whole: np.arange(8).reshape(4, 2)}, [[0, 1], [1, 0], [1, 1]])
    assert len(losses) == 3
    assert "numpy.power" in step.source
    assert step.source.startswith("# NumPy has a part in each step: an epoch is a loop in Python.")


def test_data_that_a_step_updates_are_read_as_the_step_before_has_left_them():
    order = np.random.default_rng(1).integers(0, 6, (12, 2))
    results = []
    for is_epoch in (False, True):
        x, W = mf.Input("x"), mf.Parameter(np.random.default_rng(0).normal(size=(6, 3)), "W")
        loss = mf.Mean((mf.MatMul(x, mf.Transpose(W)) - 1.0) ** 2)
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
        if is_epoch:
            losses = step.epoch({x: W.value}, order)
        else:
            losses = np.array([step({x: W.value[rows]}) for rows in order])
        results.append((losses.tobytes(), W.value.tobytes()))
    assert results[0] == results[1]
