"""Code that draws random numbers is refused, however rarely they make a difference.

What tells is a generator that has moved, wherever the code has it from. Two recordings of a coin
that falls on its edge once in a million times are the same.
"""

import random
import random as chance
from collections.abc import Callable
from functools import partial
from random import random as draw_from_python
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.random import rand as draw_from_numpy

import miniflow as mf

GENERATOR = np.random.default_rng(1)
LEGACY = np.random.RandomState(2)
PYTHON = random.Random(3)
IN_A_LIST = [np.random.default_rng(4)]


class Noise:
    """A helper object that draws from what it keeps."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)

    def draw(self) -> float:
        return float(self.rng.random())


class Slotted:
    __slots__ = ("rng",)

    def __init__(self) -> None:
        self.rng = np.random.default_rng(6)


GLOBAL_NOISE = Noise()


def helper() -> float:
    return float(GENERATOR.random())


def through_another_helper() -> float:
    return helper()


class Coin(mf.Op):
    """Zero where what is drawn is too small to be drawn."""

    shared = np.random.default_rng(7)

    def __init__(self, x: Any, draw: Callable[["Coin"], float]) -> None:
        mf.Op.__init__(self, x)
        self.draw = draw
        self.rng = np.random.default_rng(8)
        self.python = random.Random(9)
        self.noise, self.slotted = Noise(), Slotted()
        self.space = SimpleNamespace(rng=np.random.default_rng(10))
        self.bits = np.random.PCG64(11)
        self.generators = {"first": np.random.default_rng(12)}

    def compute(self, x: Any) -> Any:
        return x * (0.0 if self.draw(self) < 1e-12 else 1.0)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


def with_closure() -> Callable[[Coin], float]:
    rng = np.random.default_rng(13)
    return lambda coin: rng.random()


def with_default(coin: Coin, rng: Any = np.random.default_rng(14)) -> float:  # noqa: B008
    return float(rng.random())


def with_an_import(coin: Coin) -> float:
    import random as imported_here

    return imported_here.random()


def with_numpys_import(coin: Coin) -> float:
    from numpy.random import random_sample

    return random_sample()


DRAWS: dict[str, Callable[[Coin], float]] = {
    "random": lambda coin: random.random(),
    "random under another name": lambda coin: chance.uniform(0, 1),
    "a function of random": lambda coin: draw_from_python(),
    "random, imported in the function": with_an_import,
    "np.random": lambda coin: np.random.random(),
    "a function of np.random": lambda coin: draw_from_numpy(),
    "np.random, imported in the function": with_numpys_import,
    "a global generator": lambda coin: GENERATOR.normal() ** 2,
    "a global generator in the old style": lambda coin: LEGACY.rand(),
    "a global generator of Python's": lambda coin: PYTHON.random(),
    "a generator in a global list": lambda coin: IN_A_LIST[0].random(),
    "a global helper": lambda coin: GLOBAL_NOISE.draw(),
    "a function": lambda coin: helper(),
    "a function of a function": lambda coin: through_another_helper(),
    "a partial function": partial(lambda rng, coin: rng.random(), np.random.default_rng(15)),
    "a closure": with_closure(),
    "a default argument": with_default,
    "an attribute": lambda coin: coin.rng.random(),
    "an attribute of Python's": lambda coin: coin.python.random(),
    "a dictionary among the attributes": lambda coin: coin.generators["first"].random(),
    "bits": lambda coin: coin.bits.random_raw() / 2**64,
    "an attribute of the class": lambda coin: coin.shared.random(),
    "a helper": lambda coin: coin.noise.draw(),
    "a helper with slots": lambda coin: coin.slotted.rng.random(),
    "a namespace": lambda coin: coin.space.rng.random(),
}
REFUSED = (
    r"^Coin \(.*\): its code does not do the same twice: it draws random numbers \(.*Feed what"
)
x = mf.Input("x")
one = {x: np.ones(2)}


def states(coin: Coin) -> list[str]:
    generators = (coin.rng, coin.noise.rng, coin.slotted.rng, coin.space.rng, coin.shared)
    return [
        *(repr(g.bit_generator.state) for g in (*generators, GENERATOR, GLOBAL_NOISE.rng)),
        *(repr(g.getstate()) for g in (coin.python, PYTHON, random)),
        *(repr(g.get_state()) for g in (LEGACY, np.random)),
    ]


@pytest.mark.parametrize("where", DRAWS)
def test_a_draw_that_makes_no_difference_is_refused(where: str) -> None:
    coin = Coin(x, DRAWS[where])
    before = states(coin)
    with pytest.raises(mf.CompileError, match=REFUSED):
        mf.compile(mf.Sum(coin), backend="numpy")(one)
    assert states(coin) == before  # and the interpreter draws what it would have drawn


@pytest.mark.parametrize("where", DRAWS)
def test_a_training_with_draws_is_left_to_the_interpreter(where: str) -> None:
    w = mf.Parameter([1.0, 2.0], "w")
    loss = mf.Mean(Coin(x * w, DRAWS[where]))
    with pytest.warns(UserWarning, match="draws random numbers"):
        mf.fit(loss, {x: np.ones((4, 2))}, mf.SGD(0.1), epochs=1, progress="none")


def test_a_draw_in_backward_is_refused() -> None:
    class Dithered(mf.Op):
        def compute(self, x: Any) -> Any:
            return x * 1.0

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad * (1.0 if np.random.random() > 1e-12 else 0.0),)

    w = mf.Parameter([1.0], "w")
    with pytest.raises(mf.CompileError, match=r"^Dithered .* draws random numbers \(np\.random\)"):
        mf.compile(mf.Sum(Dithered(w)), wrt=[w], backend="numpy")({})


def test_a_draw_of_an_optimizer_or_a_schedule_is_refused() -> None:
    class Noisy(mf.SGD):
        def update(self, parameters: Any, gradients: Any) -> None:
            mf.SGD.update(self, parameters, gradients)
            if random.random() < 1e-12:
                parameters[0].value[...] = 0.0

    def schedule(step: Any) -> Any:
        return 0.1 if GENERATOR.random() > 1e-12 else 0.0

    w = mf.Parameter([1.0], "w")
    for optimizer, name in ((Noisy(0.1), "Noisy"), (mf.SGD(schedule), "schedule")):
        step = mf.compile(mf.Sum(w * w), optimizer=optimizer, backend="numpy")
        with pytest.raises(mf.CompileError, match=rf"{name}: its code .* draws random numbers"):
            step({})


def test_generators_that_nobody_draws_from_are_no_matter() -> None:
    coin = Coin(x, lambda coin: 1.0 if coin.rng is GENERATOR or np.random is random else 2.0)
    assert mf.compile(mf.Sum(coin), backend="numpy")(one) == 2.0


def test_what_is_drawn_once_and_kept_is_compiled() -> None:
    class Lazy(mf.Op):
        scale: Any = None

        def compute(self, x: Any) -> Any:
            if self.scale is None:
                self.scale = np.random.random()
            return x * self.scale

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad * self.scale,)

    node = Lazy(x)
    mf.value(node, one)
    np.testing.assert_allclose(mf.compile(node, backend="numpy")(one), node.scale)


def test_a_generator_with_a_seed_of_its_own_in_each_pass_is_no_random_code() -> None:
    coin = Coin(x, lambda coin: np.random.default_rng(0).random() + np.random.RandomState(1).rand())
    assert mf.compile(mf.Sum(coin), backend="numpy")(one) == 2.0


# --- What a helper keeps


class Tally:
    def __init__(self) -> None:
        self.count, self.seen, self.table = 0, [1.0], np.zeros(2)
        self.inner = SimpleNamespace(count=0)


TALLY = Tally()


class Counted(mf.Op):
    def __init__(self, x: Any, change: Callable[[Any], None]) -> None:
        mf.Op.__init__(self, x)
        self.tally, self.change = Tally(), change

    def compute(self, x: Any) -> Any:
        self.change(self.tally)
        return x * 2.0

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * 2.0,)


def count(tally: Any) -> None:
    tally.count += 1


def count_inside(tally: Any) -> None:
    tally.inner.count += 1


def append(tally: Any) -> None:
    tally.seen.append(2.0)


def write(tally: Any) -> None:
    tally.table += 1.0


def add_attribute(tally: Any) -> None:
    tally.latest = "seen"


def count_globally(tally: Any) -> None:
    TALLY.count += 1


CHANGES: dict[str, tuple[Callable[[Any], None], str | None]] = {
    "a counter": (count, r"^Counted .* changes self\.tally\.count from pass to pass"),
    "a counter inside": (count_inside, r"changes self\.tally\.inner\.count from pass to pass"),
    "a list that grows": (append, r"changes self\.tally\.seen from pass to pass"),
    "an array": (write, None),
    "a new attribute": (add_attribute, None),
    "a counter of a global object": (count_globally, r"^Counted .* changes `count` of a Tally"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_helper_keeps_is_put_back_or_the_code_is_refused(what: str) -> None:
    change, message = CHANGES[what]
    node = Counted(x, change)
    f = mf.compile(node, backend="numpy")
    if message is None:
        np.testing.assert_array_equal(f(one), [2.0, 2.0])
    else:
        with pytest.raises(mf.CompileError, match=message):
            f(one)
    for tally in (node.tally, TALLY):
        assert vars(tally).keys() == vars(Tally()).keys()
        assert (tally.count, tally.inner.count, tally.seen) == (0, 0, [1.0])
        np.testing.assert_array_equal(tally.table, [0.0, 0.0])
