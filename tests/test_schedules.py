"""Learning rates over the steps."""

import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recorder import Recorded

import miniflow as mf
from miniflow.options import OptionError
from miniflow.schedules import (
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstant,
    StepDecay,
)

SCHEDULES = [
    StepDecay(0.1, every=30, factor=0.5),
    ExponentialDecay(0.1, steps=40),
    CosineDecay(0.1, steps=100, warmup=10, final=0.001),
    CosineDecay(0.1, steps=100),
    OneCycle(0.1, steps=100),
    PiecewiseConstant([20, 60], [0.1, 0.05, 0.01]),
]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


@every_schedule
def test_a_schedule_gives_the_same_for_an_int_an_array_and_a_recorded_array(
    schedule: Callable[[Any], Any],
) -> None:
    for step in (0, 1, 9, 10, 20, 59, 60, 99, 100, 1000):
        number = float(schedule(step))
        assert number == float(schedule(np.array(step)))
        recorded = schedule(Recorded(np.array(step)))
        assert isinstance(recorded, Recorded)
        assert number == float(recorded.hidden)


@every_schedule
def test_a_learning_rate_is_never_negative_nor_above_the_largest(
    schedule: Callable[[Any], Any],
) -> None:
    rates = [float(schedule(step)) for step in range(300)]
    assert all(0 <= rate <= 0.1 + 1e-12 for rate in rates)
    assert max(rates) == pytest.approx(0.1)


def test_step_decay_drops_at_each_multiple() -> None:
    schedule = StepDecay(1.0, every=10, factor=0.5)
    assert [float(schedule(s)) for s in (0, 9, 10, 19, 20)] == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_exponential_decay_is_smooth() -> None:
    schedule = ExponentialDecay(2.0, steps=10, factor=0.5)
    for step in range(25):
        assert float(schedule(step)) == pytest.approx(2.0 * 0.5 ** (step / 10))


def test_cosine_decay_follows_its_formula_and_stays_at_the_end() -> None:
    schedule = CosineDecay(1.0, steps=30, warmup=10, final=0.2)
    assert [float(schedule(step)) for step in range(10)] == pytest.approx(
        [(step + 1) / 10 for step in range(10)]
    )
    for step in range(10, 31):
        t = (step - 10) / 20
        assert float(schedule(step)) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi * t)) / 2)
    assert float(schedule(31)) == float(schedule(10**9)) == pytest.approx(0.2)


def test_one_cycle_rises_to_its_peak_and_falls() -> None:
    schedule = OneCycle(1.0, steps=100, rise=0.25)
    rates = [float(schedule(step)) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[25] == pytest.approx(1.0)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[100] == pytest.approx(1e-4)


def test_a_cycle_without_rise_begins_at_its_peak() -> None:
    assert float(OneCycle(0.5, steps=10, rise=0.0)(0)) == 0.5


def test_piecewise_constant_changes_at_its_boundaries() -> None:
    schedule = PiecewiseConstant([3, 5], [1.0, 0.5, 0.1])
    assert [float(schedule(s)) for s in (0, 2, 3, 4, 5, 99)] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay(-1.0, every=3),
        lambda: StepDecay(0.1, every=0),
        lambda: ExponentialDecay(0.1, steps=1.5),  # type: ignore[arg-type]
        lambda: CosineDecay(0.1, steps=10, warmup=10),
        lambda: CosineDecay(math.inf, steps=10),
        lambda: OneCycle(0.1, steps=10, rise=1.0),
        lambda: PiecewiseConstant([5, 5], [0.1, 0.2, 0.3]),
        lambda: PiecewiseConstant([5], [0.1]),
    ],
)
def test_schedules_that_make_no_sense_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(OptionError):
        make()


AFTER_A_RESTART = """
import sys, numpy as np, miniflow as mf

W = mf.Parameter([2.0], "W")
x = mf.Input("x")
loss = mf.MSE(W * x, [0.0])
epochs, path = int(sys.argv[1]), sys.argv[2]
history = mf.fit(loss, {x: np.ones(1)}, mf.SGD(lambda step: 0.1 * 0.5**step), epochs=epochs,
                 checkpoint=path, resume=True, progress="none", backend="interpreter")
print(len(history), history[-1].learning_rate)
"""


def test_a_training_with_a_function_for_a_schedule_goes_on_in_another_process(
    tmp_path: pathlib.Path,
) -> None:
    path = os.pathsep.join([str(pathlib.Path(mf.__file__).parent.parent), *sys.path])
    told = [
        subprocess.run(
            [sys.executable, "-c", AFTER_A_RESTART, str(epochs), str(tmp_path / "c")],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for epochs in (1, 2)
    ]
    assert told == ["1 0.1\n", "2 0.05\n"]
