"""Code that people write round the graph: it works, or is told in words what is wrong with it."""

import os
import subprocess
import sys

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GradientError, GraphError


def test_labs_backward_works_in_a_subclass_of_our_input() -> None:
    class MyInput(mf.Input):
        def backward(self):
            self.gradients = {self: 0}
            for n in self.outbound_nodes:
                self.gradients[self] += n.gradients[self]

    x = MyInput()
    assert mf.value_and_grad(x * x, {x: 3.0}, [x]) == (9.0, [6.0])


def test_op_whose_gradient_returns_nothing_is_refused() -> None:
    class Double(mf.Op):
        def compute(self, x):
            return 2 * x

        def gradient(self, grad, x):
            2 * grad

    x = mf.Input()
    with pytest.raises(GradientError, match=r"gradient\(\) returned"):
        mf.value_and_grad(Double(x), {x: 3.0}, [x])


def test_wrt_may_be_any_iterable_of_nodes() -> None:
    x, y = mf.Input(), mf.Input()
    assert mf.value_and_grad(x * y, {x: 2.0, y: 3.0}, (n for n in [x, y]))[1] == [3.0, 2.0]


@pytest.mark.parametrize(
    "between",
    [
        lambda x: mf.Reshape(x, (3, 1)),
        lambda x: mf.Concat(x, axis=0),
        lambda x: mf.Sum(x * np.ones((2, 3)), axis=0),
        lambda x: mf.Transpose(mf.Reshape(x, (1, 3)), (1, 0)),
    ],
)
def test_node_before_one_that_has_no_gradient_for_it_gets_zeros(between) -> None:
    x = mf.Input()
    head = mf.Where(between(x), 1.0, 2.0)
    assert np.array_equal(mf.value_and_grad(head, {x: np.ones(3)}, [x])[1][0], np.zeros(3))


