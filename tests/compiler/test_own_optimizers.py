"""Optimizers and schedules that people write: compiled they do the same, or are refused."""

from types import SimpleNamespace

import numpy as np
import pytest

import miniflow as mf
from miniflow.optimizers import SGD, Optimizer


class Sign(Optimizer):
    slots = ("last",)

    def _move(self, value, grad, lr, last):
        value -= lr * np.sign(grad + last)
        last[...] = grad


class Plain:
    """Has nothing of miniflow's optimizers but `lr`, `state` and `update`."""

    def __init__(self, lr=0.1):
        self.lr = lr
        self.state = {"mean": np.zeros(3)}

    def update(self, parameters, gradients):
        for parameter, grad in zip(parameters, gradients, strict=True):
            self.state["mean"] = 0.9 * self.state["mean"] + 0.1 * grad
            parameter.value = parameter.value - self.lr * self.state["mean"]


def runs(make, backend="numpy", steps=4):
    """The parameter after some compiled, and some interpreted, updates."""
    results = []
    for is_compiled in (True, False):
        W, x = mf.Parameter([1.0, -2.0, 3.0], "W"), mf.Input("x")
        loss = mf.MSE(W * x, np.zeros(3))
        optimizer = make()
        step = mf.compile(loss, optimizer=optimizer, backend=backend)
        for i in range(steps):
            feed = {x: np.array([1.0, 2.0, 0.5]) + i}
            if is_compiled:
                step(feed)
            else:
                optimizer.update([W], mf.value_and_grad(loss, feed, [W])[1])
        results.append((W.value, optimizer.state))
    return results


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sign(0.1),
        Plain,
        lambda: SGD(lambda step: 0.1 / (1 + step)),
        lambda: SGD(lambda step: np.where(step < 2, 0.1, 0.01), momentum=0.5),
    ],
)
def test_own_optimizers_and_schedules_do_the_same(make):
    (compiled, state), (interpreted, other) = runs(make)
    np.testing.assert_allclose(compiled, interpreted)
    assert state.keys() == other.keys()
    for key in state:
        np.testing.assert_allclose(state[key], other[key])


class Counting(Plain):
    t = 0

    def update(self, parameters, gradients):
        self.t += 1
        parameters[0].value -= self.lr * gradients[0] / (1 - 0.9**self.t)


class Listing(Plain):
    def __init__(self):
        Plain.__init__(self)
        self.means = [np.zeros(3)]

    def update(self, parameters, gradients):
        self.means[0] = self.means[0] + gradients[0]
        parameters[0].value -= self.lr * self.means[0]


class Writing(Listing):
    def update(self, parameters, gradients):
        self.means[0] += gradients[0]


class Growing(Plain):
    def update(self, parameters, gradients):
        self.state["new"] = gradients[0]


class Widening(Plain):
    def update(self, parameters, gradients):
        self.state["mean"] = self.state["mean"].astype(np.float32)


class Deciding(Plain):
    def update(self, parameters, gradients):
        if np.abs(gradients[0]).max() > 1.0:
            parameters[0].value -= self.lr


def numbered():
    optimizer = Plain()
    optimizer.state["step"] = 0
    return optimizer


class Checked(Plain):
    """Its learning rate is behind a property that looks at the number."""

    @property
    def lr(self):
        return self._lr

    @lr.setter
    def lr(self, lr):
        if not 0 <= float(lr) <= 1:
            raise ValueError(lr)
        self._lr = lr


class Elsewhere(Plain):
    """Its learning rate is behind a property, under another name."""

    @property
    def lr(self):
        return self.rate

    @lr.setter
    def lr(self, lr):
        self.rate = lr


class OfTheClass(Plain):
    lr = 0.1

    def __init__(self):
        self.state = {"mean": np.zeros(3)}


class WithMomentum(Plain):
    """Two settings of the same value: that of the rate is an argument, the other is written in."""

    def __init__(self):
        Plain.__init__(self, 0.5)
        self.momentum = self.lr

    def update(self, parameters, gradients):
        self.state["mean"] = self.momentum * self.state["mean"] + gradients[0]
        parameters[0].value = parameters[0].value - self.lr * self.state["mean"]


