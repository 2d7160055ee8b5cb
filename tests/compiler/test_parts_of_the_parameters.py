"""Frozen parameters, chosen ones and groups of them, in a compiled step; and what is refused."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import CompileError, MiniflowError
from miniflow.optimizers import Optimizer
from miniflow.schedules import ExponentialDecay


class Net(NamedTuple):
    X: mf.Input
    W: mf.Parameter
    b: mf.Parameter
    V: mf.Parameter
    loss: mf.Node
    feed: dict[mf.Node, Any]

    def values(self) -> list[np.ndarray]:
        return [p.value.copy() for p in (self.W, self.b, self.V)]


def net() -> Net:
    rng = np.random.default_rng(0)
    X = mf.Input("X")
    W, b = mf.Parameter(rng.normal(size=(3, 4)), "W"), mf.Parameter(np.zeros(4), "b")
    V = mf.Parameter(rng.normal(size=(4, 2)), "V")
    loss = mf.Mean((mf.Tanh(mf.Linear(X, W, b)) @ V) ** 2.0, name="loss")
    return Net(X, W, b, V, loss, {X: rng.normal(size=(5, 3))})


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": lambda: mf.SGD(0.1, momentum=0.9),
    "adam": lambda: mf.Adam(0.1, clipnorm=0.5),
    "schedule": lambda: mf.AdamW(ExponentialDecay(0.1, steps=9)),
}


def names_moved(n: Net, before: list[np.ndarray]) -> list[str]:
    pairs = zip("WbV", before, n.values(), strict=True)
    return [name for name, old, new in pairs if not np.array_equal(old, new)]


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_frozen_parameter_stays_and_its_gradient_is_not_computed(
    backend: str, make: Callable[[], Optimizer]
) -> None:
    n, other = net(), net()
    n.W.trainable = False
    step = mf.compile(n.loss, optimizer=make(), backend=backend)
    by_hand = make()
    before = n.values()
    for _ in range(3):
        step(n.feed)
        trained = [other.b, other.V]
        feed = {other.X: n.feed[n.X]}
        by_hand.update(trained, mf.value_and_grad(other.loss, feed, trained)[1])
    assert names_moved(n, before) == ["b", "V"]
    for one, two in zip(n.values(), other.values(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    shapes = [e.result.shape for e in step.program.equations if "backward" in str(e.origin)]
    assert n.W.value.shape not in shapes
    assert n.W.value.shape[::-1] not in shapes


def test_to_freeze_and_to_thaw_takes_effect_at_the_next_step(backend: str) -> None:
    n, optimizer = net(), mf.Adam(0.1)
    step = mf.compile(n.loss, optimizer=optimizer, backend=backend)
    for frozen in ("", "W", "WV", "V", ""):
        for name in "WbV":
            getattr(n, name).trainable = name not in frozen
        before, kept = n.values(), {k: a.copy() for k, a in optimizer.state.items()}
        step(n.feed)
        assert names_moved(n, before) == [name for name in "WbV" if name not in frozen]
        for place, name in enumerate("WbV"):  # what is remembered stays with whom it is of
            if name in frozen:
                key = f"mean.{place}"
                assert np.array_equal(optimizer.state[key], kept[key])
    step.why_retraced()


@pytest.mark.parametrize("run", ["interpreter", "numpy", "native"])
def test_parameters_says_what_is_trained(run: str) -> None:
    n = net()
    before = n.values()
    if run == "interpreter":
        data = {n.X: n.feed[n.X]}
        mf.fit(n.loss, data, mf.SGD(0.1), parameters=[n.V], epochs=1, progress="none", backend=run)
    else:
        step = mf.compile(n.loss, [n.W], mf.SGD(0.1), run, parameters={"V": n.V})
        _, (dW,) = step(n.feed)
        assert dW.shape == (3, 4)
    assert names_moved(n, before) == ["V"]


def test_groups_are_as_optimizers_by_themselves(backend: str) -> None:
    n, twin = net(), net()
    matrices, biases = mf.AdamW(0.01), mf.SGD(0.5, momentum=0.5, global_clipnorm=0.1)
    groups = [(matrices, [n.V, n.W]), (biases, [n.b])]
    step = mf.compile(n.loss, optimizer=groups, backend=backend)
    one, two = mf.AdamW(0.01), mf.SGD(0.5, momentum=0.5, global_clipnorm=0.1)
    for _ in range(3):
        step(n.feed)
        feed = {twin.X: n.feed[n.X]}
        dV, dW, db = mf.value_and_grad(twin.loss, feed, [twin.V, twin.W, twin.b])[1]
        one.update([twin.V, twin.W], [dV, dW])
        two.update([twin.b], [db])
    for a, b in zip(n.values(), twin.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert matrices.state.keys() == {"step", "mean.0", "rms.0", "mean.1", "rms.1"}
    program, before = step.program, n.values()
    biases.lr = matrices.lr = 0.0
    step(n.feed)
    assert step.program is program
    assert names_moved(n, before) == []


def test_a_group_with_an_optimizer_of_somebodys_own(backend: str) -> None:
    class Plain:
        def __init__(self) -> None:
            self.lr, self.state = 0.5, {"count": np.zeros(())}

        def update(self, parameters: Any, gradients: Any) -> None:
            self.state["count"] += 1
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.value -= self.lr * gradient

    n, twin = net(), net()
    own = Plain()
    groups = [(own, [n.W, n.b]), (mf.SGD(0.5), [n.V])]
    mf.compile(n.loss, optimizer=groups, backend=backend)(n.feed)
    mf.compile(twin.loss, optimizer=mf.SGD(0.5), backend=backend)({twin.X: n.feed[n.X]})
    for a, b in zip(n.values(), twin.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert own.state["count"] == 1


def test_a_copy_of_a_step_trains_its_own_part() -> None:
    import pickle

    n = net()
    step = pickle.loads(
        pickle.dumps(
            mf.compile(n.loss, optimizer=[(mf.SGD(0.1), [n.W, n.b]), (mf.SGD(0.2), [n.V])])
        )
    )
    assert [p.name for p in step.parameters] == ["W", "b", "V"]


FOREIGN = mf.Parameter([1.0], "elsewhere")
REFUSED: dict[str, tuple[Callable[[Net], dict[str, Any]], str]] = {
    "in two groups": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W, n.V]), (mf.SGD(), [n.b, n.V])]},
        r"Parameter 'V' .* is in two groups, 1 and 2",
    ),
    "twice in a group": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W, n.V, n.W]), (mf.SGD(), [n.b])]},
        r"group 1 has Parameter 'W' .* twice",
    ),
    "in none": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W])]},
        r"Parameter 'b' .* and Parameter 'V' .* are in no group: add them",
    ),
    "not in the graph": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W, n.b, n.V, FOREIGN])]},
        r"Mean 'loss' .* does not depend on Parameter 'elsewhere'",
    ),
    "chosen, and not in the graph": (
        lambda n: {"optimizer": mf.SGD(), "parameters": [FOREIGN]},
        r"does not depend on Parameter 'elsewhere'",
    ),
    "chosen twice": (
        lambda n: {"optimizer": mf.SGD(), "parameters": [n.W, n.W]},
        r"parameters has Parameter 'W' .* twice",
    ),
    "chosen and frozen": (
        lambda n: {"optimizer": mf.SGD(), "parameters": [n.W, freeze(n.V)]},
        r"Parameter 'V' .* trainable is False",
    ),
    "in a group and frozen": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W, n.b]), (mf.SGD(), [freeze(n.V)])]},
        r"Parameter 'V' .* trainable is False",
    ),
    "all frozen": (
        lambda n: [freeze(n.W), freeze(n.V), freeze(n.b)] and {"optimizer": mf.SGD()},
        r"no Parameter that Mean 'loss' .* depends on is trainable",
    ),
    "both ways": (
        lambda n: {"optimizer": [(mf.SGD(), [n.W, n.b, n.V])], "parameters": [n.W]},
        r"the groups say which",
    ),
    "one optimizer for two": (
        lambda n: (lambda o: {"optimizer": [(o, [n.W]), (o, [n.b, n.V])]})(mf.SGD()),
        r"two groups have the same optimizer",
    ),
    "one pair and no list": (lambda n: {"optimizer": (mf.SGD(), [n.W])}, r"a list of pairs"),
    "no groups": (lambda n: {"optimizer": []}, r"list of groups is empty"),
    "no pair": (lambda n: {"optimizer": [mf.SGD()]}, r"group 1 is a pair"),
    "no optimizer": (lambda n: {"optimizer": [(0.1, [n.W])]}, r"optimizer .*not 0.1 \(float\)"),
    "no parameter": (lambda n: {"optimizer": mf.SGD(), "parameters": [n.X]}, r"no Parameter"),
    "a parameter and no list": (
        lambda n: {"optimizer": mf.SGD(), "parameters": n.W},
        r"parameters is a list of them",
    ),
    "an empty list": (
        lambda n: {"optimizer": mf.SGD(), "parameters": []},
        r"parameters has no parameter in it",
    ),
}


def freeze(parameter: mf.Parameter) -> mf.Parameter:
    parameter.trainable = False
    return parameter


@pytest.mark.parametrize("by", ["compile", "fit"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_trained_is_told_by_name(what: str, by: str) -> None:
    make, message = REFUSED[what]
    n = net()
    options = make(n)
    if by == "fit":
        options |= {"data": {n.X: n.feed[n.X]}, "progress": "none"}
    train: Any = mf.fit if by == "fit" else mf.compile
    with pytest.raises(MiniflowError, match=message):
        train(n.loss, **options)


def test_parameters_without_an_optimizer_are_refused() -> None:
    n = net()
    with pytest.raises(MiniflowError, match=r"parameters says what an optimizer trains"):
        mf.compile(n.loss, parameters=[n.W])
    with pytest.raises(CompileError, match=r"the optimizer is one such as SGD"):
        mf.compile(n.loss, optimizer=0.1)


def test_a_chosen_parameter_that_is_frozen_later_on_is_told(backend: str) -> None:
    n = net()
    step = mf.compile(n.loss, optimizer=mf.SGD(), parameters=[n.W], backend=backend)
    step(n.feed)
    n.W.trainable = False
    with pytest.raises(MiniflowError, match=r"Parameter 'W' .* trainable is False"):
        step(n.feed)


def test_an_optimizer_that_goes_by_places_is_not_handed_others() -> None:
    class Own(mf.SGD):
        def update(self, parameters: Any, gradients: Any) -> None:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.value -= self.lr * gradient

    n = net()
    n.W.trainable = False
    before = n.values()
    step = mf.compile(n.loss, optimizer=Own(0.1), backend="numpy")
    step(n.feed)
    assert names_moved(n, before) == ["b", "V"]
    n.W.trainable = True
    with pytest.raises(MiniflowError, match=r"Own.update knows them by their places"):
        step(n.feed)


def test_a_frozen_parameter_can_be_fed_and_need_not_be_writable(backend: str) -> None:
    n = net()
    freeze(n.W).value.flags.writeable = False
    step = mf.compile(n.loss, optimizer=mf.SGD(0.1), backend=backend)
    value = step(n.feed)
    assert step({**n.feed, n.W: np.zeros((3, 4))}) != value


def test_trainable_is_a_flag_that_copies_keep() -> None:
    import copy
    import pickle

    W = mf.Parameter([1.0], "W", trainable=False)
    assert not copy.copy(W).trainable
    assert not pickle.loads(pickle.dumps(W)).trainable
    with pytest.raises(MiniflowError, match=r"Parameter 'W'.*trainable is True or False"):
        W.trainable = "no"  # type: ignore[assignment]
    with pytest.raises(MiniflowError, match=r"has trainable=False: say with respect"):
        mf.value_and_grad(mf.Sum(W))
    assert mf.value_and_grad(mf.Sum(W), {}, [W])[1][0] == [1.0]


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_update_leaves_a_frozen_parameter_alone(make: Callable[[], Optimizer]) -> None:
    optimizer = make()
    W, b = mf.Parameter([1.0], "W", trainable=False), mf.Parameter([1.0], "b")
    optimizer.update([W, b], [None, np.array([1.0])])
    optimizer.update([W, b], [np.array([1.0]), np.array([1.0])])
    assert W.value == [1.0]
    assert b.value != [1.0]
    assert not [key for key in optimizer.state if key.endswith(".0")]


def test_an_epoch_of_groups_and_frozen_ones_is_as_its_steps(backend: str) -> None:
    if backend == "reference":
        pytest.skip("it has no epochs")
    rng = np.random.default_rng(1)
    rows, order = rng.normal(size=(20, 3)), rng.integers(0, 20, (6, 5))
    one, two = net(), net()
    steps = []
    for n in (one, two):
        n.W.trainable = False
        groups = [(mf.Adam(ExponentialDecay(0.1, steps=9)), [n.V]), (mf.SGD(0.2), [n.b])]
        steps.append(mf.compile(n.loss, optimizer=groups, backend=backend))
    losses = steps[0].epoch({one.X: rows}, order)
    assert np.array_equal(losses, [steps[1]({two.X: rows[picked]}) for picked in order])
    for a, b in zip(one.values(), two.values(), strict=True):
        assert np.array_equal(a, b)
