"""Recording is the interpreter's walk: the same methods, in the same order, with the same mistakes
told in the same words.
"""

from typing import Any

import numpy as np
import pytest

import miniflow as mf

calls: list[tuple[str, str]] = []


class Told(mf.Node):
    """A node of the lab's kind, that tells of each call."""

    def __init__(self, *inbound: mf.Node, name: str) -> None:
        mf.Node.__init__(self, inbound, name)

    def forward(self) -> None:
        calls.append(("forward", str(self.name)))
        self.value = sum(node.value for node in self.inbound_nodes) * 2.0

    def backward(self) -> None:
        calls.append(("backward", str(self.name)))
        self.gradients = dict.fromkeys(self.inbound_nodes, 0.0)
        for consumer in self.outbound_nodes:
            for node in self.inbound_nodes:
                self.gradients[node] += 2.0 * consumer.gradients[self]


def diamond() -> tuple[mf.Node, list[mf.Node]]:
    x, w = mf.Input("x"), mf.Parameter([1.0, 2.0], "w")
    left, right = Told(x, name="left"), Told(w, name="right")
    side = Told(x, name="side")  # leads to the output, and not from w
    return mf.Sum(Told(left, right, left, side, name="top")), [x, w]


@pytest.mark.parametrize("which", [[0], [1], [0, 1], []])
def test_recording_calls_the_methods_that_the_interpreter_calls_in_its_order(
    which: list[int],
) -> None:
    output, inputs = diamond()
    wrt = [inputs[i] for i in which]
    feed = {inputs[0]: np.array([3.0, 4.0])}
    calls.clear()
    if wrt:
        mf.value_and_grad(output, feed, wrt)
    else:
        mf.value(output, feed)
    interpreted = calls.copy()
    calls.clear()
    mf.compile(output, wrt=wrt)(feed)
    # It is recorded twice, and then compared with a pass of the interpreter.
    assert calls == interpreted * 3


class NoValue(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> Any:
        return self.inbound_nodes[0].value


class NoReturn(mf.Op):
    def compute(self, x: Any) -> Any:
        x * 2.0


class NoGradient(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * 2.0

    def backward(self) -> None:
        pass


class Transposed(NoGradient):
    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: np.ones((3, 2))}


class Missing(NoGradient):
    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: None}


class Misspelt(NoGradient):
    def forward(self) -> None:
        self.value = self.inbound_node[0].value


@pytest.mark.parametrize("kind", [NoValue, NoReturn, NoGradient, Transposed, Missing, Misspelt])
@pytest.mark.parametrize("last", [True, False], ids=["last", "inside"])
def test_a_mistake_is_told_in_the_interpreters_words(kind: type, last: bool) -> None:
    x = mf.Input("x")
    node = kind(x)
    output = node if last else mf.Sum(node * 2.0)
    feed = {x: np.ones((2, 3))}
    with pytest.raises(mf.MiniflowError) as interpreted:
        mf.value_and_grad(output, feed, [x])
    with pytest.raises(mf.MiniflowError) as compiled:
        mf.compile(output, wrt=[x])(feed)
    assert str(compiled.value) == str(interpreted.value)
    assert type(compiled.value) is type(interpreted.value)
    assert "Sum" not in str(compiled.value).split(":")[0]  # the node that is wrong


def test_a_value_that_is_missing_is_told_where_it_is_missing() -> None:
    class Fails(mf.Op):
        def compute(self, x: Any) -> Any:
            raise RuntimeError("later")

    x = mf.Input("x")
    beside = Fails(x)
    with pytest.raises(mf.MiniflowError, match=r"NoReturn .*compute\(\) returned nothing"):
        mf.value(mf.Add(NoReturn(x), beside), {x: 1.0})