FORK = """
import os, threading, warnings
import miniflow as mf
from miniflow.graph.plans import passes_under_way
warnings.simplefilter("ignore")
inside, leave = threading.Event(), threading.Event()
class Slow(mf.Op):
    def compute(self, x):
        inside.set(); leave.wait(); return x
x = mf.Input(); slow = Slow(x); other = x * 2
threading.Thread(target=mf.value, args=(slow, {x: 1.0})).start()
inside.wait()
child = os.fork()
if child == 0:
    print(len(passes_under_way), x.outbound_nodes == [slow, other], flush=True)
    os._exit(0)
os.waitpid(child, 0); leave.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_child_of_a_fork_is_at_rest() -> None:
    ended = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "0 True", ended.stderr


class NoInit(mf.Node):
    def __init__(self, x):
        self.x = x

    def forward(self):
        self.value = 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mf.value(3.0, {x: 1.0}),
        lambda x: mf.value({x: 1.0}, x),  # changed places
        lambda x: mf.value_and_grad([x * x, 3.0], {x: 1.0}, [x]),
        lambda x: mf.accuracy(None, {x: 1.0}),
        lambda x: mf.value_and_grad(x * x, {x: 1.0}, None),  # no Parameter
        lambda x: mf.value_and_grad(x * x, {x: 1.0}, 7),
        lambda x: mf.value_and_grad(x * x, {x: 1.0}, [np.ones(3)]),  # the arrays, not the nodes
        lambda x: mf.value_and_grad(x * x, {x: 1.0}, np.ones(3)),
        lambda x: mf.value(NoInit(x), {x: 1.0}),  # 'NoInit' object has no attribute '_plan'
    ],
)
def test_what_is_no_node_is_refused_in_words(call) -> None:
    with pytest.raises(GraphError):
        call(mf.Input())


def test_inbound_nodes_that_are_no_list_are_refused_in_words() -> None:
    class Square(mf.Node):
        def __init__(self, x):
            mf.Node.__init__(self, x)

    with pytest.raises(GraphError, match="list"):
        Square(mf.Input())


@pytest.mark.parametrize(
    ("fed", "left"),
    [
        (np.ones((1, 3)), np.full(3, 2.0)),
        (np.ones((1, 1, 3)), np.full((1, 3), 2.0)),
        (np.ones(3), np.float32(0)),
        (np.ones(3), np.zeros(())),
        (np.ones(3), np.int64(0)),
    ],
)
def test_gradient_that_lacks_leading_ones_and_any_scalar_zero_are_reshaped(fed, left) -> None:
    class Leaves(mf.Node):
        def __init__(self, x):
            mf.Node.__init__(self, [x])

        def forward(self):
            self.value = self.inbound_nodes[0].value

        def backward(self):
            self.gradients = {self.inbound_nodes[0]: left}

    x = mf.Input()
    _, [dx] = mf.value_and_grad(Leaves(x), {x: fed}, [x])
    assert dx.shape == fed.shape


def test_gradient_with_respect_to_a_dummy_gradient_is_what_was_fed() -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x * x)
    assert mf.value_and_grad(dummy, {x: 2.0, dummy: 0.5}, [dummy, x])[1] == [0.5, 2.0]


def test_at_rest_outbound_nodes_follow_a_rewired_graph() -> None:
    x, z = mf.Input(), mf.Input()
    f = mf.Mul(x, x)
    f.inbound_nodes = [z, z]
    assert mf.value(f, {z: 2.0}) == 4.0
    assert (x.outbound_nodes, z.outbound_nodes) == ([], [f])


def test_backward_of_a_mixin_is_looked_at() -> None:
    class Shapeless:
        def backward(self):
            self.gradients = {self.inbound_nodes[0]: np.ones(7)}

    class Mixed(Shapeless, mf.Op):
        def compute(self, x):
            return x * 1.0

    x = mf.Input()
    with pytest.raises(GradientError, match=r"^Mixed .* left a gradient of shape"):
        mf.value_and_grad(Mixed(x) * 1.0, {x: np.ones(3)}, [x])


def test_op_whose_compute_returns_nothing_is_told_so() -> None:
    class Double(mf.Op):
        def compute(self, x):
            2 * x

    x = mf.Input()
    with pytest.raises(GraphError, match=r"compute\(\) returned nothing"):
        mf.value(Double(x), {x: 1.0})


def test_forgotten_feed_of_an_input_with_an_optional_value_is_told_as_such() -> None:
    class LabInput(mf.Node):
        def __init__(self):
            mf.Node.__init__(self)

        def forward(self, value=None):
            if value is not None:
                self.value = value

    x = LabInput()
    with pytest.raises(GraphError, match="add it to feed_dict"):
        mf.value(x * 2, {})


def test_gradient_none_left_by_a_raw_class_is_refused() -> None:
    class Leaves(mf.Node):
        def __init__(self, x):
            mf.Node.__init__(self, [x])

        def forward(self):
            self.value = self.inbound_nodes[0].value * 2

        def backward(self):
            self.gradients = {self.inbound_nodes[0]: None}

    x = mf.Input()
    with pytest.raises(GradientError):
        mf.value_and_grad(Leaves(x), {x: 1.0}, [x])


def test_array_that_gradient_returns_twice_is_not_shared() -> None:
    class Plus(mf.Op):
        def compute(self, x, y):
            return x + y

        def gradient(self, grad, x, y):
            return grad, grad

    class SquareInPlace(mf.Node):
        def __init__(self, x):
            mf.Node.__init__(self, [x])

        def forward(self):
            self.value = self.inbound_nodes[0].value ** 2

        def backward(self):
            x = self.inbound_nodes[0]
            self.gradients = {x: 0}
            for n in self.outbound_nodes:
                grad = n.gradients[self]
                grad *= 2 * x.value
                self.gradients[x] += grad

    x, y = mf.Input(), mf.Input()
    feed = {x: np.array([1.0, 2.0]), y: np.array([10.0, 20.0])}
    _, gradients = mf.value_and_grad(Plus(SquareInPlace(x), SquareInPlace(y)), feed, [x, y])
    assert np.array_equal(gradients, [[2.0, 4.0], [20.0, 40.0]])


def test_returned_gradient_is_not_a_fed_array_or_a_parameter() -> None:
    class Dot(mf.Node):
        def __init__(self, x, w):
            mf.Node.__init__(self, [x, w])

        def forward(self):
            x, w = self.inbound_nodes
            self.value = np.dot(x.value, w.value)

        def backward(self):
            x, w = self.inbound_nodes
            self.gradients = {x: w.value, w: x.value}

    x, W = mf.Input(), mf.Parameter([1.0, 2.0])
    batch = np.array([3.0, 4.0])
    _, [dx, dW] = mf.value_and_grad(Dot(x, W), {x: batch}, [x, W])
    dx *= 0.0
    dW *= 0.0
    assert np.array_equal(batch, [3.0, 4.0])
    assert np.array_equal(W.value, [1.0, 2.0])
