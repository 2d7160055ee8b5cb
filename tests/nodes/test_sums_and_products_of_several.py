"""Add and Mul of one operand, of two, of many: values, gradients, dtypes, names, every backend."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow as mf
from miniflow.errors import GraphError, ShapeError

SHAPES = [(2, 3), (3,), (), (2, 1), (1, 3)]
NODES = {mf.Add: sum, mf.Mul: lambda values: np.prod(np.broadcast_arrays(*values), axis=0)}
BACKENDS = [
    "reference",
    "numpy",
    pytest.param(
        "native", marks=pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
    ),
]


def fed(count: int, dtype: type) -> dict[mf.Node, np.ndarray]:
    rng = np.random.default_rng(count)
    shapes = [SHAPES[i % len(SHAPES)] for i in range(count)]
    return {
        mf.Input(f"x{i}"): (rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1])).astype(dtype)
        for i, shape in enumerate(shapes)
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("node", NODES)
def test_value_is_that_of_numpy_and_gradients_those_of_differences(node, count, dtype) -> None:
    feed = fed(count, dtype)
    f = node(*feed)
    value, gradients = mf.value_and_grad(f, feed, list(feed))
    close = {"rtol": 20 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(value, NODES[node](list(feed.values())), **close)
    assert value.dtype == dtype
    for gradient, x in zip(gradients, feed.values(), strict=True):
        assert gradient.shape == x.shape
        assert gradient.dtype == dtype
    mf.check_gradients(mf.Tanh(f), feed)


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("node", NODES)
def test_compiled_equals_interpreted(node, count, dtype, backend) -> None:
    feed = fed(count, dtype)
    f = mf.Sum(node(*feed) ** 2)
    value, gradients = mf.value_and_grad(f, feed, list(feed))
    compiled_value, compiled = mf.compile(f, wrt=list(feed), backend=backend)(feed)
    close = {"rtol": 20 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(compiled_value, value, **close)
    for seen, wanted in zip(compiled, gradients, strict=True):
        np.testing.assert_allclose(seen, wanted, **close)
        assert seen.dtype == wanted.dtype


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.data())
def test_numbers_and_repeated_operands_count_as_often_as_they_stand(numbers, data) -> None:
    x, y = mf.Input(), mf.Input()
    operands = [data.draw(st.sampled_from([x, y, float(n)])) for n in numbers]
    seen = [2.0 if n is x else -3.0 if n is y else n for n in operands]
    for node, expected in ((mf.Add, np.sum(seen)), (mf.Mul, np.prod(seen))):
        both = mf.Add(node(*operands), x * 0.0, y * 0.0)
        value, [dx, _] = mf.value_and_grad(both, {x: 2.0, y: -3.0}, [x, y])
        assert value == pytest.approx(expected)
        times = sum(operand is x for operand in operands)
        assert dx == pytest.approx(times if node is mf.Add else times * expected / 2.0)


@pytest.mark.parametrize("node", NODES)
def test_a_name_may_stand_last_as_in_the_lab(node) -> None:
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    for named in (node(x, y, "g"), node(x, y, name="g")):
        assert named.name == "g"
        assert named.inbound_nodes == [x, y]
    assert node(x, y, z, "total").inbound_nodes == [x, y, z]
    assert node(x, y).name is None


@pytest.mark.parametrize("node", NODES)
def test_operands_that_are_none_or_do_not_fit_are_told(node) -> None:
    with pytest.raises(GraphError, match=rf"^{node.__name__} takes one operand or more: "):
        node()
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    for strange in (("g",), (x, "g"), (x, "f", "g"), ("f", x, y)):
        with pytest.raises(GraphError, match=r"given '[fg]' \(str\): it takes real numbers"):
            node(*strange)
    with pytest.raises(ShapeError, match=r"'z' of shape \(4,\); it takes shapes that broadcast"):
        mf.value(node(x, y, z), {x: np.ones(3), y: 1.0, z: np.ones(4)})
