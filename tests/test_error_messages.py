"""Every message about a user's graph, word for word.

A message names the node (class, name, the line that built it), what was seen and what would fit.
`docs/errors.md` shows many of these as a reader meets them; here each one is held to its words.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul
from conformance.losses import CrossEntropyEye, CrossEntropyWithSoftmax

import miniflow as mf
from miniflow import errors

BROADCAST = (
    "it takes shapes that broadcast: from the last axis on, two sizes are equal or one of them is 1"
)


def message_of(error: type, call: Callable[[], Any]) -> str:
    """The message of exactly that class of error; the lines of this file, which move, as `:N`."""
    with pytest.raises(errors.MiniflowError) as caught:
        call()
    assert type(caught.value) is error
    return re.sub(r"(test_error_messages\.py):\d+", r"\1:N", str(caught.value))


def here(cls: str, name: str | None = None) -> str:
    label = cls if name is None else f"{cls} '{name}'"
    return f"{label} (test_error_messages.py:N)"


def test_errors_can_be_caught_as_the_built_in_ones_that_they_stand_for() -> None:
    assert issubclass(errors.GraphError, errors.MiniflowError)
    assert issubclass(errors.MiniflowError, Exception)
    for cls in (errors.FeedError, errors.ShapeError, errors.GradientError, errors.NodeError):
        assert issubclass(cls, errors.GraphError)
        assert issubclass(cls, ValueError)


# --- What is fed

x, y, unnamed = mf.Input("x"), mf.Input("y"), mf.Input()
area = mf.Mul(x, y, name="area")
W = mf.Parameter(np.eye(2), "W")

FEEDS = {
    "one value is missing": (
        lambda: mf.value(area, {x: 1}),
        errors.FeedError,
        f"{here('Mul', 'area')} needs a value for {here('Input', 'y')}: add it to feed_dict.",
    ),
    "several values are missing": (
        lambda: mf.value(area + unnamed),
        errors.FeedError,
        f"{here('Add')} needs a value for {here('Input', 'x')}, {here('Input', 'y')}, "
        f"{here('Input')}: add them to feed_dict.",
    ),
    "the output itself is not fed": (
        lambda: mf.value(x),
        errors.FeedError,
        f"{here('Input', 'x')} needs a value for {here('Input', 'x')}: add it to feed_dict.",
    ),
    "a computed node is fed": (
        lambda: mf.value(area, {x: 1, y: 2, area: 3}),
        errors.FeedError,
        f"feed_dict has {here('Mul', 'area')}, which is computed from its inbound nodes: "
        "feed those.",
    ),
    "a key is a name": (
        lambda: mf.value(area, {"x": 1}),
        errors.FeedError,
        "feed_dict has the key 'x' (str): its keys are nodes.",
    ),
    "a value is None": (
        lambda: mf.value(area, {x: None, y: 1}),
        errors.FeedError,
        f"feed_dict gives None for {here('Input', 'x')}: it takes a number or an array.",
    ),
    "a value is text": (
        lambda: mf.value(area, {x: "three", y: 1}),
        errors.GraphError,
        f"{here('Input', 'x')} was given 'three' (str): it takes real numbers and arrays of them.",
    ),
    "a value is a node": (
        lambda: mf.value(area, {x: y, y: 1}),
        errors.GraphError,
        f"{here('Input', 'x')} was given <Input 'y'> (Input): "
        "it takes real numbers and arrays of them.",
    ),
    "a value is complex": (
        lambda: mf.value(area, {x: np.ones((2, 3), complex), y: 1}),
        errors.GraphError,
        f"{here('Input', 'x')} was given an array of shape (2, 3) and dtype complex128: "
        "it takes real numbers and arrays of them.",
    ),
    "a value is ragged": (
        lambda: mf.value(area, {x: [[1, 2], [3]], y: 1}),
        errors.ShapeError,
        f"{here('Input', 'x')} was given [[1, 2], [3]] (list), which is no array: ...",
    ),
    "the feed is no dictionary": (
        lambda: mf.value(area, [(x, 1)]),  # type: ignore[arg-type]
        errors.FeedError,
        "feed_dict is a dictionary of node → value, and was [(<Input 'x'>, 1)] (list).",
    ),
    "the output is no node": (
        lambda: mf.check_gradients(3.0, {x: 1.0}),  # type: ignore[arg-type]
        errors.GraphError,
        "The output is a node, and 3.0 (float) was given.",
    ),
}


@pytest.mark.parametrize("case", FEEDS)
def test_message_about_a_feed(case: str) -> None:
    call, error, expected = FEEDS[case]
    seen = message_of(error, call)
    if expected.endswith("..."):  # NumPy's own words follow
        seen = seen[: len(expected) - 3] + "..."
    assert seen == expected


def test_source_that_makes_its_own_value_cannot_be_fed() -> None:
    class Three(mf.Node):
        def __init__(self) -> None:
            mf.Node.__init__(self, [])

        def forward(self) -> None:
            self.value = 3.0

    three = Three()
    assert message_of(errors.FeedError, lambda: mf.value(three * 2, {three: 4.0})) == (
        f"feed_dict has {here('Three')}, which makes its own value: its forward() takes none."
    )


def test_value_of_a_parameter_or_a_constant_is_held_to_the_same() -> None:
    numbers = "it takes real numbers and arrays of them."
    assert message_of(errors.GraphError, lambda: mf.Parameter("a", "W")) == (
        f"Parameter 'W' was given 'a' (str): {numbers}"
    )
    assert message_of(errors.GraphError, lambda: x + "a") == (
        f"a Constant was given 'a' (str): {numbers}"
    )


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
    assert message_of(errors.GraphError, lambda: mf.value(x**-1, {x: np.arange(1, 3)})) == (
        f"{here('Pow')}: Input 'x' holds integers and Constant holds negative ones; "
        "integers have no negative integer powers: make one of them float."
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


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3), (2, 0)])
def test_message_about_logits(shape: tuple[int, ...]) -> None:
    node = mf.CrossEntropyWithSoftmax(x, y)
    feed = {x: np.ones(shape), y: np.zeros(shape[:1], int)}
    assert message_of(errors.ShapeError, lambda: mf.value(node, feed)) == (
        f"{here('CrossEntropyWithSoftmax')}: Input 'x' has shape {shape}; logits have shape (n, k)."
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


# --- Gradients


def test_message_about_wrt_that_the_output_does_not_depend_on() -> None:
    head = mf.Neg(x)
    for node, told in ((y, here("Input", "y")), (area, here("Mul", "area"))):
        assert (
            message_of(
                errors.GradientError, lambda node=node: mf.value_and_grad(head, {x: 1.0}, [node])
            )
            == f"{here('Neg')} does not depend on {told}, so it has no gradient with respect to it."
        )


def test_message_about_wrt_that_is_no_list() -> None:
    for ask in (mf.value_and_grad, mf.check_gradients, mf.find_not_finite):
        assert (
            message_of(errors.GradientError, lambda ask=ask: ask(mf.Neg(x), {x: 1.0}, wrt=x))
            == f"wrt is a list of nodes: write wrt=[...] round {here('Input', 'x')}."
        )
    assert (
        message_of(
            errors.GradientError,
            lambda: mf.check_gradients(mf.Neg(x), {x: 1.0}, wrt=3),  # type: ignore[arg-type]
        )
        == "wrt is a list of nodes, and 3 (int) was given."
    )
    assert (
        message_of(
            errors.GradientError,
            lambda: mf.check_gradients(mf.Neg(x), {x: 1.0}, wrt=["x"]),  # type: ignore[list-item]
        )
        == "wrt has 'x' (str): it is a list of nodes."
    )


def test_messages_about_accuracy() -> None:
    assert message_of(errors.GraphError, lambda: mf.accuracy(mf.Neg(x), {x: 1.0})) == (
        f"accuracy needs a loss of (logits, labels); {here('Neg')} has 1 inbound nodes."
    )
    loss = mf.Mul(x, y)
    feed = {x: np.ones((3, 1)), y: np.ones(2)}
    feed[y] = np.ones((1, 2))
    assert message_of(errors.ShapeError, lambda: mf.accuracy(loss, feed)) == (
        f"accuracy of {here('Mul')}: logits (3, 1) and labels (2,) do not match."
    )


# --- Classes of one's own


class Unfinished(mf.Node):
    def __init__(self, *inputs: mf.Node, name: str | None = None) -> None:
        mf.Node.__init__(self, inputs, name)


class UnfinishedOp(mf.Op):
    pass


def test_messages_about_methods_that_are_missing() -> None:
    assert message_of(errors.GraphError, lambda: mf.value(Unfinished(x), {x: 1})) == (
        f"{here('Unfinished')} has no forward method: its class must define forward(self)."
    )
    assert message_of(errors.GraphError, lambda: mf.value(UnfinishedOp(x), {x: 1})) == (
        f"{here('UnfinishedOp')} has no compute method: "
        "its class must define compute(self, *values)."
    )

    class ForwardOnly(Unfinished):
        def forward(self) -> None:
            self.value = 1.0

    assert (
        message_of(errors.GraphError, lambda: mf.value_and_grad(ForwardOnly(x), {x: 1}, [x]))
        == f"{here('ForwardOnly')} has no backward method: its class must define backward(self)."
    )

    class ComputeOnly(mf.Op):
        def compute(self, x):
            return x

    assert (
        message_of(errors.GraphError, lambda: mf.value_and_grad(ComputeOnly(x), {x: 1}, [x]))
        == f"{here('ComputeOnly')} has no gradient method: define gradient(self, grad, *values)."
    )


def test_message_about_an_inbound_node_that_is_none() -> None:
    advice = "wrap it in Constant(...), or make it an Input and feed it."
    assert message_of(errors.GraphError, lambda: RawMul(x, 2.5)) == (
        f"{here('Mul')} takes nodes, and was given 2.5 (float): {advice}"
    )
    assert message_of(errors.GraphError, lambda: Unfinished(np.zeros((2, 3)), name="n")) == (
        f"{here('Unfinished', 'n')} takes nodes, and was given an array of shape (2, 3) and "
        f"dtype float64: {advice}"
    )


class WithoutInit(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        self.x = x

    def forward(self) -> None:
        self.value = self.x.value


def test_message_about_an_init_that_was_not_called() -> None:
    node = WithoutInit(x)
    told = "its __init__ must call Node.__init__(self, [its inbound nodes])."
    for attribute in ("inbound_nodes", "value", "gradients"):
        assert message_of(errors.GraphError, lambda a=attribute: getattr(node, a)) == (
            f"A WithoutInit has no `{attribute}`: {told}"
        )
    with pytest.raises(AttributeError, match=r"^'Input' object has no attribute 'velue'$"):
        x.velue  # noqa: B018


class Returns(Unfinished):
    def forward(self):
        return self.inbound_nodes[0].value * 2


def test_message_about_a_forward_that_sets_no_value_names_it_and_not_its_consumer() -> None:
    for consumer in (lambda n: n, lambda n: RawMul(n, x), lambda n: n + 1, mf.Sum, mf.Exp):
        node = Returns(x)
        assert (
            message_of(errors.GraphError, lambda c=consumer, n=node: mf.value(c(n), {x: 1.0}))
            == f"{here('Returns')}: forward() did not set self.value."
        )


class LeavesTooLittle(Unfinished):
    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value + self.inbound_nodes[1].value

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: np.ones(3)}


class LeavesAnInputWithoutItself(mf.Node):
    def forward(self, value) -> None:
        self.value = value

    def backward(self) -> None:
        self.gradients = {}


def test_messages_about_gradients_that_are_forgotten() -> None:
    feed = {x: np.ones(3), y: np.ones(3)}
    node = LeavesTooLittle(x, y, name="sum")
    assert message_of(errors.GradientError, lambda: mf.value_and_grad(node, feed, [x, y])) == (
        f"{here('LeavesTooLittle', 'sum')}: backward() left no gradient for its input "
        f"{here('Input', 'y')} in self.gradients."
    )
    assert len(mf.value_and_grad(node, feed, [x])[1]) == 1  # nobody asked for the other one
    source = LeavesAnInputWithoutItself()
    assert message_of(
        errors.GradientError, lambda: mf.value_and_grad(source * 2.0, {source: 1.0}, [source])
    ) == (
        f"{here('LeavesAnInputWithoutItself')}: backward() left no gradient for itself "
        "in self.gradients."
    )


@pytest.mark.parametrize(
    ("seen", "shape", "hint"),
    [
        ((3,), (2, 3), ""),
        ((3, 2), (2, 3), ": it is the transpose"),
        ((2, 3), (3,), ""),
        ((2, 3), (), ""),
        ((), (2, 3), ""),
    ],
)
def test_message_about_a_gradient_of_the_wrong_shape(seen, shape, hint: str) -> None:
    class Leaves(Unfinished):
        def forward(self) -> None:
            self.value = self.inbound_nodes[0].value

        def backward(self) -> None:
            self.gradients = {self.inbound_nodes[0]: np.full(seen, 2.0)}

    feed = {x: np.ones(shape)}
    assert message_of(errors.GradientError, lambda: mf.value_and_grad(Leaves(x), feed, [x])) == (
        f"{here('Leaves')}: backward() left a gradient of shape {seen} for {here('Input', 'x')}, "
        f"whose value has shape {shape}{hint}."
    )


def test_messages_about_what_gradient_returns() -> None:
    class One(mf.Op):
        def compute(self, x, y):
            return x * y

        def gradient(self, grad, x, y):
            return (grad * y,)

    feed = {x: np.ones(3), y: np.ones((2, 3))}
    assert message_of(errors.GradientError, lambda: mf.value_and_grad(One(x, y), feed, [x])) == (
        f"{here('One')}: gradient() returned 1 gradients for 2 inbound nodes; "
        "it must return one for each, None where there is none."
    )

    class Misfit(One):
        def gradient(self, grad, x, y):
            return grad * y, (grad * x).T

    assert message_of(errors.GradientError, lambda: mf.value_and_grad(Misfit(x, y), feed, [y])) == (
        f"{here('Misfit')}: gradient() returned a gradient of shape (3, 2) for an input of shape "
        f"(2, 3): {here('Input', 'y')}."
    )


def test_messages_about_code_that_raises_tell_the_node_and_the_shapes() -> None:
    class Typo(RawMul):
        def forward(self) -> None:
            self.value = self.inbound_nodes[0].valeu

    feed = {x: np.ones((2, 3)), y: 1.0}
    assert message_of(errors.NodeError, lambda: mf.value(Typo(x, y), feed)) == (
        f"{here('Typo')}: forward() failed with AttributeError: 'Input' object has no attribute "
        "'valeu'. Shapes of its inputs: Input 'x' (2, 3), Input 'y' ()."
    )

    class WrongKey(RawMul):
        def backward(self) -> None:
            for n in self.outbound_nodes:
                n.gradients[n]

    assert message_of(errors.NodeError, lambda: mf.value_and_grad(-WrongKey(x, y), feed, [x])) == (
        f"{here('WrongKey')}: backward() failed with KeyError: <Neg>. "
        "Shapes of its inputs: Input 'x' (2, 3), Input 'y' ()."
    )
    loss = CrossEntropyWithSoftmax(x, y)
    head = loss + CrossEntropyEye(x, y)
    feed = {x: np.zeros((1, 2)), y: np.array([1])}
    assert message_of(errors.NodeError, lambda: mf.value_and_grad(head, feed, [x])) == (
        f"{here('CrossEntropyWithSoftmax')}: backward() failed with AssertionError. "
        "Shapes of its inputs: Input 'x' (1, 2), Input 'y' (1,)."
    )


def test_original_error_of_a_nodes_own_code_is_the_cause() -> None:
    class Raises(Unfinished):
        def forward(self) -> None:
            raise ZeroDivisionError("by hand")

    with pytest.raises(errors.NodeError) as caught:
        mf.value(Raises(x), {x: 1.0})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_interrupts_are_no_errors_of_a_node() -> None:
    class Interrupted(Unfinished):
        def forward(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mf.value(Interrupted(x), {x: 1.0})


def test_message_about_a_cycle() -> None:
    a = mf.Add(x, x, name="a")
    a.inbound_nodes = [x, mf.Neg(a)]
    assert message_of(errors.GraphError, lambda: mf.value(a, {x: 1.0})) == (
        f"The graph has a cycle: {here('Add', 'a')} is computed from its own value."
    )
