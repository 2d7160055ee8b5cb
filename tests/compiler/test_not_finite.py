"""What is not finite updates nothing: a loss, a gradient, or what an optimizer makes of these; by
whatever runs it, and with one message.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest

import miniflow as mf
from miniflow.compiler.within import Within
from miniflow.errors import NotFiniteError
from miniflow.graph import Node, Parameter
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.passes.ranges import Range
from miniflow.training.stepping import make_step

needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
BACKENDS = ["interpreter", "numpy", pytest.param("native", marks=needs_llvmlite), "reference"]
Array = Any


class Own(Optimizer):
    """Of somebody's own: no gradient is too large for it, and what it makes may be."""

    slots = ("last",)
    lr: Any

    def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
        value -= lr * np.sign(grad) / (np.abs(grad) > 0)
        kept[0][...] = np.sign(grad)


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "Adam": lambda: Adam(0.01),
    "Adam, global_clipnorm": lambda: Adam(0.01, global_clipnorm=1.0),
    "AdamW": lambda: AdamW(0.01),
    "Own": lambda: Own(0.01),
    "RMSprop": lambda: RMSprop(0.01),
    "RMSprop, clipvalue": lambda: RMSprop(0.01, clipvalue=0.5),
    "SGD": lambda: SGD(0.01),
    "SGD, clipnorm": lambda: SGD(0.01, clipnorm=1.0),
    "SGD, momentum": lambda: SGD(0.01, momentum=0.9),
    "SGD, nesterov": lambda: SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "SGD, schedule": lambda: SGD(mf.schedules.CosineDecay(0.02, 100)),
    "SGD, weight_decay": lambda: SGD(0.01, weight_decay=1e-3),
}
# The same, with which a gradient of 0, or one of some size, has no step that is finite.
BEYOND: dict[str, tuple[Callable[[], Optimizer], float]] = {
    "Adam": (lambda: Adam(0.01, epsilon=0.0), 0.0),
    "Adam, clipvalue": (lambda: Adam(0.01, epsilon=0.0, clipvalue=1.0), 0.0),
    "AdamW": (lambda: AdamW(0.01, epsilon=0.0), 0.0),
    "Own": (lambda: Own(0.01), 0.0),
    "RMSprop": (lambda: RMSprop(0.01, epsilon=0.0), 0.0),
    "RMSprop, clipnorm": (lambda: RMSprop(0.01, epsilon=0.0, clipnorm=1.0), 0.0),
    "SGD": (lambda: SGD(1e38), 50.0),
    "SGD, clipnorm": (lambda: SGD(1e38, clipnorm=40.0), 50.0),
    "SGD, momentum": (lambda: SGD(1e38, momentum=0.9), 50.0),
    "SGD, schedule": (lambda: SGD(mf.schedules.CosineDecay(1e38, 10**6)), 50.0),
    "SGD, weight_decay": (lambda: SGD(1e38, weight_decay=1e-3), 50.0),
}


class Problem(NamedTuple):
    loss: Node
    x: Node
    parameters: list[Parameter]

    def feed(self, rows: Array) -> dict[Node, Array]:
        return {self.x: np.asarray(rows, self.parameters[0].value.dtype)}


def layers(end: Callable[[Node], Node], dtype: str, middle: Callable[[Node], Node]) -> Problem:
    """A product of data and weights, a bias, a second layer, and a mean of what `end` makes."""
    rng = np.random.default_rng(0)
    x = mf.Input("x")
    weights = [
        mf.Parameter(rng.uniform(0.5, 1.0, shape).astype(dtype), name)
        for name, shape in (("W", (2, 3)), ("b", (3,)), ("V", (3, 2)))
    ]
    W, b, V = weights
    hidden = middle(mf.Linear(x, W, b, name="first"))
    return Problem(mf.Mean(end(hidden @ V), name="loss"), x, weights)


