"""Model files: what was saved computes the same, whoever wrote the nodes; what a model takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.random_graphs import Recipe, may_hold_bytes, recipes
from saved_models import classifier, images, saved

import miniflow as mf
from miniflow.errors import FeedError, GraphError, MiniflowError, NotFiniteError, ShapeError
from miniflow.files.arrays import read_arrays
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir.store import MAX_EQUATIONS
from miniflow.options import OptionError

RNG = np.random.default_rng(4)


# --- There and back


@pytest.mark.parametrize("name", CASES)
def test_every_class_of_the_conformance_kit_is_saved(name: str, tmp_path: Path) -> None:
    head, feed, _, _ = CASES[name](np.float64)
    output = head.inbound_nodes[0] if isinstance(head, mf.DummyGrad) else head
    inputs = {n: feed[n] for n in ancestors_in_order(output) if n in feed}
    model = saved(output, tmp_path, inputs)
    expected = mf.value(output, feed)
    seen = model(*inputs.values())
    assert np.shape(seen) == np.shape(expected)
    scale = float(np.max(np.abs(expected), initial=1.0))
    np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-10 * scale)


@may_hold_bytes
@settings(max_examples=3 * settings.default.max_examples)
@given(recipes(most=4), st.sampled_from(["reference", "numpy"]))
def test_every_graph_is_saved(tmp_path_factory: Any, recipe: Recipe, backend: str) -> None:
    built = recipe.build()
    output = built.nodes[-1]
    fed = {n: x for n, x in built.feed.items() if n in ancestors_in_order(output)}
    fed = {n: np.asarray(x) for n, x in fed.items()}  # a model takes arrays
    model = saved(output, tmp_path_factory.mktemp("models"), fed, backend)
    with np.errstate(all="ignore"):
        expected = np.asarray(mf.value(output, fed))
    seen = np.asarray(model(*fed.values()))
    assert (seen.shape, seen.dtype) == (expected.shape, expected.dtype)
    scale = float(np.max(np.abs(expected), initial=1.0))
    relative = 1e-3 if expected.dtype == np.float32 else 1e-7
    np.testing.assert_allclose(seen, expected, rtol=0, atol=relative * scale)


def test_a_classifier_takes_any_number_of_rows(tmp_path: Path) -> None:
    X, y, logits, loss = classifier()
    mf.value(loss, {X: images(7), y: np.zeros(7, int)})
    model = saved(loss, tmp_path)
    assert model.inputs == [("X", (None, 6), np.dtype(float))]
    for n in (1, 2, 3, 7, 64, 0):
        np.testing.assert_allclose(model(images(n)), mf.value(logits, {X: images(n)}))
    assert model.outputs == 3
    assert model.parameter_count == 6 * 5 + 5 + 5 * 3 + 3
    assert (model.predict(images(9)) == mf.value(logits, {X: images(9)}).argmax(1)).all()
    assert model.predict(images(0)).shape == (0,)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for i, n in enumerate((3, 8)):
        X, y, _, loss = classifier()
        step = mf.compile(loss, wrt=[], backend="numpy")
        step({X: images(n), y: np.zeros(n, int)})
        path = tmp_path / f"{i}.safetensors"
        mf.save(loss, path)
        mf.save(loss, path)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_a_loss_is_saved_as_its_logits_unless_its_labels_are_among_the_inputs(
    tmp_path: Path,
) -> None:
    X, y, logits, loss = classifier()
    feed = {X: images(4), y: np.array([0, 1, 2, 0])}
    whole = saved(loss, tmp_path, {X: feed[X], y: feed[y]})
    assert float(whole(*feed.values())) == pytest.approx(float(mf.value(loss, feed)))
    only = saved(loss, tmp_path, {X: feed[X]})
    np.testing.assert_allclose(only(feed[X]), mf.value(logits, feed))


def test_a_product_of_two_numbers_is_no_loss(tmp_path: Path) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    mf.value(x * y, {x: 3.0, y: 4.0})
    assert float(saved(x * y, tmp_path, {x: 1.0, y: 1.0})(3.0, 4.0)) == 12
    node = x * y
    mf.value(node, {x: 3.0, y: 4.0})
    assert float(saved(node, tmp_path)(3.0, 4.0)) == 12


def test_inputs_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    node = mf.Sub(x, 2.0 * y)
    examples = {y: np.zeros((1, 2)), x: np.zeros((1, 2))}
    model = saved(node, tmp_path, examples)
    assert [entry.name for entry in model.inputs] == ["y", "x"]
    np.testing.assert_array_equal(model([[1.0, 2.0]], [[5.0, 5.0]]), [[3.0, 1.0]])
    mf.value(node, {x: np.zeros((3, 2)), y: np.zeros((3, 2))})
    assert [entry.name for entry in saved(node, tmp_path, [y, x]).inputs] == ["y", "x"]


def test_inputs_without_names_can_be_told_apart(tmp_path: Path) -> None:
    x, y = mf.Input(), mf.Input()
    model = saved(x + y, tmp_path, {x: np.zeros((1, 2)), y: np.zeros((1, 2))})
    assert [entry.name for entry in model.inputs] == ["Input", "Input 2"]


def test_an_input_that_has_not_as_many_rows_stays_as_it_is(tmp_path: Path) -> None:
    x, mask = mf.Input("x"), mf.Input("mask")
    model = saved(x * mask, tmp_path, {x: np.ones((2, 3)), mask: np.ones(3)})
    assert [entry.shape for entry in model.inputs] == [(None, 3), (3,)]
    assert model(np.ones((50, 3)), [1.0, 0.0, 2.0]).sum() == 150


class Doing(mf.Node):
    """Its value is what a function makes of its input's."""

    def __init__(self, x: mf.Node, code: Any) -> None:
        mf.Node.__init__(self, [x])
        self.code = code

    def forward(self) -> None:
        self.value = self.code(self.inbound_nodes[0].value)


