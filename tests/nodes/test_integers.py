"""One rule for integers: beside floats they take their dtype, among themselves they are int64, and
what would be wrong is refused; by the interpreter and every backend.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from messages import message_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import CompileError, GraphError

X, Y, Z = mf.Input("x"), mf.Input("y"), mf.Input("z")
BACKENDS = names(RUN, COMPARE)
WHOLE = [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint32, np.uint64]

every_backend = pytest.mark.parametrize("backend", ["interpreter", *BACKENDS])
each_whole = pytest.mark.parametrize("dtype", WHOLE, ids=lambda dtype: dtype.__name__)


def run(
    node: mf.Node, feed: dict[mf.Node, Any], backend: str, wrt: list[mf.Node] | None = None
) -> tuple[Any, list[Any]]:
    wrt = list(feed) if wrt is None else wrt
    if backend == "interpreter":
        return mf.value_and_grad(node, feed, wrt)
    if not wrt:
        return mf.compile(node, backend=backend)(feed), []
    value, gradients = mf.compile(node, wrt, backend=backend)(feed)
    return value, gradients


# --- Among themselves

STAYS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "x + y": (lambda x, y: x + y, lambda a, b: a + b),
    "x - y": (lambda x, y: x - y, lambda a, b: a - b),
    "x * y": (lambda x, y: x * y, lambda a, b: a * b),
    "-x": (lambda x, y: -x, lambda a, b: -a),
    "x ** y": (lambda x, y: x**y, lambda a, b: a**b),
    "x ** 2": (lambda x, y: x**2, lambda a, b: a**2),
    "x - 128": (lambda x, y: x - 128, lambda a, b: a - 128),
    "300 * x": (lambda x, y: 300 * x, lambda a, b: 300 * a),
    "x * x * y": (lambda x, y: x * x * y, lambda a, b: a * a * b),
    "Mul(x, y, x)": (lambda x, y: mf.Mul(x, y, x), lambda a, b: a * b * a),
    "Add(x, y, x)": (lambda x, y: mf.Add(x, y, x), lambda a, b: a + b + a),
    "Sum": (lambda x, y: mf.Sum(x), lambda a, b: np.sum(a)),
    "Abs": (lambda x, y: abs(x), lambda a, b: np.abs(a)),
    "Clip": (lambda x, y: mf.Clip(x, 1, 100), lambda a, b: np.clip(a, 1, 100)),
    "Maximum": (lambda x, y: mf.Maximum(x, y), lambda a, b: np.maximum(a, b)),
    "Minimum": (lambda x, y: mf.Minimum(x, y), lambda a, b: np.minimum(a, b)),
    "Prod": (lambda x, y: mf.Prod(x), lambda a, b: np.prod(a)),
    "Prod over an axis": (lambda x, y: mf.Prod(x - 1, axis=1), lambda a, b: np.prod(a - 1, 1)),
    "CumSum": (lambda x, y: mf.CumSum(x), lambda a, b: np.cumsum(a, -1)),
    "Pad": (lambda x, y: mf.Pad(x, 1, value=-1), lambda a, b: np.pad(a, 1, constant_values=-1)),
    "Sum over an axis": (lambda x, y: mf.Sum(x * x, axis=0), lambda a, b: np.sum(a * a, axis=0)),
}


@pytest.mark.breadth("dtype")
@every_backend
@each_whole
def test_whole_numbers_stay_whole_and_do_not_wrap_round(dtype: Any, backend: str) -> None:
    a = np.array([[0, 1, 1, 0]] if dtype is np.bool_ else [[3, 100, 127, 0]], dtype)
    b = np.array([[1, 2, 3, 0]], np.int8)
    for name, (build, function) in STAYS.items():
        node = build(X, Y)
        feed = {n: v for n, v in ((X, a), (Y, b)) if n in mf_inputs(node)}
        value, gradients = run(node, feed, backend)
        expected = function(a.astype(np.int64), b.astype(np.int64))
        assert value.dtype == np.int64, name
        assert np.array_equal(value, expected), name
        floats = {node: v.astype(np.float64) for node, v in feed.items()}
        _, of_floats = mf.value_and_grad(node, floats, list(floats))
        for seen, wanted in zip(gradients, of_floats, strict=True):
            np.testing.assert_allclose(seen, wanted, rtol=1e-12, err_msg=name)
            assert seen.dtype == np.float64, name


def mf_inputs(node: mf.Node) -> set[mf.Node]:
    from miniflow.graph.plans import ancestors_in_order

    return {n for n in ancestors_in_order(node) if type(n) is mf.Input}


@pytest.mark.breadth("dtype")
@every_backend
@each_whole
def test_any_two_kinds_of_whole_numbers_make_int64(dtype: Any, backend: str) -> None:
    for other in WHOLE:
        a, b = np.array([1, 0, 1]).astype(dtype), np.array([0, 1, 1]).astype(other)
        value, _ = run(mf.Add(X * Y, X, -Y), {X: a, Y: b}, backend, [])
        assert value.dtype == np.int64
        assert value.tolist() == [1, -1, 1]


@every_backend
def test_numpys_single_numbers_follow_the_rule_and_pythons_stay_pythons(backend: str) -> None:
    value, _ = run(X * Y - 1, {X: np.uint8(200), Y: np.uint8(2)}, backend, [])
    assert (value, type(value)) == (399, np.int64)
    value, _ = run(X * Y - 1, {X: 2**40, Y: 2**40}, backend, [])
    assert (value, type(value)) == (2**80 - 1, int)
    value, _ = run(X + Y, {X: True, Y: True}, backend, [])
    assert (value, type(value)) == (2, int)


@every_backend
def test_arithmetic_on_indices_still_indexes(backend: str) -> None:
    table = mf.Parameter([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "table")
    value, [d] = run(
        mf.Sum(mf.Gather(table, X + 1) * 2.0), {X: np.array([0, 1, 1])}, backend, [table]
    )
    assert value == 58.0
    assert np.array_equal(d, [[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])
    logits = np.array([[2.0, 1.0], [0.0, 3.0]])
    loss = mf.CrossEntropyWithSoftmax(X, Y - 1)
    counted_from_one = {X: logits, Y: np.array([1, 2], np.uint8)}
    expected = mf.value(mf.CrossEntropyWithSoftmax(X, Y), {X: logits, Y: np.array([0, 1])})
    assert run(loss, counted_from_one, backend, [X])[0] == pytest.approx(expected)


@every_backend
def test_what_leaves_int64_is_refused_and_what_just_fits_is_right(backend: str) -> None:
    big, one = 2**62, np.array([1])
    leaves: list[tuple[Any, dict[mf.Node, Any]]] = [
        (X + Y, {X: np.array([1, big]), Y: np.array([1, big])}),
        (X - Y, {X: np.array([-big - 1]), Y: np.array([big])}),
        (X * Y, {X: np.array([2**32]), Y: np.array([2**31])}),
        (X * X, {X: np.uint32([2**32 - 1])}),
        (mf.Mul(X, X, X), {X: np.int32([2**30])}),
        (-X, {X: np.array([-(2**63)])}),
        (X**Y, {X: np.array([2]), Y: np.array([63])}),
        (X**63, {X: np.array([-2, 2])}),
        (mf.Sum(X), {X: np.array([big, big])}),
        (X + Y, {X: np.int64(big), Y: np.int64(big)}),
        (X + 0, {X: np.uint64([2**63])}),
        (mf.Concat(X, Y), {X: np.uint64([2**63]), Y: one}),
        (X * 2**70, {X: one}),
    ]
    for node, feed in leaves:
        with pytest.raises(GraphError) as caught:
            run(node, feed, backend, [])
        assert str(caught.value).startswith(f"{type(node).__name__} (test_integers.py:")
        assert "leave int64" in str(caught.value)
    fits: list[tuple[Any, dict[mf.Node, Any], Any]] = [
        (X + Y, {X: np.array([big]), Y: np.array([big - 1])}, [2**63 - 1]),
        (X - Y, {X: np.array([-big]), Y: np.array([big])}, [-(2**63)]),
        (X * Y, {X: np.array([2**40, 1]), Y: np.array([1, 2**40])}, [2**40, 2**40]),
        (X * X, {X: np.int32([-(2**31)])}, [2**62]),
        (X * X, {X: np.array([3037000499])}, [3037000499**2]),
        (X**62, {X: np.array([-2, 2])}, [2**62, 2**62]),
        (-X, {X: np.uint64([2**63 - 1])}, [-(2**63) + 1]),
    ]
    for node, feed, expected in fits:
        assert run(node, feed, backend, [])[0].tolist() == expected


@every_backend
def test_a_step_that_meets_such_numbers_changes_nothing_and_goes_on(backend: str) -> None:
    if backend == "interpreter":
        pytest.skip("it has no steps")
    W = mf.Parameter([1.0, 1.0], "W")
    step = mf.compile(mf.Sum((X + 1) * W), optimizer=mf.SGD(0.5), backend=backend)
    with pytest.raises(GraphError, match="leave int64"):
        step({X: np.array([2**63 - 1, 0])})
    assert W.value.tolist() == [1.0, 1.0]
    assert step({X: np.array([1, 0])}) == 3.0
    assert W.value.tolist() == [0.0, 0.5]


# --- What makes floats of them


@pytest.mark.breadth("dtype")
@every_backend
@each_whole
def test_quotients_and_negative_powers_are_floats(dtype: Any, backend: str) -> None:
    a, b = np.array([1, 1, 0], dtype), np.array([2, 4, 5], np.uint8)
    for node, expected in (
        (X / Y, [0.5, 0.25, 0.0]),
        (Y**-1, [0.5, 0.25, 0.2]),
        (Y ** np.array([-1, 1, -2]), [0.5, 4.0, 0.04]),
        (X * 0.5, [0.5, 0.5, 0.0]),
        (2.0**X, [2.0, 2.0, 1.0]),
        (X / 2, [0.5, 0.5, 0.0]),
    ):
        feed = {n: v for n, v in ((X, a), (Y, b)) if n in mf_inputs(node)}
        value, _ = run(node, feed, backend)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, expected, rtol=1e-12)


NEGATIVE_POWERS: dict[str, Callable[[], mf.Node]] = {
    "x ** -1": lambda: X**-1,
    "x ** np.int64(-2)": lambda: X ** np.int64(-2),
    "x ** np.array([-1, 2])": lambda: X ** np.array([-1, 2]),
    "x ** Constant(-1)": lambda: X ** mf.Constant(-1),
    "x ** -Constant(1)": lambda: X ** -mf.Constant(1),
    "(x * x) ** -1": lambda: (X * X) ** -1,
    "(x ** -1) ** -1": lambda: (X**-1) ** -1,
    "Sum of x ** -1": lambda: mf.Sum(X**-1),
}
BASES = [2, True, np.int64(2), np.uint8(2), np.bool_(1), np.array([2, 4]), np.array([True, True])]
BASES += [np.uint8([5, 2]), np.int32([-1, 3])]


@pytest.mark.breadth("backend")
@every_backend
@pytest.mark.parametrize("name", NEGATIVE_POWERS)
def test_whole_numbers_to_a_negative_power_are_floats_whatever_holds_them(
    name: str, backend: str
) -> None:
    node = NEGATIVE_POWERS[name]()
    for base in BASES:
        floats = np.asarray(base, np.float64) if hasattr(base, "dtype") else float(base)
        expected, [expected_gradient] = mf.value_and_grad(node, {X: floats}, [X])
        value, [gradient] = run(node, {X: base}, backend)
        assert np.asarray(value).dtype == np.float64, base
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_exponents_that_are_fed_may_be_negative_and_compiled_they_are_refused(backend: str) -> None:
    says = (
        "Pow (FILE:LINE): Input 'x' is a whole number that may be negative or not, which makes a "
        "float or a whole number of the power, and a program knows its dtypes beforehand: feed it "
        "as a float, y.astype(float). The interpreter (mf.value_and_grad) runs it as it is."
    )
    for fed in (np.array([-1, 2]), np.int64(-1), -1):
        node = 2**X
        assert np.array_equal(mf.value(node, {X: fed}), 2.0 ** np.asarray(fed))
        power = mf.compile(node, backend=backend)
        if type(fed) is not int:
            assert np.array_equal(power({X: np.abs(fed)}), 2 ** np.abs(fed))
        assert message_of(CompileError, lambda power=power, fed=fed: power({X: fed})) == says
        assert np.array_equal(power({X: np.float64(fed)}), 2.0 ** np.asarray(fed))


# --- Beside floats


class Case(NamedTuple):
    build: Callable[[], mf.Node]
    values: tuple[Any, ...]
    data: tuple[int, ...] = ()  # inputs that stay whole: labels, indices, conditions


rng = np.random.default_rng(0)


def whole(*shape: int, low: int = 0) -> Any:
    return rng.integers(low, 3, shape)


NODES = {
    "Add": Case(lambda: X + Y, (whole(4, 3), whole(3))),
    "Add of three": Case(lambda: mf.Add(X, Y, Z), (whole(4, 3), whole(3), whole(4, 1))),
    "Sub": Case(lambda: X - Y, (whole(4, 3), whole(3))),
    "Mul": Case(lambda: X * Y, (whole(4, 3), whole(3))),
    "Mul of three": Case(lambda: mf.Mul(X, Y, Z), (whole(4, 3), whole(3), whole(4, 1))),
    "Div": Case(lambda: X / Y, (whole(4, 3), whole(3, low=1))),
    "Pow": Case(lambda: X**Y, (whole(4, 3, low=1), whole(3))),
    "MatMul": Case(lambda: X @ Y, (whole(2, 3), whole(3, 4))),
    "MatMul of vectors": Case(lambda: X @ Y, (whole(3), whole(3))),
    "Linear": Case(lambda: mf.Linear(X, Y, Z), (whole(2, 3), whole(3, 4), whole(4))),
    "Conv2D": Case(lambda: mf.Conv2D(X, Y, Z), (whole(1, 4, 4, 2), whole(2, 2, 2, 3), whole(3))),
    "Where": Case(lambda: mf.Where(X, Y, Z), (whole(4), whole(4), whole(4)), data=(0,)),
    "Concat": Case(lambda: mf.Concat(X, Y), (whole(4), whole(3))),
    "Maximum": Case(lambda: mf.Maximum(X, Y), (whole(4, 3), whole(3))),
    "Minimum": Case(lambda: mf.Minimum(X, Y), (whole(4, 3), whole(3))),
    "Stack": Case(lambda: mf.Stack(X, Y), (whole(4), whole(4))),
    "Conv1D": Case(lambda: mf.Conv1D(X, Y, Z), (whole(1, 4, 2), whole(2, 2, 3), whole(3))),
    "DepthwiseConv2D": Case(
        lambda: mf.DepthwiseConv2D(X, Y, Z), (whole(1, 4, 4, 2), whole(2, 2, 2, 1), whole(2))
    ),
    "ConvTranspose2D": Case(
        lambda: mf.ConvTranspose2D(X, Y, Z), (whole(1, 2, 2, 2), whole(2, 2, 3, 2), whole(3))
    ),
    "CosineSimilarity": Case(
        lambda: mf.CosineSimilarity(X, Y), (whole(4, 3, low=1), whole(4, 3, low=1))
    ),
    "L1": Case(lambda: mf.L1(X, Y), (whole(4), whole(4))),
    "Huber": Case(lambda: mf.Huber(X, Y), (whole(4), whole(4))),
    "Embedding": Case(lambda: mf.Embedding(X, Y), (whole(4), whole(3, 2)), data=(0,)),
    "CrossEntropyWithSoftmax of pixels": Case(
        lambda: mf.CrossEntropyWithSoftmax(X, Y), (whole(2, 2, 3), whole(2, 2)), data=(1,)
    ),
    "MSE": Case(lambda: mf.MSE(X, Y), (whole(4), whole(4))),
    "LayerNorm": Case(lambda: mf.LayerNorm(X, Y, Z), (whole(4, 3), whole(3), whole(3))),
    "BatchNorm": Case(
        lambda: mf.BatchNorm(X, Y, Z, mf.State(np.zeros(3)), mf.State(np.ones(3)), 1),
        (whole(4, 3), whole(3), whole(3)),
    ),
    "RMSNorm": Case(lambda: mf.RMSNorm(X, Y), (whole(4, 3), whole(3))),
    "ScaledDotProductAttention": Case(
        lambda: mf.ScaledDotProductAttention(X, Y, Z), (whole(4, 3), whole(2, 3), whole(2, 2))
    ),
    "BinaryCrossEntropy": Case(lambda: mf.BinaryCrossEntropy(X, Y), (whole(4), whole(4) % 2)),
    "CrossEntropyWithSoftmax": Case(
        lambda: mf.CrossEntropyWithSoftmax(X, Y), (whole(4, 3), whole(4)), data=(1,)
    ),
}


@pytest.mark.breadth("floating", "backend")
@every_backend
@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("floating", [np.float32, np.float64])
def test_beside_a_float_whole_numbers_take_its_dtype(
    name: str, floating: Any, backend: str
) -> None:
    case = NODES[name]
    node, inputs = case.build(), (X, Y, Z)[: len(case.values)]
    floats = [i for i in range(len(inputs)) if i not in case.data]
    of_floats = {
        n: v if i in case.data else v.astype(np.float64)
        for i, (n, v) in enumerate(zip(inputs, case.values, strict=True))
    }
    expected, expected_gradients = mf.value_and_grad(node, of_floats, list(inputs))
    for one in floats:
        for kind in (np.uint8, np.int64, np.uint64):
            feed = {
                n: v if i in case.data else v.astype(floating if i == one else kind)
                for i, (n, v) in enumerate(zip(inputs, case.values, strict=True))
            }
            value, gradients = run(node, feed, backend)
            assert value.dtype == floating
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
            for i in floats:
                assert gradients[i].dtype == floating
                np.testing.assert_allclose(
                    gradients[i], expected_gradients[i], rtol=1e-4, atol=1e-5
                )


@pytest.mark.breadth("dtype", "backend")
@every_backend
@pytest.mark.parametrize(
    "name",
    [
        *("MatMul", "Linear", "Conv2D", "Conv1D", "DepthwiseConv2D", "ConvTranspose2D"),
        *("Div", "LayerNorm", "BatchNorm", "MSE", "L1", "Huber", "CosineSimilarity"),
    ],
)
@each_whole
def test_products_of_matrices_and_quotients_of_whole_numbers_are_float64(
    name: str, dtype: Any, backend: str
) -> None:
    case = NODES[name]
    node, inputs = case.build(), (X, Y, Z)[: len(case.values)]
    # 100 times 100 is no int8.
    scale = 1 if dtype is np.bool_ else 50
    values = [(np.minimum(v, 1) * scale).astype(dtype) for v in case.values]
    feed = dict(zip(inputs, values, strict=True))
    floats = {n: v.astype(np.float64) for n, v in feed.items()}
    with np.errstate(all="ignore"):
        expected, expected_gradients = mf.value_and_grad(node, floats, list(inputs))
        value, gradients = run(node, feed, backend)
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for seen, wanted in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(seen, wanted, rtol=1e-9, atol=1e-12)


@every_backend
def test_bytes_of_images_are_shifted_and_scaled_as_numbers(backend: str) -> None:
    images = np.arange(0, 256, 5, dtype=np.uint8).reshape(4, 13)
    value, _ = run((X - 128) / 128.0, {X: images}, backend, [])
    np.testing.assert_allclose(value, (images.astype(float) - 128) / 128)
    w = mf.Parameter(np.ones((13, 1), np.float32), "w")
    value, [dw] = run(mf.Mean(((X - 128) @ w) ** 2), {X: images}, backend, [w])
    wanted = images.astype(float) - 128
    np.testing.assert_allclose(value, np.mean(wanted.sum(axis=1) ** 2), rtol=1e-5)
    assert dw.dtype == np.float32


# --- Choosing and joining


@every_backend
def test_whole_numbers_of_one_dtype_keep_it_where_they_are_only_moved(backend: str) -> None:
    feed = {X: np.uint8([1, 2]), Y: np.uint8([3, 250])}
    for node in (mf.Where(X > 1, X, Y), mf.Concat(X, Y), mf.Max(Y), Y[1:], mf.Reshape(Y, (2, 1))):
        used = {n: v for n, v in feed.items() if n in mf_inputs(node)}
        assert run(node, used, backend, [])[0].dtype == np.uint8
    value, _ = run(mf.Where(X > 1, X, 300), {X: feed[X]}, backend, [])
    assert (value.tolist(), value.dtype) == ([300, 2], np.int64)