RATES = [
    *(lambda: Sign(0.1), Plain, Checked, Elsewhere, OfTheClass, WithMomentum),
    *(lambda: SGD(0.1, momentum=0.1), lambda: mf.Adam(0.1), lambda: mf.AdamW(0.1)),
    *(lambda: mf.RMSprop(0.1), lambda: SGD(0.1, clipnorm=1.0)),
]


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("make", RATES)
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_another_learning_rate_takes_effect_at_the_next_update(make, backend):
    results = []
    for is_compiled in (True, False):
        W = mf.Parameter([1.0, -2.0, 3.0], "W")
        loss = mf.MSE(W, np.zeros(3))
        optimizer = make()
        step = mf.compile(loss, optimizer=optimizer, backend=backend)
        for lr in (0.5, 0.25, 0.125):
            optimizer.lr = lr
            if is_compiled:
                step({})
            else:
                optimizer.update([W], mf.value_and_grad(loss, {}, [W])[1])
        results.append(W.value)
    np.testing.assert_allclose(*results)


@pytest.mark.parametrize("make", [make for make in RATES if make is not Elsewhere])
def test_another_learning_rate_is_no_reason_to_record_again(make):
    W = mf.Parameter([1.0, -2.0, 3.0], "W")
    optimizer = make()
    step = mf.compile(mf.MSE(W, np.zeros(3)), optimizer=optimizer, backend="numpy")
    for lr in (0.5, 0.25):
        optimizer.lr = lr
        step({})
    assert step.why_retraced() == "It was recorded once."


def test_another_setting_is_a_reason_to_record_again():
    for optimizer, name in [
        (SGD(0.1, momentum=0.5), "momentum"),
        (mf.AdamW(0.1), "weight_decay"),
        (WithMomentum(), "momentum"),
    ]:
        W = mf.Parameter([1.0, -2.0, 3.0], "W")
        step = mf.compile(mf.MSE(W, np.zeros(3)), optimizer=optimizer, backend="numpy")
        step({})
        setattr(optimizer, name, 0.25)
        step({})
        assert step.why_retraced() == "The optimizer's settings changed."


class Keeping(Plain):
    """Keeps numbers in every kind of thing that can hold some."""

    factor = 1.0

    def __init__(self):
        Plain.__init__(self)
        self.scales, self.table, self.listed = np.ones(2000), {"k": {"of": 1.0}}, ([1.0],)
        self.helper = SimpleNamespace(number=1.0)

    def update(self, parameters, gradients):
        factor = self.factor * self.table["k"]["of"] * self.listed[0][0] * self.helper.number
        parameters[0].value -= self.lr * factor * self.scales * gradients[0]


CHANGES = {
    "an attribute of its own in place of its class's": lambda o: setattr(o, "factor", 3.0),
    "a number in a dictionary": lambda o: o.table["k"].update(of=3.0),
    "a number in a list": lambda o: o.listed[0].__setitem__(0, 3.0),
    "a number in an array": lambda o: o.scales.__setitem__(1000, 3.0),
    "another array": lambda o: setattr(o, "scales", np.where(np.arange(2000) == 999, 3.0, 1.0)),
    "a number in an object": lambda o: setattr(o.helper, "number", 3.0),
}


@pytest.mark.parametrize(
    ("make", "change"),
    [
        *((Keeping, change) for change in CHANGES.values()),
        (lambda: SGD(0.1), lambda o: setattr(o, "clipping", {"clipnorm": 0.5})),
        (lambda: mf.Adam(0.1, clipvalue=1e-3), lambda o: o.clipping.update(clipvalue=1e-9)),
    ],
    ids=[*CHANGES, "clipping where there was none", "another bound"],
)
def test_a_change_within_what_is_kept_takes_effect_at_the_next_update(make, change):
    results = []
    for is_compiled in (True, False):
        W = mf.Parameter(np.linspace(-1.0, 2.0, 2000), "W")
        loss, optimizer = mf.MSE(W, np.zeros(2000)), make()
        step = mf.compile(loss, optimizer=optimizer, backend="numpy")
        for number in range(4):
            if number == 2:
                change(optimizer)
            if is_compiled:
                step({})
            else:
                optimizer.update([W], mf.value_and_grad(loss, {}, [W])[1])
        results.append(W.value)
        assert not is_compiled or "settings changed" in step.why_retraced()
    np.testing.assert_allclose(*results, rtol=1e-12)


