"""check_gradients catches every kind of wrong backward, and nothing that is right."""

import re

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul
from conformance.losses import CrossEntropyArange

import miniflow as mf
from miniflow.errors import GradientError, NodeError


class Weighted(mf.Node):
    """`x w + 3 v`, a right one; the subclasses get one thing wrong each."""

    def __init__(self, x: mf.Node, w: mf.Node, v: mf.Node) -> None:
        mf.Node.__init__(self, [x, w, v])

    def forward(self) -> None:
        x, w, v = (n.value for n in self.inbound_nodes)
        self.value = x @ w + 3 * v

    def backward(self) -> None:
        x, w, v = self.inbound_nodes
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += self.for_x(grad)
            self.gradients[w] += self.for_w(grad)
            self.gradients[v] += 3 * grad

    def for_x(self, grad):
        return grad @ self.inbound_nodes[1].value.T

    def for_w(self, grad):
        return self.inbound_nodes[0].value.T @ grad


class MissingUpstream(Weighted):
    def for_w(self, grad):
        return self.inbound_nodes[0].value.T @ np.ones_like(grad)


class WrongSign(Weighted):
    def for_x(self, grad):
        return -(grad @ self.inbound_nodes[1].value.T)


class Transposed(Weighted):
    """Square, so that the shape does not tell."""

    def for_w(self, grad):
        return (self.inbound_nodes[0].value.T @ grad).T


class ForgotToAccumulate(Weighted):
    def backward(self) -> None:
        x, w, v = self.inbound_nodes
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients = {x: self.for_x(grad), w: self.for_w(grad), v: 3 * grad}


class WrongInput(Weighted):
    """The gradients of the first two, the other way round."""

    def for_x(self, grad):
        return Weighted.for_w(self, grad)

    def for_w(self, grad):
        return Weighted.for_x(self, grad)


class Scaled(Weighted):
    def for_x(self, grad):
        return Weighted.for_x(self, grad) / grad.shape[0]


class OneEntryWrong(Weighted):
    def for_x(self, grad):
        dx = Weighted.for_x(self, grad)
        dx[2, 1] += 0.5
        return dx


class TurnsNaN(Weighted):
    def for_x(self, grad):
        return Weighted.for_x(self, grad) * np.nan


class TurnsInfinite(Weighted):
    def for_w(self, grad):
        return Weighted.for_w(self, grad) + np.inf


class ForgotAnInput(Weighted):
    def backward(self) -> None:
        Weighted.backward(self)
        del self.gradients[self.inbound_nodes[2]]


class WrongShape(Weighted):
    def backward(self) -> None:
        Weighted.backward(self)
        self.gradients[self.inbound_nodes[0]] = self.gradients[self.inbound_nodes[0]].sum(axis=0)


class TransposedShape(Weighted):
    def backward(self) -> None:
        Weighted.backward(self)
        x = self.inbound_nodes[0]
        self.gradients[x] = self.gradients[x].T


def graph(cls: type, rows: int = 3, head: bool = True, dtype: type = np.float64):
    x, w, v = mf.Input("x"), mf.Input("w"), mf.Input("v")
    rng = np.random.default_rng(1)
    feed = {
        x: rng.normal(size=(rows, 3)).astype(dtype),
        w: rng.normal(size=(3, 3)).astype(dtype),
        v: rng.normal(size=(rows, 3)).astype(dtype),
    }
    node = cls(x, w, v)
    return (mf.Sum(node * node) if head else node), feed


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("head", [True, False])
def test_right_backward_passes_and_every_edge_is_reported(head: bool, dtype: type) -> None:
    node, feed = graph(Weighted, head=head, dtype=dtype)
    report = mf.check_gradients(node, feed)
    told = [edge.source.label for edge in report.edges if isinstance(edge.node, Weighted)]
    assert told == ["Input 'x'", "Input 'w'", "Input 'v'"]
    assert all(edge.passed for edge in report.edges)
    assert len(str(report).splitlines()) == len(report.edges)


