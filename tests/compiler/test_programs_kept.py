"""A compiled graph keeps the sixteen programs that were used last, and frees the others."""

import gc
import weakref
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf

needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
every_backend = pytest.mark.parametrize(
    "backend", ["reference", "numpy", pytest.param("native", marks=needs_llvmlite)]
)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is made of programs from now on, weakly."""
    made: list[Any] = []
    variant = mf.compile(mf.Input() * 1.0)._maker.make.__globals__["Variant"]
    init = variant.__init__

    def noted(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        made.append(weakref.ref(self))

    monkeypatch.setattr(variant, "__init__", noted)
    return made


@pytest.mark.breadth("backend")
@every_backend
@pytest.mark.parametrize("optimizer", [None, mf.SGD(0.01)])
def test_the_least_recently_used_program_goes(
    backend: str, optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch)
    X, W = mf.Input("X"), mf.Parameter(np.eye(2), "W")
    loss = mf.Mean(mf.Tanh(X @ W) ** 2)
    step = mf.compile(loss, optimizer=optimizer, backend=backend)
    gc.disable()  # a program is in no cycle: its memory is there again at once
    try:
        for rows in range(1, 17):
            step({X: np.ones((rows, 2))})
        assert (len(made), sum(variant() is not None for variant in made)) == (16, 16)
        step({X: np.ones((1, 2))})  # the first is the last that was used
        step({X: np.ones((17, 2))})
        assert [variant() is not None for variant in made] == [True, False, *[True] * 15]
        step({X: np.ones((1, 2))})
        assert len(made) == 17
        before = W.value.copy()
        expected = mf.value(loss, {X: np.ones((2, 2))})
        np.testing.assert_allclose(step({X: np.ones((2, 2))}), expected)  # is made again
        assert len(made) == 18
        assert (W.value == before).all() == (optimizer is None)
        for rows in range(20, 60):
            step({X: np.ones((rows, 2))})
        assert sum(variant() is not None for variant in made) == 16
        del step
        assert not any(variant() for variant in made)
    finally:
        gc.enable()