FIXED = {
    "a slice of the rows": lambda x: x[:10],
    "all rows but the first": lambda x: x[1:] - x[:-1],
    "every second row": lambda x: x[::2],
    "products of all rows": lambda x: x @ x.T @ x,
    "a loop over the rows": lambda x: np.stack([row * i for i, row in enumerate(x)]),
    "no program for other rows": lambda x: x * 2 if len(x) == 4 else x * len(x.tolist()),
    "other code for a single row": lambda x: x * 2 if len(x) == 1 else x,
    "a variance without a mean of one": lambda x: x / max(len(x) - 1, 1),
    "other code for many rows": lambda x: x * 2 if len(x) > 100 else x,
    "an array of the number of rows": lambda x: x * np.array([1.0 / len(x)]),
    "an array as long as there are rows": lambda x: x * np.linspace(0, 1, len(x))[:, None],
    "a number of the number of rows": lambda x: x * float(len(x)) ** 1.5,
    "an assertion about the rows": lambda x: [x for _ in "1" if len(x) % 4 == 0][0],  # noqa: RUF015
}


@pytest.mark.parametrize("name", FIXED)
def test_a_program_that_depends_on_the_rows_is_right_or_stored_for_as_many(
    name: str, tmp_path: Path
) -> None:
    x = mf.Input("x")
    node = Doing(x, FIXED[name])
    model = saved(node, tmp_path, {x: np.ones((4, 3))})
    for n in (4, 8, 500, 1):
        rows = RNG.normal(size=(n, 3))
        if model.inputs[0].shape == (None, 3) or n == 4:
            np.testing.assert_allclose(model(rows), mf.value(node, {x: rows}))
        else:
            with pytest.raises(ShapeError, match=r"has shape \(4, 3\), and was given"):
                model(rows)


@pytest.mark.parametrize(
    "code",
    [
        lambda x: x - np.mean(x, axis=0),
        lambda x: np.concatenate([x, x]),
        lambda x: x.reshape(-1),
        lambda x: x.reshape(len(x), 3, 1) * np.arange(len(x))[:, None, None],
        lambda x: np.zeros((len(x), 2)) + x[:, :1],
        lambda x: x[-1],
        lambda x: x[::-1].T,
        lambda x: x / float(len(x)),
        lambda x: x * (1.0 / len(x)) - 3.0 / len(x),
    ],
)
def test_a_program_that_grows_evenly_works_for_any_number_of_rows(
    code: Any, tmp_path: Path
) -> None:
    x = mf.Input("x")
    node = Doing(x, code)
    model = saved(node, tmp_path, {x: np.ones((4, 3))})
    assert model.inputs[0].shape == (None, 3)
    for n in (1, 2, 4, 9):
        rows = RNG.normal(size=(n, 3))
        np.testing.assert_allclose(model(rows), mf.value(node, {x: rows}))


@pytest.mark.parametrize(
    "rows", [2**62, 2**70, 10**5000, -1, 1.5, True, None], ids=lambda x: str(type(x))
)
def test_a_number_of_rows_that_no_array_has_is_told(rows: Any, tmp_path: Path) -> None:
    x = mf.Input("x")
    model = saved(x * 2.0, tmp_path, {x: np.ones((4, 3))})
    with pytest.raises(OptionError, match=r"^program_for: rows is a whole number .*, not .*\.$"):
        model.program_for(rows)