WRONG_IN_ONE_INPUT = {  # the input, and what is told of the mistake
    MissingUpstream: ("w", "the upstream gradient is not used"),
    WrongSign: ("x", "its sign is wrong"),
    Transposed: ("w", "it is the transpose"),
    WrongInput: ("x", "it is that of Input 'w'"),
    Scaled: ("x", "it is 1/3 of what it should be"),
    OneEntryWrong: ("x", "it is not proportional to the upstream gradient"),
    ForgotToAccumulate: (
        "v",
        "only the last consumer counts; add up over self.outbound_nodes with +=",
    ),
    TurnsNaN: ("x", ""),
    TurnsInfinite: ("w", ""),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("wrong", WRONG_IN_ONE_INPUT)
def test_wrong_backward_is_caught_with_index_shape_and_both_numbers(
    wrong, head: bool, dtype: type
) -> None:
    node, feed = graph(wrong, head=head, dtype=dtype)
    source, mistake = WRONG_IN_ONE_INPUT[wrong]
    with pytest.raises(GradientError) as caught:
        mf.check_gradients(node, feed)
    pattern = (
        rf"^{wrong.__name__} \(test_checking\.py:\d+\): the gradient with respect to "
        rf"Input '{source}' at index \((\d), (\d)\) of shape \(3, 3\) is "
        r"(\S+) by backward\(\) and (\S+) by central differences"
        rf"(?: with a random upstream gradient)?{re.escape(': ' * bool(mistake) + mistake)}\.$"
    )
    [message] = re.findall(pattern, str(caught.value), re.MULTILINE)
    assert float(message[2]) != float(message[3])
    assert all(line.startswith(wrong.__name__) for line in str(caught.value).splitlines())


def test_index_told_is_that_of_the_worst_entry() -> None:
    node, feed = graph(OneEntryWrong)
    with pytest.raises(GradientError, match=r"at index \(2, 1\) of shape \(3, 3\)"):
        mf.check_gradients(node, feed)


def test_numbers_told_are_those_of_the_entry() -> None:
    x = mf.Input("x")

    class Tripled(mf.Op):
        def compute(self, x):
            return 3.0 * x

        def gradient(self, grad, x):
            return (grad * 2.0,)

    with pytest.raises(GradientError) as caught:
        mf.check_gradients(Tripled(x), {x: 5.0})
    assert re.sub(r"\(.*?\)", "(...)", str(caught.value), count=1) == (
        "Tripled (...): the gradient with respect to Input 'x' is 2 by backward() "
        "and 3 by central differences."
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (ForgotAnInput, "backward() left no gradient for its input Input 'v' (...) in"),
        (WrongShape, "left a gradient of shape (3,) for Input 'x' (...), whose value has shape"),
        (TransposedShape, "value has shape (4, 3): it is the transpose."),
    ],
)
def test_forgotten_input_and_wrong_shape_are_caught_before_any_number(wrong, message) -> None:
    node, feed = graph(wrong, rows=4)
    with pytest.raises(GradientError) as caught:
        mf.check_gradients(node, feed)
    assert message in re.sub(r"\(test_checking\.py:\d+\)", "(...)", str(caught.value))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.9, 2.0])
def test_small_gradients_are_held_to_their_own_size(factor: float, dtype: type) -> None:
    """A mean over many entries has gradients of a thousandth: no reason to let any pass."""

    class MeanSquare(mf.Op):
        def compute(self, x):
            return np.mean(x * x)

        def gradient(self, grad, x):
            return (factor * grad * 2 * x / x.size,)

    x = mf.Input()
    with pytest.raises(GradientError, match="MeanSquare"):
        mf.check_gradients(MeanSquare(x), {x: np.linspace(0.5, 1.0, 4000, dtype=dtype)})


def test_gradients_that_cancel_out_pass() -> None:
    x = mf.Input()
    for dtype in (np.float64, np.float32):
        mf.check_gradients(mf.Softmax(x), {x: np.array([0.3, -1.0, 2.0], dtype)})


def test_only_the_wrong_node_of_a_network_is_named() -> None:
    x, w, v = mf.Input("x"), mf.Input("w"), mf.Input("v")
    hidden = mf.Tanh(WrongSign(x, w, v))
    loss = mf.Mean(mf.Exp(hidden) * 2.0)
    feed = dict.fromkeys([x, w, v], np.eye(3) + 0.1)
    with pytest.raises(GradientError) as caught:
        mf.check_gradients(loss, feed)
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).startswith("WrongSign ")


def test_inputs_that_look_alike_are_told_apart_by_their_position() -> None:
    class WrongSecond(RawMul):
        def backward(self) -> None:
            RawMul.backward(self)
            self.gradients[self.inbound_nodes[1]] *= 2

    x, y = mf.Input(), mf.Input()
    with pytest.raises(GradientError, match=r"with respect to inbound_nodes\[1\], Input, is 4 by"):
        mf.check_gradients(WrongSecond(x, y), {x: 2.0, y: 3.0})


def test_input_used_twice_is_one_edge() -> None:
    x = mf.Input()
    [edge] = mf.check_gradients(RawMul(x, x), {x: 3.0}).edges
    assert edge.analytic == 6.0
    assert edge.numerical == pytest.approx(6.0)


def test_by_default_all_inputs_with_floating_values_are_checked() -> None:
    x, y, W = mf.Input("x"), mf.Input("y"), mf.Parameter(np.eye(3), "W")
    loss = mf.CrossEntropyWithSoftmax(x @ W, y)
    report = mf.check_gradients(loss, {x: np.ones((2, 3)), y: np.array([0, 1])})
    assert {edge.source.label for edge in report.edges} == {"Input 'x'", "Parameter 'W'", "MatMul"}


