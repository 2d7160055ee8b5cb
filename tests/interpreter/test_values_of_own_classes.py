"""What a class of somebody's own leaves as its value: real numbers and arrays, or a message."""

import datetime
import decimal
import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from messages import message_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import CompileError, GradientError, GraphError, MiniflowError

X, Y = mf.Input("x"), mf.Input("y")


class Made(mf.Op):
    """Its value is what a function makes of its input's."""

    def __init__(self, x: Any, make: Callable[[Any], Any]) -> None:
        mf.Op.__init__(self, x)
        self.make = make

    def compute(self, x: Any) -> Any:
        return self.make(x)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * x,)


class MadeRaw(mf.Node):
    """The same, in the lab's way."""

    def __init__(self, x: mf.Node, make: Callable[[Any], Any]) -> None:
        mf.Node.__init__(self, [x])
        self.make = make

    def forward(self) -> None:
        self.value = self.make(self.inbound_nodes[0].value)

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: 1j * np.ones(2)}


NO_VALUES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "complex": (lambda v: 1j, "1j (complex), which is complex; values are real: v.real"),
    "complex array": (lambda v: np.sum(v) * np.array([1j]), "which is complex"),
    "text": (lambda v: "four", "'four' (str); it must be a real number"),
    "list": (lambda v: [1.0, 2.0], "[1.0, 2.0] (list); make an array of it: np.array(...)"),
    "list of arrays": (lambda v: [v, v], "(list); make an array of it"),
    "tuple": (lambda v: (1.0,), "(1.0,) (tuple); make an array of it"),
    "dictionary": (lambda v: {1: 2}, "{1: 2} (dict); it must be a real number"),
    "objects": (lambda v: np.array([None]), "it must be a real number, or an array of them"),
    "texts": (lambda v: np.array(["a"]), "it must be a real number, or an array of them"),
    "Decimal": (lambda v: decimal.Decimal(1), "Decimal('1') (Decimal); it must be a real number"),
    "Fraction": (lambda v: fractions.Fraction(1, 2), "Fraction(1, 2) (Fraction); it must be"),
    "generator": (lambda v: (i for i in range(2)), "(generator); it must be a real number"),
    "date": (lambda v: datetime.date(2020, 1, 1), "(date); it must be a real number"),
    "NumPy's date": (lambda v: np.array(["2020"], "M8[Y]"), "it must be a real number"),
    "ellipsis": (lambda v: ..., "Ellipsis (ellipsis); it must be a real number"),
    "masked array": (
        lambda v: np.ma.array([1.0, 2.0], mask=[0, 1]),
        "a masked array; fill it: v.filled(0.0)",
    ),
    "node": (lambda v: Y, "a node; compute with values: x.value, where x is a node"),
    "sum with a node": (lambda v: v + Y, "a node; compute with values: x.value"),
}


@pytest.mark.parametrize("name", NO_VALUES)
@pytest.mark.parametrize("build", [Made, MadeRaw])
def test_what_is_no_value_is_refused_with_the_node_that_made_it(build: Any, name: str) -> None:
    make, says = NO_VALUES[name]
    node = build(X, make)
    for output in (node, mf.Sum(node), mf.Exp(node) * 2.0):
        feed = {X: np.ones(2)}
        for call in (mf.value, mf.value_and_grad):
            told = message_of(
                GraphError, lambda call=call, o=output, f=feed: call(o, f, *_wrt(call))
            )
            assert told.startswith(f"{build.__name__} (FILE:LINE): the value is ")
            assert says in told


def _wrt(call: Any) -> tuple[Any, ...]:
    return () if call is mf.value else ([X],)


@pytest.mark.parametrize("name", NO_VALUES)
@pytest.mark.parametrize("backend", names(RUN, COMPARE))
def test_no_backend_compiles_what_is_no_value(backend: str, name: str) -> None:
    step = mf.compile(mf.Sum(Made(X, NO_VALUES[name][0])), [X], backend=backend)
    with pytest.raises(MiniflowError) as caught:
        step({X: np.ones(2)})
    assert isinstance(caught.value, (GraphError, CompileError))
    assert str(caught.value).startswith("Made (test_values_of_own_classes.py:")


@pytest.mark.filterwarnings("ignore::miniflow.training.stepping.InterpreterWarning")
@pytest.mark.parametrize("backend", ["auto", "interpreter", *names(RUN)])
def test_training_is_told_too_and_changes_nothing(backend: str) -> None:
    w = mf.Parameter([1.0], "w")
    loss = mf.Mean(Made(w * X, lambda v: v * 1j))
    with pytest.raises(MiniflowError, match=r"^Made \("):
        mf.fit(loss, {X: np.ones((2, 1))}, mf.SGD(0.1), epochs=1, progress="none", backend=backend)
    assert w.value.tolist() == [1.0]


def test_complex_gradient_is_refused_with_the_node_that_left_it() -> None:
    node = MadeRaw(X, lambda v: v * 2.0)
    assert message_of(GradientError, lambda: mf.value_and_grad(node, {X: np.ones(2)}, [X])) == (
        "MadeRaw (FILE:LINE): the gradient for Input 'x' (FILE:LINE) is array([0.+1.j, 0.+1.j]) "
        "(ndarray), which is complex; values are real: v.real, or np.abs(v)."
    )


VALUES = {
    "float": lambda v: 2.0,
    "int": lambda v: 2,
    "bool": lambda v: True,
    "NumPy's number": lambda v: np.float32(2.0),
    "array": lambda v: v * 2.0,
    "array of rank 0": lambda v: np.array(2.0),
    "integers": lambda v: np.array([1, 2]),
    "booleans": lambda v: v > 0,
    "float16": lambda v: np.float16([1.0, 2.0]),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("build", [Made, MadeRaw])
def test_what_is_a_value_is_handed_on_as_it_is(build: Any, name: str) -> None:
    made = VALUES[name](np.ones(2))
    value = mf.value(build(X, VALUES[name]), {X: np.ones(2)})
    assert type(value) is type(made)
    assert np.array_equal(value, made)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_what_is_derived_from_arrays_becomes_a_plain_array() -> None:
    """The product of matrices is another one than the product of arrays."""
    node = Made(X, lambda v: np.matrix([[1.0, 2.0], [3.0, 4.0]]))
    assert type(mf.value(node, {X: np.ones(2)})) is np.ndarray
    assert mf.value(node * node, {X: np.ones(2)}).tolist() == [[1.0, 4.0], [9.0, 16.0]]