@pytest.mark.parametrize("code", [lambda x: mf.Pad(x, width=1, value=2.0), lambda x: x[::-1] + 1])
@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_no_rows_are_put_anywhere(code: Any, backend: str, tmp_path: Path) -> None:
    x = mf.Input("x")
    node = code(x)
    mf.save(node, tmp_path / "m.safetensors", {x: np.ones((4, 3))})
    model, none = mf.load(tmp_path / "m.safetensors", backend=backend), np.ones((0, 3))
    np.testing.assert_array_equal(model(none), mf.value(node, {x: none}))


def test_code_that_is_not_the_same_twice_is_not_saved(tmp_path: Path) -> None:
    x = mf.Input("x")
    node = Doing(x, lambda value: value * np.random.rand(3))
    with pytest.raises(mf.CompileError, match="does not do the same twice"):
        mf.save(node, tmp_path / "model.safetensors", {x: np.ones((2, 3))})
    assert not list(tmp_path.iterdir())


def test_saving_leaves_the_graph_as_it_was(tmp_path: Path) -> None:
    X, y, _, loss = classifier()
    mf.value_and_grad(loss, {X: images(4), y: np.zeros(4, int)})
    before = {n: (n.value, dict(n.gradients)) for n in ancestors_in_order(loss)}
    saved(loss, tmp_path)
    for node, (value, gradients) in before.items():
        assert node.value is value
        assert node.gradients.keys() == gradients.keys()


def test_a_model_does_not_change_when_its_graph_learns_on(tmp_path: Path) -> None:
    X, _, logits, _ = classifier()
    model = saved(logits, tmp_path, {X: images(1)})
    before = model(images(2))
    for node in ancestors_in_order(logits):
        if isinstance(node, mf.Parameter):
            node.value += 1
    np.testing.assert_array_equal(model(images(2)), before)


def test_arrays_keep_their_order_however_many_there_are(tmp_path: Path) -> None:
    x = mf.Input("x")
    node = Doing(x, lambda value: value * np.array([2.0]) + np.array([3.0]) - np.array([4.0]))
    model = saved(node, tmp_path, {x: np.ones(1)})
    names = sorted(read_arrays(tmp_path / "model.safetensors", "model")[0])
    assert [name.split(".")[0] for name in names] == ["000000", "000001", "000002"]
    assert len(str(MAX_EQUATIONS)) <= 6  # no program has more, so this order is theirs
    assert model(np.ones(1)) == [1.0]


# --- What a model takes


def test_what_is_given_is_cast_where_nothing_is_lost(tmp_path: Path) -> None:
    x, i = mf.Input("x"), mf.Input("i")
    table = mf.Parameter(np.arange(12.0).reshape(4, 3), "table")
    node = mf.Gather(table, i) * x
    model = saved(node, tmp_path, {x: np.ones((2, 1), np.float32), i: np.zeros(2, np.uint8)})
    wanted = [[0.0, 0.5, 1.0], [9.0, 10.0, 11.0]]
    for factors in ([[0.5], [1]], np.array([[0.5], [1.0]]), np.array([[0.5], [1]], ">f2")):
        for rows in ([0, 3], np.array([0, 3], np.int64), np.array([0.0, 3.0])):
            np.testing.assert_allclose(model(factors, rows), wanted)
    model(np.full((2, 1), 1e300), [0, 0])  # too large for float32: infinite, as in NumPy


