"""What optimizers do to parameters, against the formulas worked out number by number."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recorder import Recorded

import miniflow as mf
from miniflow.errors import GradientError, GraphError, MiniflowError
from miniflow.graph.lines import aligned_zeros
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.options import OptionError
from miniflow.residence import has_strangers
from miniflow.schedules import CosineDecay, StepDecay

MAKERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": lambda lr=0.1: SGD(lr),
    "momentum": lambda lr=0.1: SGD(lr, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda lr=0.1: SGD(lr, momentum=0.9, nesterov=True),
    "adam": lambda lr=0.1: Adam(lr),
    "adamw": lambda lr=0.1: AdamW(lr),
    "rmsprop": lambda lr=0.1: RMSprop(lr),
}
GRADIENTS = [0.5, -2.0, 3.0, 0.0, 1e-3]
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
number_or_schedule = pytest.mark.parametrize(
    "lr", [0.1, CosineDecay(0.1, steps=10, warmup=2)], ids=["number", "schedule"]
)


def walk(optimizer: Optimizer, start: float = 1.0) -> list[float]:
    """Where a single number goes under GRADIENTS."""
    w = mf.Parameter([start], "w")
    places = []
    for grad in GRADIENTS:
        optimizer.update([w], [np.array([grad])])
        places.append(float(w.value[0]))
    return places


def test_sgd_subtracts_lr_times_gradient() -> None:
    w, expected = 1.0, []
    for g in GRADIENTS:
        w -= 0.1 * g
        expected.append(w)
    assert walk(SGD(0.1)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_adds_up_past_gradients_and_nesterov_looks_ahead(nesterov: bool) -> None:
    w, v, expected = 1.0, 0.0, []
    for g in GRADIENTS:
        g = g + 0.01 * w
        v = 0.9 * v + g
        w -= 0.1 * (g + 0.9 * v if nesterov else v)
        expected.append(w)
    optimizer = SGD(0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    assert walk(optimizer) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_corrects_its_averages_for_their_start_at_zero(decay: float) -> None:
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        w -= 0.01 * decay * w
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        w -= 0.01 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.99**t)) + 1e-8)
        expected.append(w)
    optimizer = AdamW(0.01, 0.9, 0.99, weight_decay=decay) if decay else Adam(0.01, 0.9, 0.99)
    assert walk(optimizer) == pytest.approx(expected, rel=1e-10)


def test_rmsprop_divides_by_the_root_of_the_mean_square() -> None:
    w, s, expected = 1.0, 0.0, []
    for g in GRADIENTS:
        s = 0.8 * s + 0.2 * g * g
        w -= 0.01 * g / (math.sqrt(s) + 1e-7)
        expected.append(w)
    assert walk(RMSprop(0.01, rho=0.8)) == pytest.approx(expected, rel=1e-10)


@every_optimizer
def test_every_optimizer_finds_the_bottom_of_a_bowl(make: Callable[..., Optimizer]) -> None:
    optimizer = make(0.05)
    w = mf.Parameter(np.array([3.0, -2.0]), "w")
    loss = mf.Sum(w * w * np.array([1.0, 0.3]))
    start = float(mf.value(loss))
    for _ in range(150):
        optimizer.update([w], mf.value_and_grad(loss, wrt=[w])[1])
    assert float(mf.value(loss)) < 0.01 * start


@every_optimizer
def test_the_parameters_own_array_is_changed_in_place(make: Callable[..., Optimizer]) -> None:
    w = mf.Parameter(np.ones((2, 3)), "w")
    array = w.value
    make().update([w], [np.ones((2, 3))])
    assert w.value is array
    assert (array != 1).all()


@every_optimizer
def test_the_gradient_is_left_as_it_was(make: Callable[..., Optimizer]) -> None:
    w, grad = mf.Parameter(np.ones(3), "w"), np.array([1.0, 2.0, 3.0])
    optimizer = make()
    for _ in range(3):
        optimizer.update([w], [grad])
    assert grad.tolist() == [1.0, 2.0, 3.0]


@every_optimizer
def test_a_number_can_be_a_parameter(make: Callable[..., Optimizer]) -> None:
    w, row = mf.Parameter(2.0, "w"), mf.Parameter([2.0], "row")
    alone, beside = make(), make()
    for _ in range(3):
        alone.update([w], [0.5])
        beside.update([row], [np.array([0.5])])
    assert w.value.shape == ()
    assert float(w.value) == pytest.approx(float(row.value[0]), rel=1e-15)


@every_optimizer
@number_or_schedule
def test_it_can_be_recorded_and_computes_the_same(make: Callable[..., Optimizer], lr: Any) -> None:
    shape = (2, 3)
    parameters = [mf.Parameter(np.full(shape, 0.5, np.float32), n) for n in "ab"]
    twins = [mf.Parameter(np.full(shape, 0.5, np.float32), n) for n in "ab"]
    gradients = [np.arange(6, dtype=np.float32).reshape(shape) * k for k in (1, -2)]
    plain, recorded = make(lr), make(lr)
    recorded.prepare(twins)
    recorded.state.update({name: Recorded(array) for name, array in recorded.state.items()})
    hidden = [Recorded(twin.value) for twin in twins]
    for _ in range(3):
        plain.update(parameters, gradients)
        for twin, array in zip(twins, hidden, strict=True):
            twin.forward(array)
        Recorded.dtypes.clear()
        recorded.update(twins, [Recorded(grad) for grad in gradients])
        wide = [(s, d) for s, d in Recorded.dtypes if s == shape and d != np.float32]
        assert wide == [], "a temporary array is not float32"
    for parameter, array in zip(parameters, hidden, strict=True):
        assert array.hidden.dtype == np.float32
        np.testing.assert_array_equal(parameter.value, array.hidden)


def test_the_learning_rate_can_be_a_recorded_number() -> None:
    w, twin = (mf.Parameter(np.ones(2, np.float32), "w") for _ in range(2))
    SGD(0.25).update([w], [np.ones(2, np.float32)])
    optimizer = SGD(0.1)
    optimizer.lr = Recorded(np.float64(0.25))
    twin.forward(Recorded(twin.value))
    optimizer.update([twin], [Recorded(np.ones(2, np.float32))])
    np.testing.assert_array_equal(w.value, twin.value.hidden)


@every_optimizer
@number_or_schedule
def test_float32_parameters_keep_float32_state(make: Callable[..., Optimizer], lr: Any) -> None:
    w = mf.Parameter(np.ones(3, np.float32), "w")
    optimizer = make(lr)
    optimizer.update([w], [np.ones(3, np.float32)])
    assert w.value.dtype == np.float32
    dtypes = {name: array.dtype for name, array in optimizer.state.items() if name != "step"}
    assert set(dtypes.values()) <= {np.dtype(np.float32)}


def test_state_is_flat_and_numbered_by_position() -> None:
    parameters = [mf.Parameter(np.ones(2), "a"), mf.Parameter(np.ones((1, 3)), "b")]
    gradients = [np.ones(2), np.ones((1, 3))]
    plain, momentum, adam = SGD(0.1), SGD(0.1, momentum=0.5), Adam()
    for optimizer in (plain, momentum, adam):
        optimizer.update(parameters, gradients)
    assert plain.state == {}
    assert {name: a.shape for name, a in momentum.state.items()} == {
        "velocity.0": (2,),
        "velocity.1": (1, 3),
    }
    assert set(adam.state) == {"step", "mean.0", "mean.1", "rms.0", "rms.1"}
    assert adam.state["step"].shape == ()
    assert adam.state["step"].dtype == np.int64
    assert adam.state["step"] == 1


def test_prepare_makes_the_arrays_that_update_would_and_leaves_them_alone_afterwards() -> None:
    w = mf.Parameter(np.ones(2), "w")
    prepared, fresh = Adam(), Adam()
    prepared.prepare([w])
    assert all((array == 0).all() for array in prepared.state.values())
    arrays = dict(prepared.state)
    prepared.update([w], [np.ones(2)])
    prepared.prepare([w])
    fresh.update([mf.Parameter(np.ones(2), "w")], [np.ones(2)])
    assert all(prepared.state[name] is array for name, array in arrays.items())
    assert all((prepared.state[name] == fresh.state[name]).all() for name in fresh.state)


def test_an_assigned_learning_rate_takes_effect_at_the_next_update() -> None:
    w = mf.Parameter([0.0], "w")
    optimizer = SGD(0.1)
    optimizer.update([w], [np.ones(1)])
    optimizer.lr = 0.01
    optimizer.update([w], [np.ones(1)])
    assert w.value[0] == pytest.approx(-0.11, rel=1e-12)
    assert optimizer.latest_lr() == 0.01


def test_a_schedule_is_asked_for_each_step_from_zero_on() -> None:
    asked: list[int] = []

    def schedule(step: Any) -> float:
        asked.append(int(step))
        return 0.1 * (int(step) + 1)

    w = mf.Parameter([0.0], "w")
    optimizer = SGD(schedule)
    for _ in range(3):
        optimizer.update([w], [np.ones(1)])
    assert asked == [0, 1, 2]
    assert w.value[0] == pytest.approx(-0.6, rel=1e-12)
    assert optimizer.latest_lr() == pytest.approx(0.3)


def test_too_few_gradients_are_refused_before_anything_moves() -> None:
    a, b = mf.Parameter([1.0], "a"), mf.Parameter([1.0], "b")
    with pytest.raises(GradientError, match="2 parameters and 1 gradients"):
        SGD(0.1).update([a, b], [np.ones(1)])
    assert a.value[0] == 1.0


def test_a_gradient_of_another_shape_names_the_parameter_before_anything_moves() -> None:
    a, b = mf.Parameter(np.ones(2), "a"), mf.Parameter(np.ones((2, 3)), "weights")
    with pytest.raises(GradientError, match=r"shape \(3, 2\) for Parameter 'weights'.*\(2, 3\)"):
        SGD(0.1).update([a, b], [np.ones(2), np.ones((3, 2))])
    assert a.value.tolist() == [1.0, 1.0]


def test_an_input_is_no_parameter() -> None:
    with pytest.raises(GraphError, match="updates Parameters"):
        SGD(0.1).update([mf.Input("x")], [np.ones(1)])  # type: ignore[list-item]


def test_state_of_other_shapes_is_refused() -> None:
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.update([mf.Parameter(np.ones(2), "a")], [np.ones(2)])
    optimizer.state = dict(optimizer.state)
    with pytest.raises(GraphError, match=r"velocity number 0 has shape \(2,\).*'b'.*shape \(3,\)"):
        optimizer.update([mf.Parameter(np.ones(3), "b")], [np.ones(3)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), "SGD: lr is a number of at least 0"),
        (lambda: SGD(math.nan), "SGD: lr is a number of at least 0"),
        (lambda: SGD("fast"), "SGD: lr is a number, or a schedule"),
        (lambda: SGD(True), "SGD: lr is a number of at least 0"),
        (lambda: SGD(0.1, momentum=1.0), "SGD: momentum is a number of at least 0 and below 1"),
        (lambda: SGD(0.1, nesterov=True), "nesterov=True needs a momentum"),
        (lambda: Adam(beta_2=1.5), "Adam: beta_2 is a number of at least 0 and below 1"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay is a number of at least 0"),
        (lambda: RMSprop(epsilon=None), "RMSprop: epsilon is a number of at least 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        make()
    assert isinstance(caught.value, MiniflowError)


def test_an_optimizer_prints_its_settings() -> None:
    assert repr(SGD(0.1, momentum=0.9)) == (
        "SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"
    )
    assert repr(Adam(StepDecay(0.1, every=5))).startswith(
        "Adam(lr=StepDecay(lr=0.1, every=5, factor=0.1), beta_1=0.9"
    )


@pytest.mark.parametrize("lr", [np.array([0.1, 0.2]), mf.Input("x"), "0.1", None, True])
def test_a_learning_rate_is_one_number_or_a_schedule(lr: Any) -> None:
    with pytest.raises(OptionError, match=r"SGD: lr is a number"):
        SGD(lr)


def test_parameters_and_what_is_kept_for_them_begin_with_a_line_of_the_cache():
    for dtype in (np.float16, np.float32, np.float64):
        W = mf.Parameter(np.asfortranarray(np.arange(6000.0).reshape(60, 100) % 97).astype(dtype))
        assert np.array_equal(W.value, np.arange(6000).reshape(60, 100) % 97)
        assert W.value.flags.c_contiguous
        optimizer = mf.Adam(0.1)
        optimizer.update([W], [np.ones((60, 100), dtype)])
        large = [W.value, *(x for x in optimizer.state.values() if x.size > 1)]
        assert [array.ctypes.data % 64 for array in large] == [0, 0, 0]


def test_memory_of_such_an_array_is_its_own_until_somebody_sees_a_part_of_it():
    mine = [aligned_zeros((100, 100), np.float32)]
    assert not has_strangers(mine, 0, owners=0)
    row = mine[0][3]
    assert has_strangers(mine, 0, owners=0)
    del row
    assert not has_strangers(mine, 0, owners=0)


@pytest.mark.parametrize(
    "given", [["a", "b"], [None, 1.0], [[1.0, 2.0], [3.0]], np.array([1j, 2]), {1: 2}, "ab"]
)
def test_what_is_no_gradient_is_told(given: Any) -> None:
    W = mf.Parameter([1.0, 2.0], "W")
    with pytest.raises(MiniflowError, match=r"SGD\(.*\), for Parameter 'W' .*, was given"):
        mf.SGD(0.5).update([W], [given])
    assert W.value.tolist() == [1.0, 2.0]


def test_lists_are_gradients_as_arrays_are() -> None:
    W = mf.Parameter([1.0, 2.0], "W")
    mf.SGD(0.5).update([W], [[1.0, -1.0]])
    assert W.value.tolist() == [0.5, 2.5]
