"""The two passes: values, gradients, and the defects that libraries of this kind are known for."""

import numpy as np
import pytest
from conformance import printed
from conformance.elementwise import Mul as RawMul
from conformance.losses import CrossEntropyWithSoftmax as RawCrossEntropy

import miniflow as mf
from miniflow.errors import GradientError, GraphError

# --- Consumers count once, and only those that lead to the output


def test_second_head_leaves_first_heads_gradients_alone() -> None:
    x, W = mf.Input(), mf.Parameter(np.array([[1.0], [2.0]]))
    shared = x @ W
    first = mf.Sum(shared * shared)
    feed = {x: np.array([[3.0, 4.0]])}
    _, [alone] = mf.value_and_grad(first, feed, [W])
    second = mf.Sum(shared * 100.0) + mf.Sum(W)
    _, [beside_another] = mf.value_and_grad(first, feed, [W])
    assert np.array_equal(alone, beside_another)
    _, [of_second] = mf.value_and_grad(second, feed, [W])
    assert np.array_equal(of_second, [[301.0], [401.0]])


def test_second_head_that_has_run_leaves_first_heads_gradients_alone() -> None:
    x, y = printed.Input(), printed.Input()
    g = RawMul(x, y)
    first, second = printed.Add(g, x), RawMul(g, g)
    feed = {x: 2.0, y: 3.0}
    mf.value_and_grad(second, feed, [x, y])
    assert mf.value_and_grad(first, feed, [x, y]) == (8.0, [4.0, 2.0])


def test_node_that_uses_an_input_twice_gets_both_shares() -> None:
    x = mf.Input()
    assert mf.value_and_grad(mf.Mul(x, x), {x: 3.0}, [x]) == (9.0, [6.0])
    assert mf.value_and_grad(RawMul(x, x), {x: 3.0}, [x]) == (9.0, [6.0])
    assert mf.value_and_grad(mf.Sub(x, x), {x: 3.0}, [x]) == (0.0, [0.0])
    assert mf.value_and_grad(mf.Div(x, x), {x: 3.0}, [x]) == (1.0, [0.0])


def test_second_backward_pass_repeats_the_first() -> None:
    x = mf.Input()
    f = x * x + x
    assert mf.value_and_grad(f, {x: 3.0}, [x]) == mf.value_and_grad(f, {x: 3.0}, [x])


def test_in_place_work_on_an_upstream_gradient_does_not_reach_a_sibling() -> None:
    class SquareInPlace(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.value = self.inbound_nodes[0].value ** 2

        def backward(self) -> None:
            x = self.inbound_nodes[0]
            self.gradients = {x: 0}
            for n in self.outbound_nodes:
                grad = n.gradients[self]
                grad *= 2 * x.value
                self.gradients[x] += grad

    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([1.0, 2.0]), y: np.array([10.0, 20.0])}
    for head, dx, dy in (
        (mf.Add(SquareInPlace(x), SquareInPlace(y)), [2.0, 4.0], [20.0, 40.0]),
        (mf.Sub(SquareInPlace(x), SquareInPlace(y)), [2.0, 4.0], [-20.0, -40.0]),
    ):
        _, gradients = mf.value_and_grad(head, feed, [x, y])
        assert np.array_equal(gradients, [dx, dy])


# --- Depth and width


def test_sixty_chained_diamonds_take_linear_time() -> None:
    x = mf.Input()
    a = x
    for _ in range(60):
        a = a + a
    assert mf.value_and_grad(a, {x: 1}, [x]) == (2**60, [2.0**60])


def test_sixty_chained_diamonds_of_two_nodes_each_take_linear_time() -> None:
    x = printed.Input()
    a = x
    for _ in range(60):
        a = printed.Add(RawMul(a, mf.Constant(1.0)), a)
    assert mf.value_and_grad(a, {x: 1.0}, [x]) == (2.0**60, [2.0**60])


# --- Any node may be the output, and any in wrt


def test_output_without_a_dummy_gradient_has_an_upstream_gradient_of_one() -> None:
    x = mf.Input()
    assert mf.value_and_grad(x * x, {x: 3}, [x]) == (9, [6.0])
    value, [dx] = mf.value_and_grad(x * 2.0, {x: np.arange(3.0)}, [x])
    assert np.array_equal(value, [0.0, 2.0, 4.0])
    assert np.array_equal(dx, [2.0, 2.0, 2.0])


def test_input_may_be_the_output() -> None:
    for x in (mf.Input(), printed.Input()):
        assert mf.value_and_grad(x, {x: 3.0}, [x]) == (3.0, [1.0])


def test_output_may_be_in_wrt() -> None:
    x = mf.Input()
    f = x * x
    assert mf.value_and_grad(f, {x: 3.0}, [f, x]) == (9.0, [1.0, 6.0])


