"""What the property tests of nodes are made from.

`agrees_with(build, formula, draw)` makes a test of a node: on whatever arrays Hypothesis draws, in
float64 and float32, its value is that of the formula in plain NumPy, and its gradients are the
differences of that formula (not of the node's own forward, which might be wrong in the same way).
`check_gradients` has to agree.

The arrays are small and come in every form in which NumPy hands them out: of rank 0 and empty,
with sides of one, in Fortran order, strided, reversed, read-only; and numbers that are no arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf

# Odd sixteenths: exact in float32, never 0 (the kink of a ReLU), an eighth apart (ties of a Max).
NUMBERS = st.integers(-24, 24).map(lambda k: (2 * k + 1) / 16)
POSITIVE = NUMBERS.map(abs)
SIDES = {"min_side": 0, "max_side": 3}
NOT_EMPTY = {"min_side": 1, "max_side": 3}
TOLERANCE = {np.float64: 1e-6, np.float32: 2e-4}


class Drawn(NamedTuple):
    """The arguments of one example: floating ones are differentiated; options go by keyword."""

    arguments: tuple[np.ndarray, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


def arrays(shape: Any, elements: Any = NUMBERS, unique: bool = False) -> st.SearchStrategy[Any]:
    return hnp.arrays(np.float64, shape, elements=elements, unique=unique)


@st.composite
def entrywise(draw: Any, elements: Any = NUMBERS) -> Drawn:
    """One array of any shape."""
    return Drawn((draw(arrays(draw(hnp.array_shapes(min_dims=0, **SIDES)), elements)),))


@st.composite
def broadcasting(draw: Any, *elements: Any) -> Drawn:
    """As many arrays as there are strategies of elements, in shapes that broadcast."""
    count = len(elements)
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, **SIDES))
    drawn = zip(shapes.input_shapes, elements, strict=True)
    return Drawn(tuple(draw(arrays(shape, element)) for shape, element in drawn))


@st.composite
def in_some_form(draw: Any, array: np.ndarray) -> Any:
    """The same numbers, in another layout; a number, if it is one."""
    if array.ndim == 0:
        numbers = [array, array[()], array.item()] if array.dtype == float else [array, array[()]]
        return draw(st.sampled_from(numbers))
    form = draw(st.sampled_from(["plain", "fortran", "strided", "reversed", "read-only"]))
    if form == "fortran":
        return np.asfortranarray(array)
    if form == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if form == "reversed":
        return np.flip(np.flip(array).copy())
    array = array.copy()
    array.flags.writeable = form == "plain"
    return array


def agrees_with(
    build: Callable[..., mf.Node],
    formula: Callable[..., Any],
    drawn: st.SearchStrategy[Drawn],
) -> Callable[[], None]:
    """The test that a node computes `formula` and differentiates it right."""

    @given(drawn, st.sampled_from([np.float64, np.float32]), st.data())
    def test(example: Drawn, dtype: type, data: st.DataObject) -> None:
        fed = [
            data.draw(in_some_form(a.astype(dtype) if a.dtype.kind == "f" else a))
            for a in example.arguments
        ]
        inputs = [mf.Input(f"x{i}") for i in range(len(fed))]
        node = build(*inputs, **example.options)
        feed = dict(zip(inputs, fed, strict=True))

        value = mf.value(node, feed)
        expected = np.asarray(formula(*example.arguments, **example.options))
        close(value, expected, dtype)
        assert np.asarray(value).dtype == dtype

        upstream = np.random.default_rng(0).normal(size=expected.shape).astype(dtype)
        dummy = mf.DummyGrad(node)
        floating = [i for i, a in enumerate(example.arguments) if a.dtype.kind == "f"]
        wrt = [inputs[i] for i in floating]
        _, gradients = mf.value_and_grad(dummy, feed | {dummy: upstream}, wrt)
        for i, gradient in zip(floating, gradients, strict=True):
            close(gradient, differences(formula, example, i, upstream), dtype)
            assert np.asarray(gradient).dtype == dtype

        mf.check_gradients(mf.Neg(node), feed, wrt)

    return test


def close(seen: Any, expected: np.ndarray, dtype: type) -> None:
    assert np.shape(seen) == expected.shape
    scale = np.max(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(seen, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def differences(
    formula: Callable[..., Any], example: Drawn, which: int, upstream: np.ndarray
) -> np.ndarray:
    """The central differences of Σ upstream · formula, entry by entry of one argument."""
    arguments = list(example.arguments)
    at = arguments[which]
    gradient = np.zeros(at.shape)
    h = 1e-5
    for index in np.ndindex(at.shape):
        sides = []
        for step in (h, -h):
            arguments[which] = at.copy()
            arguments[which][index] += step
            sides.append(np.sum(upstream * formula(*arguments, **example.options)))
        gradient[index] = (sides[0] - sides[1]) / (2 * h)
    return gradient