def weighted(dtype: str, end: Callable[[Node], Node] = lambda node: node) -> Problem:
    """A parameter times data, entry by entry: what is fed is the gradient, up to a factor."""
    x, w = mf.Input("x"), mf.Parameter(np.array([1.0, 2.0], dtype), "w")
    return Problem(mf.Sum(end(w * x), name="loss"), x, [w])


def same(node: Node) -> Node:
    return node


def root(node: Node) -> Node:
    return mf.Sqrt(node * node, name="root")


GOOD, GOOD_ROWS = [1.0, 2.0], [[1.0, 2.0], [0.5, 1.5]]


class Case(NamedTuple):
    """A problem; a feed with which something is not finite; one with which all is, if there is
    such; what is told.
    """

    build: Callable[[str], Problem]
    bad: Any
    good: Any
    told: str


CASES: dict[str, Case] = {
    "a gradient, behind a root": Case(
        lambda dtype: weighted(dtype, root),
        [0.0, 0.0],
        GOOD,
        "A gradient of Sum 'loss' .* Sqrt 'root' .* hands back to Mul .* Try a smaller",
    ),
    "a gradient, behind a Where": Case(
        lambda dtype: weighted(dtype, lambda z: mf.Where(z < 0.5, 0.0, mf.Sqrt(z, name="root"))),
        [0.0, 1.0],
        GOOD,
        r"A gradient of Sum 'loss' .* choose what goes in as well, Sqrt\(mf.Where",
    ),
    "a gradient, of layers": Case(
        lambda dtype: layers(root, dtype, lambda z: z * 0.0),
        GOOD_ROWS,
        None,
        "A gradient of Mean 'loss' .* Sqrt 'root'",
    ),
    "a gradient, of data that are infinite": Case(
        lambda dtype: layers(same, dtype, mf.Tanh),
        [[np.inf, 1.0], [0.5, 1.5]],
        GOOD_ROWS,
        "A gradient of Mean 'loss' .* fed to Input 'x' .* Look for it in the data",
    ),
    "the loss": Case(
        lambda dtype: weighted(dtype, lambda z: mf.Log(z, name="log")),
        [0.0, 1.0],
        GOOD,
        "Sum 'loss' .* The value of Log 'log' .* Try a smaller learning rate, or clipping",
    ),
    "the loss, of layers": Case(
        lambda dtype: layers(lambda z: mf.Log(z - z, name="log"), dtype, same),
        GOOD_ROWS,
        None,
        "Mean 'loss' .* The value of Log 'log' .* is the first that is not finite",
    ),
}


def made(problem: Problem, optimizer: Optimizer, backend: str) -> Callable[[Any], Any]:
    if backend == "interpreter":
        return make_step(problem.loss, problem.parameters, optimizer, backend)
    return mf.compile(problem.loss, optimizer=optimizer, backend=backend)


def arrays_of(problem: Problem, optimizer: Optimizer) -> list[Array]:
    return [*(p.value for p in problem.parameters), *optimizer.state.values()]


def bits(problem: Problem, optimizer: Optimizer) -> list[bytes]:
    return [array.tobytes() for array in arrays_of(problem, optimizer)]


def assert_nothing_is_updated(
    problem: Problem, optimizer: Optimizer, step: Callable[[Any], Any], bad: Any, told: str
) -> None:
    optimizer.prepare(problem.parameters)
    arrays, before = arrays_of(problem, optimizer), bits(problem, optimizer)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=f"(?s){told}") as caught:
        step(problem.feed(bad))
    assert " no longer finite, and nothing was updated. " in str(caught.value)
    assert bits(problem, optimizer) == before
    now = arrays_of(problem, optimizer)
    assert all(one is other for one, other in zip(arrays, now, strict=True))