def test_wrt_may_name_interior_nodes() -> None:
    x, y = mf.Input(), mf.Input()
    g = x * y
    h = g + x
    f = h * g
    value, gradients = mf.value_and_grad(f, {x: 2.0, y: 3.0}, [g, h, x])
    assert value == 48.0
    assert gradients == [14.0, 6.0, 48.0]  # df/dg = h + g, df/dh = g


def test_wrt_may_name_an_interior_node_of_a_raw_class() -> None:
    x, y = printed.Input(), printed.Input()
    g = RawMul(x, y)
    f = printed.Add(RawMul(g, g), g)
    assert mf.value_and_grad(f, {x: 2.0, y: 3.0}, [g]) == (42.0, [13.0])


def test_gradients_come_in_the_order_of_wrt_and_may_repeat() -> None:
    x, y = mf.Input(), mf.Input()
    a, b = np.ones(2), np.full(2, 3.0)
    _, gradients = mf.value_and_grad(x * y, {x: a, y: b}, (y, x, y))
    assert np.array_equal(gradients, [a, b, a])


def test_empty_wrt_returns_no_gradients_and_computes_all_of_them() -> None:
    x, y = mf.Input(), mf.Input()
    assert mf.value_and_grad(x * y, {x: 2.0, y: 3.0}, wrt=()) == (6.0, [])
    assert (x.gradients, y.gradients) == ({x: 3.0}, {y: 2.0})


def test_without_wrt_the_gradients_are_those_of_all_parameters_in_the_order_of_the_graph() -> None:
    x, second, first = mf.Input(), mf.Parameter(5.0), mf.Parameter(3.0)
    mf.Parameter(7.0)  # has no part in it
    output = first * x + second * first
    assert mf.value_and_grad(output, {x: 2.0}) == (21.0, [7.0, 3.0])
    assert mf.value_and_grad(first) == (3.0, [1.0])
    assert mf.value_and_grad(output, {x: 2.0, first: 4.0}) == (28.0, [7.0, 4.0])  # one is fed


def test_without_wrt_and_without_parameters_the_way_out_is_named() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(GradientError, match=r"depends on no Parameter: .* wrt=\[x, y\]\.$"):
        mf.value_and_grad(x * y, {x: 2.0, y: 3.0})


def test_a_compiled_graph_without_wrt_gives_the_value_alone() -> None:
    w = mf.Parameter(3.0)
    assert mf.compile(w * w)({}) == 9.0


def test_without_a_feed_only_parameters_and_constants_speak() -> None:
    W = mf.Parameter(3.0)
    assert mf.value_and_grad(W * 2.0, wrt=[W]) == (6.0, [2.0])
    assert mf.value(W * 2.0) == 6.0


def test_inputs_that_the_output_does_not_need_may_be_fed() -> None:
    x, y = mf.Input(), mf.Input()
    dummy = mf.DummyGrad(y)
    assert mf.value(x * 2, {x: 3, y: 4, dummy: 1.0}) == 6
    assert y.value is None


# --- What comes back belongs to the caller


def test_returned_gradients_share_no_memory_with_each_other() -> None:
    x, y = mf.Input(), mf.Input()
    turned = mf.Transpose(x)  # whose gradient is a view of what comes to it
    feed = {x: np.ones((2, 3)), y: np.ones((3, 2))}
    _, gradients = mf.value_and_grad(turned + y, feed, [turned, x, y, x])
    for i, gradient in enumerate(gradients):
        assert np.array_equal(gradient, np.ones(gradient.shape))
        gradient *= 0.0
        assert all(np.all(other == 1.0) for other in gradients[i + 1 :])


def test_fed_upstream_gradient_is_not_handed_back_as_a_gradient() -> None:
    x, fed = mf.Input(), np.ones(3)
    dummy = mf.DummyGrad(x)
    _, [dx] = mf.value_and_grad(dummy, {x: np.zeros(3), dummy: fed}, [x])
    dx *= 0.0
    assert np.array_equal(fed, np.ones(3))


def test_a_pass_leaves_the_fed_arrays_as_they_were() -> None:
    X, y = np.linspace(-1, 1, 6).reshape(2, 3), np.array([0, 2])
    x, labels = mf.Input(), mf.Input()
    mf.value_and_grad(mf.CrossEntropyWithSoftmax(x, labels), {x: X, labels: y}, [x])
    assert np.array_equal(X, np.linspace(-1, 1, 6).reshape(2, 3))
    assert np.array_equal(y, [0, 2])


def test_fed_array_may_be_read_only() -> None:
    X = np.ones((2, 3))
    X.flags.writeable = False
    x = mf.Input()
    _, [dx] = mf.value_and_grad(mf.Sum(x * x), {x: X}, [x])
    assert dx.flags.writeable