def test_arrays_of_any_layout_are_taken(tmp_path: Path) -> None:
    X, _, logits, _ = classifier()
    model = saved(logits, tmp_path, {X: images(1)})
    rows = images(5)
    wide = np.zeros((10, 12))
    wide[::2, ::2] = rows
    raw = np.zeros(rows.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(rows.shape)
    raw[...] = rows
    frozen = rows.copy()
    frozen.flags.writeable = False
    for given_ in (np.asfortranarray(rows), wide[::2, ::2], raw, frozen, rows.tolist()):
        np.testing.assert_allclose(model(given_), model(rows))


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), FeedError, "The model takes 2 arrays (x, i), and was given 0."),
        (
            (np.ones(3), [0]),
            ShapeError,
            "Input 'x' of the model has shape (n, 1), and was given (3,).",
        ),
        (
            (np.ones((3, 2)), [0]),
            ShapeError,
            "Input 'x' of the model has shape (n, 1), and was given (3, 2).",
        ),
        (
            (np.ones((3, 1)), [[0]]),
            ShapeError,
            "Input 'i' of the model has shape (n,), and was given (1, 1).",
        ),
        (
            (np.ones((3, 1)), [0]),
            ShapeError,
            "The model was given different numbers of rows: [1, 3].",
        ),
        (
            (np.ones((1, 1)), [0.5]),
            FeedError,
            "Input 'i' of the model holds uint8, and was given float64 that does not fit.",
        ),
        (
            (np.ones((1, 1)), [300]),
            FeedError,
            "Input 'i' of the model holds uint8, and was given int64 that does not fit.",
        ),
        (
            (np.ones((1, 1)), [7]),
            FeedError,
            "The model was given an index that is out of range: "
            "index 7 is out of bounds for axis 0 with size 4.",
        ),
        (
            (np.ones((1, 1), complex), [0]),
            GraphError,
            "Input 'x' of the model was given array([[1.+0.j]]) (ndarray): "
            "it takes real numbers and arrays of them, and there are complex ones in it: x.real "
            "and x.imag are real.",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_what_would(
    arrays: Any, error: type, message: str, tmp_path: Path
) -> None:
    x, i = mf.Input("x"), mf.Input("i")
    node = mf.Gather(mf.Parameter(np.arange(12.0).reshape(4, 3), "table"), i) * x
    model = saved(node, tmp_path, {x: np.ones((2, 1)), i: np.zeros(2, np.uint8)}, "reference")
    with pytest.raises(error) as caught:
        model(*arrays)
    assert str(caught.value) == message


def test_saving_what_was_never_fed_or_is_not_among_the_inputs_is_told(tmp_path: Path) -> None:
    X, y, logits, _ = classifier()
    path = tmp_path / "model.safetensors"
    with pytest.raises(GraphError) as caught:
        mf.save(logits, path)
    assert str(caught.value) == (
        f"{X} was never fed, so its shape is not known: "
        "give an example of what is fed, inputs={node: array}."
    )
    with pytest.raises(GraphError, match=r"needs Input 'X' .*, which is not among the inputs: \["):
        mf.save(logits, path, [y])
    with pytest.raises(GraphError, match=r"write inputs=\[\.\.\.\] round Input 'X'"):
        mf.save(logits, path, X)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mf.load(tmp_path / "none.safetensors")


def test_notes_are_kept_and_change_no_other_byte(tmp_path: Path) -> None:
    X, W = mf.Input("X"), mf.Parameter(np.eye(2), "W")
    notes = {"class_names": ["cat", "dog"], "size": (2, 3)}
    mf.save(X @ W, tmp_path / "a", inputs={X: np.zeros((1, 2))}, notes=notes)
    assert mf.load(tmp_path / "a").notes == {"class_names": ["cat", "dog"], "size": [2, 3]}
    for name, kept in (("b", None), ("c", {})):
        mf.save(X @ W, tmp_path / name, inputs={X: np.zeros((1, 2))}, notes=kept)
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert mf.load(tmp_path / "b").notes == {}


def test_notes_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    X, W = mf.Input("X"), mf.Parameter(np.eye(2), "W")
    for notes in ({"array": np.eye(2)}, {"number": float("nan")}):
        with pytest.raises(MiniflowError, match="save: notes hold names and what JSON can hold"):
            mf.save(X @ W, tmp_path / "a", inputs={X: np.zeros((1, 2))}, notes=notes)
    assert not (tmp_path / "a").exists()


# --- Scores that are NaN


@pytest.mark.parametrize("notes", [None, {"task": "regression"}])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_is_no_answer(columns: int, notes: Any, dtype: Any, tmp_path: Path) -> None:
    x, W = mf.Input("x"), mf.Parameter(np.ones((2, columns), dtype))
    mf.save(x @ W, tmp_path / "m.safetensors", {x: np.ones((1, 2), dtype)}, notes=notes)
    model = mf.load(tmp_path / "m.safetensors")
    rows = np.ones((5, 2), dtype)
    assert len(model.predict(rows)) == 5
    rows[2] = np.nan
    assert np.isnan(model(rows)).any()  # the numbers can still be looked at
    with pytest.raises(NotFiniteError, match=r"NaN in 1 of 5 rows, the first is row 2\."):
        model.predict(rows)
    rows[2] = np.inf, 1.0
    assert len(model.predict(rows)) == 5  # infinity is larger than any number


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_loss_is_saved_though_its_logits_were_last_asked_for_other_rows(backend, tmp_path):
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(np.eye(4, 3), "W")
    logits = X @ W
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    rows = RNG.normal(size=(12, 4))
    options = {"epochs": 1, "batch_size": 4, "progress": "none", "backend": backend}
    mf.fit(loss, {X: rows, y: np.zeros(12, int)}, mf.SGD(0.1), **options)
    mf.predict(logits, {X: rows}, backend=backend)
    mf.save(loss, tmp_path / "model.safetensors")
    np.testing.assert_allclose(mf.load(tmp_path / "model.safetensors")(rows), rows @ W.value)