def table() -> list[Any]:
    """All of them; of each backend, of each optimizer and each case one is quick, and CI takes one
    more.
    """
    rows = []
    for backend in BACKENDS:
        for i, name in enumerate(sorted(OPTIMIZERS)):
            for j, what in enumerate(sorted(CASES)):
                own = getattr(backend, "marks", ())
                turn = (i + j) % 6
                others = (pytest.mark.slow, pytest.mark.rare) if turn > 1 else (pytest.mark.slow,)
                marks = (*own, *others) if turn else own
                rows.append(
                    pytest.param(getattr(backend, "values", (backend,))[0], name, what, marks=marks)
                )
    return rows


@pytest.mark.parametrize(("backend", "name", "what"), table())
def test_a_loss_or_a_gradient_that_is_not_finite_updates_nothing(
    backend: str, name: str, what: str
) -> None:
    case = CASES[what]
    for dtype in ("f4", "f8"):
        problem, twin = case.build(dtype), case.build(dtype)
        optimizer, other = OPTIMIZERS[name](), OPTIMIZERS[name]()
        step, its = made(problem, optimizer, backend), made(twin, other, backend)
        if case.good is not None:
            step(problem.feed(case.good))
            its(twin.feed(case.good))
        assert_nothing_is_updated(problem, optimizer, step, case.bad, case.told)
        if case.good is not None:  # it goes on as if nothing had been
            assert step(problem.feed(case.good)) == its(twin.feed(case.good))
            assert bits(problem, optimizer) == bits(twin, other)


@pytest.mark.parametrize("name", sorted(BEYOND))
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_is_not_finite_is_not_made(backend: str, name: str) -> None:
    make, size = BEYOND[name]
    problem, optimizer = weighted("f4"), make()
    step, kind = made(problem, optimizer, backend), name.partition(",")[0]
    way_out = "an epsilon above 0" if hasattr(optimizer, "epsilon") else "a smaller learning rate"
    told = rf"The step of {kind}\(.* for Parameter 'w' is no longer .* Try {way_out}"
    assert_nothing_is_updated(problem, optimizer, step, [size, 1.0], told)
    if not size:  # a gradient of another size has a step
        twin, other = weighted("f4"), make()
        assert step(problem.feed(GOOD)) == made(twin, other, backend)(twin.feed(GOOD))
        assert bits(problem, optimizer) == bits(twin, other)


# --- that nothing as large as a weight is looked at


COMPILED = BACKENDS[1:3]
WALKED = sorted(name for name in OPTIMIZERS if name != "Own")


@pytest.mark.parametrize("name", WALKED)
def test_of_layers_nothing_as_large_as_a_weight_is_looked_at(name: str) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    image = mf.Parameter(np.full((3, 3, 1, 2), 0.1, "f4"), "kernel")
    gain, shift = mf.Parameter(np.ones(32, "f4"), "gain"), mf.Parameter(np.zeros(32, "f4"), "shift")
    W = mf.Parameter(np.full((32, 7), 0.1, "f4"), "W")
    hidden = mf.Flatten(mf.MaxPool(mf.ReLU(mf.Conv2D(X, image, padding="same"))))
    loss = mf.CrossEntropyWithSoftmax(mf.LayerNorm(hidden, gain, shift) @ W, y)
    step = mf.compile(loss, optimizer=OPTIMIZERS[name](), backend="numpy")
    step({X: np.ones((5, 8, 8, 1), "f4"), y: np.arange(5)})
    ran = step._last
    assert ran is not None
    assert ran.ranges is not None
    weights = {(3, 3, 1, 2), (18,), (9, 2), (32, 7), (224,)}
    checks = [e for e in step.program.equations if e.origin and e.origin.node == "check"]
    assert len(checks) > 4
    assert not weights & {o.shape for e in checks for o in e.operands}


