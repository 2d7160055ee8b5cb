"""Messages about what a pass is asked for and fed with, word for word."""

import numpy as np
import pytest
from messages import here, message_of

import miniflow as mf
from miniflow import errors


def test_errors_can_be_caught_as_the_built_in_ones_that_they_stand_for() -> None:
    assert issubclass(errors.GraphError, errors.MiniflowError)
    assert issubclass(errors.MiniflowError, Exception)
    for cls in (errors.FeedError, errors.ShapeError, errors.GradientError, errors.NodeError):
        assert issubclass(cls, errors.GraphError)
        assert issubclass(cls, ValueError)


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
        "it takes real numbers and arrays of them, and there are complex ones in it: x.real and "
        "x.imag are real.",
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


def test_place_that_a_message_names_is_the_line_that_built_the_node() -> None:
    node = mf.Exp(x, name="powers")
    with pytest.raises(errors.FeedError) as caught:
        mf.value(node)
    line = test_place_that_a_message_names_is_the_line_that_built_the_node.__code__.co_firstlineno
    assert str(caught.value) == (
        f"Exp 'powers' (test_messages_about_feeds.py:{line + 1}) needs a value for "
        f"Input 'x' ({x.where}): add it to feed_dict."
    )


# --- What is differentiated


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
