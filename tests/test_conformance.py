"""Node classes in the lab's raw style run unchanged, and compute what the built-in ones do."""

import numpy as np
import pytest
from conformance import CASES
from conformance.printed import Add, Input

import miniflow as mf
from miniflow.graph import Op
from miniflow.graph.plans import ancestors_in_order

TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}

every_case = pytest.mark.parametrize("name", CASES)


@pytest.mark.parametrize("name", [n for n, build in CASES.items() if build(np.float64).twin])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_raw_class_agrees_with_built_in_nodes(name: str, dtype: type) -> None:
    output, feed, wrt, twin = CASES[name](dtype)
    assert twin is not None
    value, gradients = mf.value_and_grad(output, feed, wrt)
    expected_value, expected = mf.value_and_grad(twin, feed, wrt)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(value, expected_value, **tolerance)
    for gradient, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, **tolerance)


@pytest.mark.breadth("dtype")
@every_case
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_raw_class_agrees_with_finite_differences(name: str, dtype: type) -> None:
    output, feed, wrt, _ = CASES[name](dtype)
    report = mf.check_gradients(output, feed, wrt)
    assert len(report.edges) >= len(wrt)


@every_case
def test_gradients_have_the_shapes_of_what_was_fed(name: str) -> None:
    output, feed, wrt, _ = CASES[name](np.float64)
    _, gradients = mf.value_and_grad(output, feed, wrt)
    assert [np.shape(g) for g in gradients] == [np.shape(feed[n]) for n in wrt]


@every_case
def test_second_pass_repeats_the_first_to_the_bit(name: str) -> None:
    """Whatever a class keeps or works on in place, it must not leak into the next pass."""
    output, feed, wrt, _ = CASES[name](np.float64)
    fed_before = {node: np.copy(value) for node, value in feed.items()}
    first_value, first = mf.value_and_grad(output, feed, wrt)
    first_value, first = np.copy(first_value), [np.copy(g) for g in first]
    second_value, second = mf.value_and_grad(output, feed, wrt)
    assert np.array_equal(first_value, second_value)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(fed_before[node], value) for node, value in feed.items())


def test_kit_holds_many_classes_none_of_which_is_an_op() -> None:
    classes = {
        type(node)
        for build in CASES.values()
        for node in ancestors_in_order(build(np.float64).output)
        if not type(node).__module__.startswith("miniflow")
    }
    assert len(classes) >= 40
    assert not any(issubclass(cls, Op) for cls in classes)
    assert {Input, Add} <= classes
    assert all(cls.forward.__qualname__ == f"{cls.__name__}.forward" for cls in classes)
