"""A batch, compiled or interpreted: the same numbers, and what if it cannot be compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blobs import problem

import miniflow as mf
from miniflow.compiler import Compiled
from miniflow.errors import GradientError, NotFiniteError
from miniflow.optimizers import SGD
from miniflow.training import fit
from miniflow.training.stepping import InterpreterWarning, make_evaluator, make_step


class Choosing(mf.Node):
    """Has an `if` on a value, which no program can hold."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x], "choice")

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.value = x if x.sum() > -1e9 else -x

    def backward(self) -> None:
        self.gradients = {
            self.inbound_nodes[0]: sum(n.gradients[self] for n in self.outbound_nodes)
        }


def uncompilable() -> tuple[mf.Node, dict[mf.Node, Any], mf.Parameter]:
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(np.zeros((2, 3), "f4"), "W")
    data = problem().data
    return (
        mf.CrossEntropyWithSoftmax(Choosing(X @ W), y),
        {X: data.images, y: data.labels},
        W,
    )


@pytest.mark.parametrize("backend", ["interpreter", "numpy", "auto"])
def test_a_step_tells_the_loss_and_the_recognised_rows_from_before_the_update(backend: str) -> None:
    p = problem()
    loss = float(mf.value(p.loss, p.feed()))
    correct = round(mf.accuracy(p.loss, p.feed()) * 90)
    result = make_step(p.loss, p.parameters, SGD(0.5), backend)(p.feed())
    assert (result.loss, result.correct) == (pytest.approx(loss, rel=1e-5), correct)
    assert float(mf.value(p.loss, p.feed())) < loss
    evaluator = make_evaluator(p.loss, backend)
    before = p.bytes()
    assert evaluator(p.feed()).loss == pytest.approx(float(mf.value(p.loss, p.feed())), rel=1e-5)
    assert p.bytes() == before
    assert evaluator.backend != "auto"
    assert (evaluator.backend == "interpreter") == (backend == "interpreter")


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_labels_that_the_graph_makes_itself_are_counted_too(backend: str) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.eye(3), "W")
    loss = mf.MSE(X @ W, y * 1.0)
    feed = {X: np.eye(3), y: np.eye(3)[[0, 1, 1]]}
    assert make_step(loss, [W], SGD(0.1), backend)(feed).correct == 2


def test_a_logit_that_is_the_parameter_itself_is_put_out_as_it_was() -> None:
    W = mf.Parameter([[3.0, 1.0], [2.0, 1.0]], "W")
    y = mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(W, y)
    step = make_step(loss, [W], SGD(100.0), "numpy")
    feed = {y: np.array([0, 1])}
    assert step(feed).correct == 1
    assert W.value.argmax(axis=1).tolist() == [0, 1]
    assert step(feed).correct == 2


def test_auto_leaves_to_the_interpreter_what_cannot_be_compiled_and_says_why_once() -> None:
    loss, feed, W = uncompilable()
    with pytest.warns(InterpreterWarning, match="Choosing 'choice'.*cannot be compiled") as told:
        history = fit(loss, feed, SGD(0.1), epochs=2, validation=feed, rng=0, progress="none")
    assert len(told) == 1
    assert history[-1].validation_accuracy > 0.5
    assert W.value.any()


def test_a_backend_that_was_named_refuses_what_cannot_be_compiled() -> None:
    loss, feed, W = uncompilable()
    with pytest.raises(mf.CompileError, match="Choosing 'choice'"):
        fit(loss, feed, SGD(0.1), progress="none", backend="numpy")
    assert not W.value.any()
    fit(loss, feed, SGD(0.1), epochs=1, progress="none", backend="interpreter")
    assert W.value.any()


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_loss_that_is_not_finite_updates_nothing(backend: str) -> None:
    p = problem()
    before = p.bytes()
    step = make_step(p.loss, p.parameters, SGD(0.1), backend)
    with pytest.raises(NotFiniteError, match=r"'loss' .*nothing was updated\. .*Input 'X'"):
        step(p.feed() | {p.X: p.data.images * np.float32(np.nan)})
    assert p.bytes() == before


