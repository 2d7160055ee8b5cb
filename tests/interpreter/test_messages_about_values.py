"""Messages about shapes, labels and other values that a built-in node refuses, word for word."""

import numpy as np
import pytest
from messages import here, message_of

import miniflow as mf
from miniflow import errors

BROADCAST = (
    "it takes shapes that broadcast: from the last axis on, two sizes are equal or one of them is 1"
)

x, y, unnamed = mf.Input("x"), mf.Input("y"), mf.Input()

# --- Shapes

SHAPES = {
    "Add": (lambda: x + y, (2, 3), (4,), BROADCAST),
    "Sub": (lambda: x - y, (2, 3), (4,), BROADCAST),
    "Mul": (lambda: x * y, (2, 3), (4,), BROADCAST),
    "Div": (lambda: x / y, (2, 3), (4,), BROADCAST),
    "Pow": (lambda: x**y, (2, 3), (4,), BROADCAST),
    "Where": (lambda: mf.Where(x, y, 0.0), (2, 3), (4,), BROADCAST),
    "MatMul": (
        lambda: x @ y,
        (2, 3),
        (2, 3),
        "it takes (..., m, n) and (..., n, p): the last size of the first is the last but one of "
        "the second",
    ),
    "Concat": (
        lambda: mf.Concat(x, y),
        (2, 3),
        (2, 4),
        "it takes arrays of one rank whose sizes agree along every axis but the concatenated one",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_message_about_two_shapes_that_do_not_fit(name: str) -> None:
    build, a, b, fits = SHAPES[name]
    node = build()
    constant = " and Constant of shape ()" if name == "Where" else ""
    feed = {x: np.ones(a), y: np.ones(b)}
    assert message_of(errors.ShapeError, lambda: mf.value(node, feed)) == (
        f"{here(name)} got Input 'x' of shape {a} and Input 'y' of shape {b}{constant}; {fits}."
    )


ONE_INPUT = {
    "Softmax": (lambda: mf.Softmax(x), (0,), "an array with at least one entry along its axis"),
    "LogSoftmax": (
        lambda: mf.LogSoftmax(x, axis=1),
        (3,),
        "an array with at least one entry along its axis",
    ),
    "Sum": (lambda: mf.Sum(x, axis=1), (3,), "an array that has that axis"),
    "Mean": (lambda: mf.Mean(x, axis=(0, 2)), (3, 2), "an array that has that axis"),
    "Max": (
        lambda: mf.Max(x),
        (0,),
        "an array that has that axis, and at least one entry along it",
    ),
    "Reshape": (
        lambda: mf.Reshape(x, (2, -1)),
        (3,),
        "an array whose number of entries fits the new shape, (2, -1)",
    ),
    "Transpose": (lambda: mf.Transpose(x, (1, 0)), (2, 3, 4), "an array with 2 axes"),
    "GetItem": (
        lambda: x[1, ..., 0:2, None, ::-1, [0, 5]],
        (2, 3, 4, 5),
        "an array in which [1, ..., 0:2, None, ::-1, [0, 5]] exists",
    ),
}


@pytest.mark.parametrize("name", ONE_INPUT)
def test_message_about_one_shape_that_does_not_fit(name: str) -> None:
    build, shape, fits = ONE_INPUT[name]
    node = build()
    assert message_of(errors.ShapeError, lambda: mf.value(node, {x: np.ones(shape)})) == (
        f"{here(name)} got Input 'x' of shape {shape}; it takes {fits}."
    )


LINEAR = {
    "X is a vector": (
        (4,),
        (4, 2),
        (2,),
        "Input 'x' has shape (4,); it must have rows and columns, (m, n). "
        "A single example is one row: x[np.newaxis, :].",
    ),
    "W does not fit X": (
        (5, 4),
        (5, 2),
        (2,),
        "Input 'x' has shape (5, 4) and Input 'y' has shape (5, 2); "
        "Input 'y' must have shape (4, p): a row for each column of Input 'x'.",
    ),
    "W is a vector": (
        (5, 4),
        (4,),
        (2,),
        "Input 'x' has shape (5, 4) and Input 'y' has shape (4,); "
        "Input 'y' must have shape (4, p): a row for each column of Input 'x'.",
    ),
    "b does not fit W": (
        (5, 4),
        (4, 2),
        (4,),
        "Input has shape (4,); it must have shape (2,): "
        "an entry for each column of Input 'y', (4, 2).",
    ),
}


@pytest.mark.parametrize("case", LINEAR)
def test_message_about_the_shapes_of_linear(case: str) -> None:
    *shapes, expected = LINEAR[case]
    node = mf.Linear(x, y, unnamed, name="logits")
    feed = dict(zip([x, y, unnamed], map(np.ones, shapes), strict=True))
    seen = message_of(errors.ShapeError, lambda: mf.value(node, feed))
    assert seen == f"{here('Linear', 'logits')}: {expected}"


def test_messages_about_integers_indices_and_empty_lists() -> None:
    largest = {x: np.array([2**63 - 1])}
    assert message_of(errors.GraphError, lambda: mf.value(x + 1, largest)) == (
        f"{here('Add')}: its whole numbers leave int64, which ends at 9.2e18: feed floats instead, "
        "x.astype(float)."
    )
    assert message_of(errors.ShapeError, lambda: mf.value(x[0], {x: 2.5})) == (
        f"{here('GetItem')}: Input 'x' is the number 2.5; it takes an array in which [0] exists."
    )
    assert message_of(errors.GraphError, lambda: x[y]) == (
        f"{here('GetItem')}: an index that is a node goes through Gather(x, index)."
    )
    assert message_of(errors.GraphError, mf.Concat) == "Concat takes at least one node."


def test_messages_about_look_ups() -> None:
    node = mf.Gather(x, y)
    table = np.ones((4, 2))
    assert message_of(errors.ShapeError, lambda: mf.value(node, {x: table, y: [0.5]})) == (
        f"{here('Gather')} takes a table of shape (k, ...) and integers; "
        "it got a table of shape (4, 2) and indices of dtype float64."
    )
    for indices, seen in (([0, 4], "0 to 4"), ([-1, 2], "-1 to 2")):
        assert message_of(
            errors.GraphError, lambda i=indices: mf.value(node, {x: table, y: i})
        ) == (
            f"{here('Gather')}: the indices run from {seen}; "
            "the table of shape (4, 2) has the rows 0 to 3."
        )


# --- Labels

LABELS = {
    "a column": (
        np.array([[0], [1]]),
        errors.ShapeError,
        "Input 'y' has shape (2, 1); labels have shape (2,), one for each row of Input 'x', "
        "(2, 3). Take its only column: y[:, 0].",
    ),
    "one-hot": (
        np.eye(3)[:2],
        errors.ShapeError,
        "Input 'y' has shape (2, 3); labels have shape (2,), one for each row of Input 'x', "
        "(2, 3). One-hot labels become numbers by y.argmax(axis=1).",
    ),
    "too many": (
        np.array([0, 1, 2]),
        errors.ShapeError,
        "Input 'y' has shape (3,); labels have shape (2,), one for each row of Input 'x', (2, 3).",
    ),
    "floating": (
        np.array([0.0, 1.0]),
        errors.GraphError,
        "Input 'y' has dtype float64; labels are integers: y.astype(int).",
    ),
    "too large": (
        np.array([0, 3]),
        errors.GraphError,
        "Input 'y' has labels from 0 to 3; Input 'x' of shape (2, 3) has the classes 0 to 2.",
    ),
    "negative": (
        np.array([-1, 2], np.int8),
        errors.GraphError,
        "Input 'y' has labels from -1 to 2; Input 'x' of shape (2, 3) has the classes 0 to 2.",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_message_about_labels(case: str) -> None:
    labels, error, expected = LABELS[case]
    node = mf.CrossEntropyWithSoftmax(x, y)
    seen = message_of(error, lambda: mf.value(node, {x: np.ones((2, 3)), y: labels}))
    assert seen == f"{here('CrossEntropyWithSoftmax')}: {expected}"


@pytest.mark.parametrize("shape", [(3,), (), (0, 3), (2, 0)])
def test_message_about_logits(shape: tuple[int, ...]) -> None:
    node = mf.CrossEntropyWithSoftmax(x, y)
    feed = {x: np.ones(shape), y: np.zeros(shape[:1], int)}
    assert message_of(errors.ShapeError, lambda: mf.value(node, feed)) == (
        f"{here('CrossEntropyWithSoftmax')}: Input 'x' has shape {shape}; logits have shape "
        "(n, k), or (n, ..., k), with one row and one class or more."
    )


def test_messages_about_the_options_of_cross_entropy() -> None:
    name = here("CrossEntropyWithSoftmax")
    assert (
        message_of(errors.GraphError, lambda: mf.CrossEntropyWithSoftmax(x, y, label_smoothing=1.0))
        == f"{name}: label_smoothing is in [0, 1), and was 1.0."
    )
    node = mf.CrossEntropyWithSoftmax(x, y, class_weights=[1.0, 2.0])
    feed = {x: np.ones((2, 3)), y: np.array([0, 1])}
    assert message_of(errors.ShapeError, lambda: mf.value(node, feed)) == (
        f"{name}: class_weights has shape (2,); Input 'x' of shape (2, 3) has 3 classes."
    )


@pytest.mark.parametrize("cls", [mf.MSE, mf.BinaryCrossEntropy])
def test_message_about_losses_of_two_shapes(cls: type) -> None:
    """NumPy would broadcast (n, 1) with (n,) to (n, n), without a word."""
    feed = {x: np.ones((2, 1)), y: np.ones(2)}
    assert message_of(errors.ShapeError, lambda: mf.value(cls(x, y), feed)) == (
        f"{here(cls.__name__)}: Input 'x' has shape (2, 1) and Input 'y' has shape (2,); "
        "they must have the same shape, and at least one entry."
    )


def test_message_about_probabilities_out_of_range() -> None:
    node = mf.BinaryCrossEntropy(x, y)
    feed = {x: np.ones(2), y: np.array([0.0, 1.5])}
    assert message_of(errors.GraphError, lambda: mf.value(node, feed)) == (
        f"{here('BinaryCrossEntropy')}: Input 'y' runs from 0.0 to 1.5; "
        "it holds probabilities, from 0 to 1."
    )


def test_messages_about_a_dummy_gradient() -> None:
    dummy = mf.DummyGrad(x)
    fed = np.ones((2, 3))
    assert message_of(errors.FeedError, lambda: mf.value_and_grad(dummy, {x: fed}, [x])) == (
        f"{here('DummyGrad')} is fed its upstream gradient: feed_dict[dummy] = gradient."
    )
    for shape in ((2,), (2, 2, 3), (2, 1, 3)):
        feed = {x: fed, dummy: np.ones(shape)}
        assert message_of(
            errors.ShapeError, lambda feed=feed: mf.value_and_grad(dummy, feed, [x])
        ) == (
            f"{here('DummyGrad')} was fed a gradient of shape {shape}; its value has shape (2, 3)."
        )


def test_message_about_a_parameter_without_a_value() -> None:
    assert message_of(errors.GraphError, lambda: mf.Parameter(None, "W")) == (
        "Parameter 'W' was given None (NoneType): it takes real numbers and arrays of them."
    )


def test_message_about_a_number_to_flatten() -> None:
    assert message_of(errors.ShapeError, lambda: mf.value(mf.Flatten(x), {x: 3.0})) == (
        f"{here('Flatten')}: Input 'x' is a number; it takes an array with at least one axis."
    )


def test_message_about_a_list_of_nodes_to_concatenate() -> None:
    assert message_of(errors.GraphError, lambda: mf.Concat([x, y])) == (
        "Concat takes its nodes one by one, and not in a list: Concat(x, y, axis=0)."
    )


def test_message_about_a_power_that_is_no_real_number() -> None:
    expected = (
        f"{here('Pow')}: Input 'x' is -4.0 and Constant is 0.5: that power of a negative number is "
        "no real number."
    )
    node = x**0.5
    assert message_of(errors.GraphError, lambda: mf.value(node, {x: -4.0})) == expected
    assert message_of(errors.GraphError, lambda: mf.compile(node)({x: -4.0})) == expected


def test_message_about_a_seed_that_is_an_array_is_short() -> None:
    node = mf.Dropout(np.ones(3), x)
    assert message_of(errors.GraphError, lambda: mf.value(node, {x: np.arange(500)})) == (
        f"{here('Dropout')}: Input 'x' is an array of shape (500,) and dtype int64; "
        "it must be a whole number below 2**63, or an np.uint64."
    )
