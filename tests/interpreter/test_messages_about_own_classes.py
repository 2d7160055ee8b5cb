"""Messages about node classes that someone is still writing, word for word."""

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul
from conformance.losses import CrossEntropyEye, CrossEntropyWithSoftmax
from messages import here, message_of

import miniflow as mf
from miniflow import errors
from miniflow.graph.deriving import nothing_is_derived

x, y = mf.Input("x"), mf.Input("y")


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

    with nothing_is_derived():
        message = message_of(
            errors.GraphError, lambda: mf.value_and_grad(ForwardOnly(x), {x: 1}, [x])
        )
    assert message == (
        f"{here('ForwardOnly')} has no backward method: its class must define backward(self)."
    )

    class ComputeOnly(mf.Op):
        def compute(self, x):
            return x

    with nothing_is_derived():
        message = message_of(
            errors.GraphError, lambda: mf.value_and_grad(ComputeOnly(x), {x: 1}, [x])
        )
    assert message == (
        f"{here('ComputeOnly')} has no gradient method: define gradient(self, grad, *values)."
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


def test_messages_about_gradients_that_are_lists() -> None:
    class Listed(mf.Op):
        def compute(self, x):
            return x * 1.0

        def gradient(self, grad, x):
            return (grad.tolist(),)

    feed = {x: np.ones(3)}
    told = "[1.0, 1.0, 1.0] (list) as the gradient for"
    assert message_of(errors.GradientError, lambda: mf.value_and_grad(Listed(x), feed, [x])) == (
        f"{here('Listed')}: gradient() returned {told} {here('Input', 'x')}: "
        "it is a number or an array."
    )

    class RawListed(Unfinished):
        def forward(self) -> None:
            self.value = self.inbound_nodes[0].value

        def backward(self) -> None:
            self.gradients = {self.inbound_nodes[0]: [1.0, 1.0, 1.0]}

    assert message_of(errors.GradientError, lambda: mf.value_and_grad(RawListed(x), feed, [x])) == (
        f"{here('RawListed')}: backward() left {told} {here('Input', 'x')}: "
        "it is a number or an array."
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