class Counting(mf.optimizers.SGD):
    """Of somebody's own: it remembers more than its state."""

    def __init__(self) -> None:
        super().__init__(0.1)
        self.calls, self.seen, self.last = 0, [], np.zeros(2)

    def update(self, parameters: Any, gradients: Any) -> None:
        self.calls += 1
        self.seen.append(self.calls)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            self.last[...] = gradient
            parameter.value /= gradient


TOO_FAR: dict[str, Callable[[], Any]] = {
    "Adam": lambda: mf.Adam(0.1, epsilon=0.0),
    "Counting": Counting,
    "RMSprop": lambda: mf.RMSprop(0.1, epsilon=0.0),
    "SGD": lambda: SGD(1.7e308, momentum=0.9),
}


@pytest.mark.parametrize("name", sorted(TOO_FAR))
def test_what_an_update_would_spoil_is_put_back_by_the_interpreter(name: str) -> None:
    w, x = mf.Parameter([1.0, 2.0], "w"), mf.Input("x")
    optimizer, other = TOO_FAR[name](), TOO_FAR[name]()
    array, bad = w.value, np.array([[0.0, 30.0]])
    step = make_step(mf.Mean(w * x), [w], optimizer, "interpreter")
    told = (
        rf"The step of {name}.* for Parameter 'w' is no longer finite, and nothing.* Try an? \w+ "
    )
    with pytest.raises(NotFiniteError, match=told):
        step({x: bad})
    assert w.value is array
    assert array.tolist() == [1.0, 2.0]
    assert repr(vars(optimizer)) == repr(vars(other))
    if name != "SGD":
        step({x: np.array([[6.0, 8.0]])})
        assert np.isfinite(array).all()
        assert (array != [1.0, 2.0]).all()


# --- what `Compiled` puts out beside its value


def test_run_puts_out_the_value_the_gradients_and_further_nodes() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    product = x * y
    compiled = Compiled(product + x, [x], None, "numpy", values_of=[product, y])
    assert compiled.run({x: 3.0, y: 4.0}) == [15.0, 5.0, 12.0, 4.0]
    assert compiled({x: 3.0, y: 4.0}) == (15.0, [5.0])
    assert compiled.backend == "numpy"
    with pytest.raises(GradientError, match="does not depend on"):
        Compiled(product, (), None, "numpy", values_of=[mf.Input("z")])


def test_an_optimizers_settings_take_effect_at_the_next_call() -> None:
    def run(backend: str) -> Any:
        W = mf.Parameter([1.0, 2.0], "W")
        optimizer = SGD(0.1, momentum=0.9)
        step = make_step(mf.MSE(W, [0.0, 0.0]), [W], optimizer, backend)
        for momentum in (0.9, 0.9, 0.5, 0.9):
            optimizer.momentum = momentum
            step({})
        optimizer.lr = lambda step: 0.5 / (1 + step)
        step({})
        return W.value

    assert run("numpy") == pytest.approx(run("interpreter"))


def test_an_input_class_whose_forward_can_do_without_a_value_is_fed() -> None:
    class Fed(mf.Node):
        """The lab's `Input`."""

        def __init__(self) -> None:
            mf.Node.__init__(self)

        def forward(self, value: Any = None) -> None:
            if value is not None:
                self.value = value

        def backward(self) -> None:
            self.gradients = {self: sum(n.gradients[self] for n in self.outbound_nodes)}

    x = Fed()
    f = mf.compile(x * 2.0, wrt=[x], backend="numpy")
    assert [f({x: 3.0}), f({x: 4.0})] == [(6.0, [2.0]), (8.0, [2.0])]
    with pytest.raises(mf.MiniflowError, match="did not set self"):
        f({})