# --- Numbers are NumPy's


def test_python_scalars_stay_scalars() -> None:
    x, y = mf.Input(), mf.Input()
    value, gradients = mf.value_and_grad(x * y + x, {x: 3, y: 4}, [x, y])
    assert (type(value), value) == (int, 15)
    assert [type(g) for g in gradients] == [float, float]


def test_integers_are_promoted_where_a_gradient_needs_it() -> None:
    x = mf.Input()
    for fed in (np.arange(1, 4), np.arange(1, 4, dtype=np.int8), np.arange(1, 4, dtype=np.uint8)):
        value, [dx] = mf.value_and_grad(x * x, {x: fed}, [x])
        assert value.dtype == np.int64
        assert np.array_equal(dx, [2.0, 4.0, 6.0])
        assert dx.dtype == np.float64


def test_lists_are_fed_as_arrays() -> None:
    x = mf.Input()
    assert np.array_equal(mf.value(x * 2, {x: [1, 2]}), [2, 4])


def test_booleans_and_numpy_numbers_can_be_fed() -> None:
    x = mf.Input()
    assert mf.value(x * 2, {x: True}) == 2
    for node, gradient in ((x * 2, 2.0), (x, 1.0)):
        value, [dx] = mf.value_and_grad(node, {x: np.float32(1.5)}, [x])
        assert (value, dx) == (1.5 * gradient, gradient)
        assert type(value) is type(dx) is np.float32


def test_gradients_of_broadcast_inputs_are_summed_back() -> None:
    x, b, s = mf.Input(), mf.Input(), mf.Input()
    feed = {x: np.ones((4, 3)), b: np.ones((1, 3)), s: 2.0}
    value, [dx, db, ds] = mf.value_and_grad((x + b) * s, feed, [x, b, s])
    assert value.shape == (4, 3)
    assert np.array_equal(dx, np.full((4, 3), 2.0))
    assert np.array_equal(db, np.full((1, 3), 8.0))
    assert ds == 24.0
    assert np.ndim(ds) == 0