@pytest.mark.parametrize("backend", COMPILED)
def test_what_is_beyond_the_bounds_and_finite_is_updated_all_the_same(backend: str) -> None:
    x, w = mf.Input("x"), mf.Parameter(np.full((2, 1), 1e-30, "f4"), "w")
    step = mf.compile(mf.Mean(x @ w), optimizer=SGD(1e-30), backend=backend)
    step({x: np.ones((1, 2), "f4")})
    assert step._last is not None
    assert step._last.ranges is not None
    before = w.value.copy()
    step({x: np.full((1, 2), 1e30, "f4")})
    assert np.allclose(w.value, before - 1.0)
    w.value = np.full((2, 1), 3e38, "f4")  # beyond the range from which steps are shown to be safe
    step({x: np.full((1, 2), 1e-38, "f4")})
    assert np.array_equal(w.value, np.full((2, 1), 3e38, "f4"))
    told = "(?s)The step of SGD.* for Parameter 'w' is no longer finite"
    step = mf.compile(mf.Mean(x @ w), optimizer=SGD(1e38), backend=backend)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=told):
        step({x: np.array([[1.0, -1.0]], "f4")})
    assert np.array_equal(w.value, np.full((2, 1), 3e38, "f4"))


def test_ranges_are_looked_at_again_for_other_arrays_and_after_some_steps() -> None:
    within, arrays = Within(), [np.array([1.0])]
    ranges = {0: Range(-2.0, 2.0)}
    within.expect(arrays)
    assert within.holds(ranges, 3, arrays)
    arrays[0][...] = 5.0
    assert [within.holds(ranges, 3, arrays) for _ in range(3)] == [True, True, False]
    arrays[0][...] = np.nan
    assert not within.holds(ranges, 3, arrays)
    arrays[0][...] = 1.0
    assert within.holds(ranges, 3, arrays)
    within.expect([np.array([9.0])])
    assert not within.holds(ranges, 3, [np.array([9.0])])


class Maps(NamedTuple):
    """A compiled step of a convolution that makes much of few weights, and of a product."""

    step: Any
    x: Node
    parameters: list[Parameter]


def maps_and_scores(
    scores: int, backend: str = "numpy", end: Callable[[Node], Node] = mf.Tanh
) -> Maps:
    rng = np.random.default_rng(0)
    x = mf.Input("x")
    K = mf.Parameter(rng.standard_normal((3, 3, 1, 8)).astype(np.float32), "K")
    W = mf.Parameter(rng.standard_normal((8, scores)).astype(np.float32), "W")
    loss = mf.Mean(end(mf.Mean(mf.ReLU(mf.Conv2D(x, K)), axis=(1, 2)) @ W))
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
    step({x: rng.standard_normal((4, 60, 60, 1)).astype(np.float32)})
    return Maps(step, x, [K, W])


def made_at(step: Any) -> tuple[int, int, int]:
    """Where its program makes the check, and new values of K and W."""
    made = {e.result: number for number, e in enumerate(step.program.equations)}
    new = {o.replaces.name: made[o.operand] for o in step.program.outputs if o.replaces is not None}
    (check,) = (made[o.operand] for o in step.program.outputs if o.role == "check")
    return check, new["K"], new["W"]


def test_small_parameters_are_looked_at_before_large_ones_are_updated() -> None:
    """So the large ones can be updated where they are."""
    check, K, W = made_at(maps_and_scores(9000).step)
    assert K < check < W


def test_gradients_are_measured_where_they_are_fewer_than_what_they_are_made_of() -> None:
    step = maps_and_scores(200).step
    check, K, W = made_at(step)
    assert check < min(K, W)
    products = (e for e in step.program.equations if e.primitive == "matmul")
    squares = [e.operands[0].shape for e in products if e.operands[0] is e.operands[1]]
    assert sorted(squares) == [(72,), (1600,)]


@pytest.mark.parametrize("backend", BACKENDS[1:3])
def test_a_gradient_that_is_measured_and_is_not_finite_updates_nothing(backend: str) -> None:
    maps = maps_and_scores(200, backend, root)
    before = [parameter.value.copy() for parameter in maps.parameters]
    with pytest.raises(NotFiniteError, match="root"):
        maps.step({maps.x: np.zeros((4, 60, 60, 1), np.float32)})
    for parameter, value in zip(maps.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)