class Slowing(Plain):
    def update(self, parameters, gradients):
        parameters[0].value -= self.lr * gradients[0]
        self.lr *= 0.5


class SlowingSign(Sign):
    def update(self, parameters, gradients):
        Sign.update(self, parameters, gradients)
        self.lr = self.lr * 0.5


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Slowing, r"Slowing: update changes self\.lr, which a compiled step would not do"),
        (lambda: SlowingSign(0.1), r"SlowingSign: update changes self\.lr, which a compiled step"),
        (Counting, r"Counting: update changes self\.t, .* Keep what is remembered .* self\.state"),
        (Listing, r"Listing: update changes self\.means, which a compiled step would not do"),
        (Writing, r"Writing: update \(test_own_optimizers\.py:\d+: .*\) cannot be compiled: it wr"),
        (Growing, r"Growing: update changes which arrays there are in self\.state \(state new\)"),
        (Widening, r"Widening: update makes f32\[3\] of state mean, which was f64\[3\]"),
        (Deciding, r"Deciding: update \(test_own_optimizers\.py:\d+: if .*\(a condition\)"),
        (numbered, r"Plain: state\['step'\] is 0 \(int\): .* are arrays \(np\.zeros\(\(\)\)"),
        (lambda: SGD(lambda step: 0.1 if step < 2 else 0.01), r"SGD: update \(.*\(a condition\)"),
    ],
)
def test_what_an_update_cannot_do_in_a_program_is_refused_with_its_reason(make, reason):
    W = mf.Parameter([1.0, -2.0, 3.0], "W")
    optimizer = make()
    before = {key: np.copy(array) for key, array in optimizer.state.items()}
    with pytest.raises(mf.CompileError, match=reason):
        mf.compile(mf.MSE(W, np.zeros(3)), optimizer=optimizer, backend="numpy")({})
    assert W.value.tolist() == [1, -2, 3]
    assert all(np.array_equal(optimizer.state[key], before[key]) for key in before)


def test_an_update_that_the_recording_does_not_see_is_found_by_the_comparison():
    class Sneaky(Plain):
        def update(self, parameters, gradients):
            factor = 1.0 if type(gradients[0]) is np.ndarray else 2.0
            parameters[0].value -= self.lr * factor * gradients[0]

    W = mf.Parameter([1.0, -2.0, 3.0], "W")
    with pytest.raises(mf.CompileError, match="Sneaky: the new value of Parameter 'W'"):
        mf.compile(mf.MSE(W, np.zeros(3)), optimizer=Sneaky(), backend="numpy")({})
    assert W.value.tolist() == [1, -2, 3]


def test_state_in_any_layout_is_brought_into_one_that_a_program_can_write_to():
    W = mf.Parameter(np.arange(6.0).reshape(2, 3), "W")
    twin = mf.Parameter(W.value, "W")
    optimizer, other = SGD(0.1, momentum=0.9), SGD(0.1, momentum=0.9)
    for kept in (optimizer, other):
        frozen = np.asfortranarray(np.ones((2, 3)))
        frozen.flags.writeable = False
        kept.state["velocity.0"] = frozen if kept is optimizer else np.ones((2, 3))
    step = mf.compile(mf.Sum(W * W), optimizer=optimizer, backend="numpy")
    for _ in range(3):
        step({})
        other.update([twin], mf.value_and_grad(mf.Sum(twin * twin), {}, [twin])[1])
    np.testing.assert_allclose(W.value, twin.value)
    np.testing.assert_allclose(optimizer.state["velocity.0"], other.state["velocity.0"])


def test_an_array_of_settings_may_hold_nan():
    class Scaling(Plain):
        def __init__(self):
            Plain.__init__(self)
            self.scales = np.array([1.0, np.nan, 2.0])

        def update(self, parameters, gradients):
            parameters[0].value -= self.lr * np.nan_to_num(self.scales) * gradients[0]

    (compiled, _), (interpreted, _) = runs(Scaling)
    np.testing.assert_allclose(compiled, interpreted)
