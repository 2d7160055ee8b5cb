"""A view finds its elements where NumPy finds them."""

from __future__ import annotations

import random
from math import prod
from typing import Any

import numpy as np
import pytest

from miniflow.ir import PRIMITIVES, Builder, Variable, slice_index, type_of
from miniflow.lowering.views import StridedView, reshaped, view_of, whole_view


def seen(view: StridedView[Variable], memory: np.ndarray) -> np.ndarray:
    """The elements of a view, picked one by one."""
    places = np.full(view.shape, view.offset)
    for axis, (length, step) in enumerate(zip(view.shape, view.strides, strict=True)):
        index = np.arange(length) * step
        places += index.reshape(-1, *(1,) * (len(view.shape) - axis - 1))
    return memory.reshape(-1)[places]


def random_shape(chosen: random.Random, size: int) -> tuple[int, ...]:
    """A shape of so many elements, perhaps with axes of length one."""
    shape = [0] if size == 0 else []
    while size > 1:
        factor = chosen.choice([n for n in range(2, size + 1) if size % n == 0])
        shape.append(factor)
        size //= factor
    for _ in range(chosen.randint(0, 2)):
        shape.insert(chosen.randint(0, len(shape)), 1)
    return tuple(shape)


def random_view(b: Builder, chosen: random.Random, x: Variable) -> Variable:
    """A view of a variable; or the same variable, where a reshape would copy."""
    way, ndim = chosen.choice(["transpose", "slice", "windows", "reshape"]), len(x.shape)
    params: dict[str, Any] = {"shape": random_shape(chosen, prod(x.shape))}
    if way == "transpose":
        params = {"axes": tuple(chosen.sample(range(ndim), ndim))}
    elif way == "slice":
        entries = [slice(None), slice(None, None, -1), slice(1, None), slice(None, None, 2), 0]
        params = {"index": slice_index([chosen.choice(entries) for _ in x.shape], x.shape)}
    elif way == "windows":
        axes = [axis for axis, n in enumerate(x.shape) if n > 1][:1]
        params = {"axes": tuple(axes), "window": tuple(chosen.randint(1, 2) for _ in axes)}
    return b.add(way, (x,), params)


@pytest.mark.parametrize("seed", range(40))
def test_views_of_views_show_what_numpy_shows(seed: int) -> None:
    chosen, b = random.Random(seed), Builder()
    memory = np.arange(360).reshape(random_shape(chosen, 360))
    x = b.input(type_of(memory))
    view, array, variable = whole_view(x), memory, x
    for _ in range(5):
        variable = random_view(b, chosen, variable)
        if variable.kind != "array":
            break
        equation = b.equations[-1]
        array = PRIMITIVES[equation.primitive].compute(array, **equation.params)
        found = view_of(view, equation)
        if found is None:
            assert equation.primitive == "reshape"
            assert not np.shares_memory(array, memory)
            return
        view = found
        np.testing.assert_array_equal(seen(view, memory), array)


@pytest.mark.parametrize("seed", range(60))
def test_a_reshape_is_a_view_where_numpy_has_one(seed: int) -> None:
    chosen = random.Random(seed)
    memory = np.arange(1000)
    for _ in range(50):
        shape = random_shape(chosen, chosen.choice([1, 6, 24, 60]))
        strides = [chosen.choice([1, 2, 3]) for _ in shape]
        for axis in reversed(range(len(shape) - 1)):
            if chosen.random() < 0.7:  # it runs on
                strides[axis] = strides[axis + 1] * shape[axis + 1]
        if sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) >= 1000:
            continue
        array = np.lib.stride_tricks.as_strided(memory, shape, [8 * s for s in strides])
        wanted = random_shape(chosen, prod(shape))
        view = StridedView(Variable(type_of(memory)), 0, shape, tuple(strides))
        found, theirs = reshaped(view, wanted), array.reshape(wanted)
        assert (found is not None) == np.shares_memory(theirs, memory), (shape, strides, wanted)
        if found is not None:
            np.testing.assert_array_equal(seen(found, memory), theirs)