def test_wrt_narrows_the_check_to_what_leads_there() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    wrong = WrongSign(x, x * 1.0, x * 1.0)
    output = mf.Sum(wrong) + mf.Sum(y * y)
    feed = {x: np.eye(3), y: np.ones(2)}
    assert len(mf.check_gradients(output, feed, [y]).edges) == 3
    with pytest.raises(GradientError):
        mf.check_gradients(output, feed, [x])


def test_raw_class_that_does_not_sum_broadcast_gradients_of_unasked_inputs_passes() -> None:
    x, factor = mf.Input(), mf.Constant(2.0)
    node = mf.Sum(RawMul(x, factor))
    assert len(mf.check_gradients(node, {x: np.ones(3)}, [x]).edges) == 2


def test_class_that_uses_up_its_own_state_in_backward_passes() -> None:
    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([[0.5, -0.5]]), y: np.array([1])}
    mf.check_gradients(CrossEntropyArange(x, y), feed)


def test_probabilities_at_the_ends_of_their_range_can_be_checked() -> None:
    z, y = mf.Input(), mf.Input()
    mf.check_gradients(mf.BinaryCrossEntropy(z, y), {z: np.ones(2), y: np.array([0.0, 1.0])})


def test_fed_upstream_gradient_is_not_checked() -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x * x)
    [edge] = mf.check_gradients(dummy, {x: 3.0, dummy: 7.0}).edges
    assert edge.node is dummy.inbound_nodes[0]


def test_integers_named_in_wrt_are_checked_as_floating_numbers() -> None:
    x, y = mf.Input(), mf.Input()
    assert len(mf.check_gradients(x * y, {x: 3, y: 4}, [x, y]).edges) == 2


def test_large_inputs_are_sampled_and_the_sample_is_the_seeds() -> None:
    calls = []

    class Counted(mf.Op):
        def compute(self, x):
            calls.append(1)
            return 2.0 * x

        def gradient(self, grad, x):
            return (2.0 * grad,)

    x = mf.Input()
    feed = {x: np.linspace(1.0, 2.0, 10_000)}
    first = mf.check_gradients(Counted(x), feed, seed=3).edges[0]
    assert len(calls) < 250
    assert mf.check_gradients(Counted(x), feed, seed=3).edges[0].at == first.at


def test_tolerance_can_be_set() -> None:
    class Nearly(mf.Op):
        def compute(self, x):
            return 2.0 * x

        def gradient(self, grad, x):
            return (2.001 * grad,)

    x = mf.Input()
    mf.check_gradients(Nearly(x), {x: 1.0}, tolerance=1e-2)
    with pytest.raises(GradientError):
        mf.check_gradients(Nearly(x), {x: 1.0})


def test_a_check_leaves_values_gradients_and_parameters_as_the_pass_left_them() -> None:
    x, W = mf.Input(), mf.Parameter(np.eye(2), "W")
    hidden = mf.Sigmoid(x @ W)
    loss = mf.Sum(hidden)
    feed = {x: np.array([[1.0, 2.0]])}
    _, [dW] = mf.value_and_grad(loss, feed, [W])
    kept = [np.copy(n.value) for n in (x, W, hidden, loss)]
    array = W.value
    mf.check_gradients(loss, feed)
    for n, before in zip((x, W, hidden, loss), kept, strict=True):
        assert np.array_equal(n.value, before)
    assert W.value is array
    assert np.array_equal(W.gradients[W], dW)


@pytest.mark.parametrize("fed", [np.zeros((0, 3)), np.zeros(0)], ids=str)
def test_empty_inputs_can_be_checked(fed) -> None:
    x = mf.Input()
    [_, edge] = mf.check_gradients(mf.Sum(mf.Exp(x)), {x: fed}).edges
    assert edge.passed
    assert "at index" not in str(edge)  # there is none


def test_code_that_fails_under_the_check_is_told_as_a_node_error() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(x, y)
    feed = {x: np.eye(2), y: np.array([0, 1])}
    with pytest.raises(
        NodeError, match=r"^CrossEntropyWithSoftmax \(.*forward\(\) failed with Ind"
    ):
        mf.check_gradients(loss, feed, wrt=[y])


def test_nothing_to_check_is_said() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(GradientError, match="none of its inputs has a floating-point value; feed"):
        mf.check_gradients(x * 2, {x: 3})
    with pytest.raises(GradientError, match=r"^Mul .* does not depend on Input 'y'"):
        mf.check_gradients(x * 2.0, {x: 3.0, y: 1.0}, [y])