def test_logits_of_ten_thousand_give_finite_losses_and_gradients() -> None:
    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]]), y: np.array([1, 2])}
    value, [dx] = mf.value_and_grad(mf.CrossEntropyWithSoftmax(x, y), feed, [x])
    assert value == 1e4
    assert np.array_equal(dx, [[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])


# --- The end of a graph


class AtTheEnd(mf.Node):
    """The output of a pass, noting how its outbound_nodes looks in backward."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * 1.0

    def backward(self) -> None:
        end = self.outbound_nodes
        self.noted = {
            "length": len(end),
            "empty": end == [] and not end,
            "a list": isinstance(end, list),
            "loop": [n.gradients[self] for n in end],
            "loop again": [n.gradients[self] for n in end],
            "in a list": len([*end]),
        }
        self.gradients = {self.inbound_nodes[0]: sum(n.gradients[self] for n in end)}


def test_at_the_output_outbound_nodes_is_empty_yet_a_loop_meets_a_gradient_of_one() -> None:
    x = mf.Input()
    end = AtTheEnd(x)
    assert mf.value_and_grad(end, {x: 3.0}, [x]) == (3.0, [1.0])
    assert end.noted == {
        "length": 0,
        "empty": True,
        "a list": True,
        "loop": [1.0],
        "loop again": [1.0],
        "in a list": 1,
    }
    assert list(end.outbound_nodes) == []  # at rest


def test_gradient_at_the_end_has_the_shape_and_the_dtype_of_the_value() -> None:
    x = mf.Input()
    end = AtTheEnd(x)
    mf.value_and_grad(end, {x: np.zeros((2, 3), np.float32)}, [x])
    [one] = end.noted["loop"]
    assert np.array_equal(one, np.ones((2, 3)))
    assert one.dtype == np.float32


def test_loss_that_insists_on_being_last_is_last_only_where_it_is() -> None:
    x, y = printed.Input(), printed.Input()
    loss = RawCrossEntropy(x, y)
    feed = {x: np.zeros((1, 2)), y: np.array([0])}
    _, [dx] = mf.value_and_grad(loss, feed, [x])
    assert np.array_equal(dx, [[-0.5, 0.5]])
    with pytest.raises(GraphError, match=r"backward\(\) failed with AssertionError\."):
        mf.value_and_grad(loss * 2.0, feed, [x])
    mf.value_and_grad(loss, feed, [x])  # with another head that is alive


# --- Gradients that raw classes leave


class Leaves(mf.Node):
    """Doubles its input; backward leaves what it was told to."""

    def __init__(self, x: mf.Node, gradient) -> None:
        mf.Node.__init__(self, [x])
        self.gradient = gradient

    def forward(self) -> None:
        self.value = 2 * self.inbound_nodes[0].value

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: self.gradient}


@pytest.mark.parametrize(
    ("fed", "left", "expected"),
    [
        (np.zeros(3), 0, np.zeros(3)),
        (np.zeros((2, 3)), 0.0, np.zeros((2, 3))),
        (np.zeros(3), np.full((1, 3), 2.0), np.full(3, 2.0)),
        (np.zeros((2, 3)), np.full((1, 1, 2, 3), 2.0), np.full((2, 3), 2.0)),
        (0.0, np.full((1,), 2.0), 2.0),
        (0.0, np.full((1, 1), 2.0), 2.0),
    ],
)
def test_leading_ones_and_scalar_zeros_are_brought_into_shape(fed, left, expected) -> None:
    x = mf.Input()
    node = Leaves(x, left)
    _, [dx] = mf.value_and_grad(node, {x: fed}, [x])
    assert np.shape(dx) == np.shape(fed)
    assert np.array_equal(dx, expected)
    assert np.shape(node.gradients[x]) == np.shape(fed)


def test_scalar_zero_becomes_zeros_of_the_inputs_dtype() -> None:
    x = mf.Input()
    _, [dx] = mf.value_and_grad(Leaves(x, 0), {x: np.zeros(3, np.float32)}, [x])
    assert dx.dtype == np.float32
    _, [dx] = mf.value_and_grad(Leaves(x, 0), {x: np.zeros(3, np.int8)}, [x])
    assert dx.dtype == np.float64


# --- accuracy


def test_accuracy_is_the_share_of_rows_whose_largest_logit_is_the_label() -> None:
    x, y = mf.Input(), mf.Input()
    logits = np.array([[0.1, 0.9, 0.0], [2.0, 1.0, 3.0], [5.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    feed = {x: logits, y: np.array([1, 2, 1, 2], np.int8)}
    for loss in (mf.CrossEntropyWithSoftmax(x, y), RawCrossEntropy(x, y)):
        accuracy = mf.accuracy(loss, feed)
        assert (type(accuracy), accuracy) == (float, 0.75)


def test_accuracy_takes_one_hot_labels_where_the_loss_does() -> None:
    class OneHotLoss(mf.Node):
        def __init__(self, x: mf.Node, y: mf.Node) -> None:
            mf.Node.__init__(self, [x, y])

        def forward(self) -> None:
            self.value = 0.0

    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([[0.0, 1.0], [1.0, 0.0]]), y: np.array([[0, 1], [0, 1]])}
    assert mf.accuracy(OneHotLoss(x, y), feed) == 0.5


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_accuracy_of_yes_or_no_says_yes_where_the_logit_is_positive(shape) -> None:
    z, y = mf.Input(), mf.Input()
    logits, labels = np.array([2.0, -1.0, 0.5, -3.0]), np.array([1, 0, 0, 0])
    feed = {z: logits.reshape(shape), y: labels.reshape(shape)}
    assert mf.accuracy(mf.BinaryCrossEntropy(z, y), feed) == 0.75


# --- float32


def test_float32_in_means_float32_out_through_a_whole_network() -> None:
    X, y = mf.Input(), mf.Input()
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        mf.Parameter(rng.normal(size=shape).astype(np.float32))
        for shape in ((4, 5), (5,), (5, 3), (3,))
    )
    hidden = mf.ReLU(mf.Linear(X, W1, b1) / 2 - 0.1)
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, W2, b2), y)
    feed = {X: rng.normal(size=(6, 4)).astype(np.float32), y: rng.integers(0, 3, 6)}
    value, gradients = mf.value_and_grad(loss, feed, [W1, b1, W2, b2, X])
    assert [value.dtype, *(g.dtype for g in gradients)] == [np.float32] * 6


@pytest.mark.parametrize(
    ("seen", "fits"),
    [((3, 1), True), ((1, 3), True), ((3, 1, 1), True), ((3, 2), False), ((1,), False)],
)
def test_gradient_of_a_vector_may_be_a_column_or_a_row(seen: tuple[int, ...], fits: bool) -> None:
    class Doubled(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.value = 2 * self.inbound_nodes[0].value

        def backward(self) -> None:
            self.gradients = {self.inbound_nodes[0]: np.full(seen, 2.0)}

    x = mf.Input("x")
    feed = {x: np.ones(3)}
    for run in (mf.value_and_grad, lambda f, feed, wrt: mf.compile(f, wrt, backend="numpy")(feed)):
        if fits:
            [dx] = run(Doubled(x), feed, [x])[1]
            assert np.array_equal(dx, [2.0, 2.0, 2.0])
        else:
            with pytest.raises(GradientError, match=r"left a gradient of shape"):
                run(Doubled(x), feed, [x])
