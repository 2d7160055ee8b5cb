"""A node is no number: NumPy's functions, Python's protocols and `==` refuse it, and say what to
write.
"""

# ruff: noqa: SIM300 - both sides of == are looked at

import functools
import math
import operator
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GraphError, MiniflowError

X, Y = mf.Input("x"), mf.Input("y")
NUMBERS = np.array([1.0, 2.0, 3.0])


def refused(call: Any, *says: str) -> None:
    with pytest.raises(MiniflowError) as caught:
        call()
    told = str(caught.value)
    assert told.count(". ") == 0, "one sentence"
    for text in says:
        assert text in told


# --- NumPy's functions

WAYS = {
    np.mean: "write mf.Mean(x)",
    np.average: "write mf.Mean(x)",
    np.sum: "write mf.Sum(x)",
    np.max: "write mf.Max(x)",
    np.exp: "write mf.Exp(x)",
    np.log: "write mf.Log(x)",
    np.sqrt: "write mf.Sqrt(x)",
    np.tanh: "write mf.Tanh(x)",
    np.abs: "write mf.Abs(x)",
    np.negative: "write -x",
    np.square: "write x ** 2",
    np.transpose: "write mf.Transpose(x, axes)",
    np.ravel: "write mf.Reshape(x, (-1,))",
    np.linalg.norm: "write mf.Sqrt(mf.Sum(x ** 2))",
    np.logical_not: "write mf.Not(x)",
    np.median: "mf.Op",
    np.sin: "write mf.Sin(x)",
    np.flip: "write mf.Flip(x, axis)",
    np.arcsinh: "mf.Op",
    np.argmax: "mf.Op",
    np.array: "mf.value(x, feed_dict)",
    np.asarray: "mf.value(x, feed_dict)",
}


@pytest.mark.parametrize("function", WAYS, ids=lambda function: function.__name__)
def test_function_of_numpy_on_a_node_is_refused_with_the_way_out(function: Any) -> None:
    refused(
        lambda: function(X), f"{function.__name__} takes numbers, and Input 'x' (", WAYS[function]
    )
    refused(lambda: function([X, 1.0]), "Input 'x' (test_no_number.py:", WAYS[function])


TWO = {
    np.add: "x + y",
    np.subtract: "x - y",
    np.multiply: "x * y",
    np.divide: "x / y",
    np.power: "x ** y",
    np.matmul: "x @ y",
    np.dot: "x @ y",
    np.less: "x < y",
    np.equal: "mf.Equal(x, y)",
    np.not_equal: "mf.NotEqual(x, y)",
    np.maximum: "mf.Maximum(x, y)",
    np.logical_and: "mf.And(x, y)",
    np.outer: "mf.Reshape(",
}


@pytest.mark.parametrize("function", TWO, ids=lambda function: function.__name__)
@pytest.mark.parametrize("other", [2.0, NUMBERS, np.float32(2), Y], ids=lambda x: type(x).__name__)
def test_function_of_two_is_refused_with_the_node_on_either_side(function: Any, other: Any) -> None:
    refused(lambda: function(X, other), TWO[function], "Input 'x'")
    refused(lambda: function(other, X), TWO[function])


NEVER_NUMBERS = [  # what asks for no number of its argument
    *("isscalar", "iterable", "info", "printoptions", "set_printoptions", "str_", "bmat"),
    *("get_include", "show_config", "show_runtime", "test", "errstate", "LinAlgError"),
]


@pytest.mark.parametrize("room", [np, np.linalg, np.fft], ids=lambda room: room.__name__)
def test_no_function_of_numpy_makes_anything_of_a_node(room: Any) -> None:
    """Every name in NumPy that can be called, with one argument, two and three."""
    made = {}
    for name in dir(room):
        function = getattr(room, name)
        if name.startswith("_") or name in NEVER_NUMBERS or not callable(function):
            continue
        for given in ((X,), (X, X), (X, 2), (X, X, X), ([X, X],)):
            try:
                made[f"{name}{given}"] = function(*given)
            except Exception:
                continue
    assert not made


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.stack([X, Y]),
        lambda: np.concatenate([X, Y]),
        lambda: np.concatenate(X),
        lambda: np.zeros(X),
        lambda: np.ones((2, X)),
        lambda: np.array([X, Y]),
        lambda: np.mean([X, X]),
        lambda: np.where(X, 1.0, 2.0),
        lambda: np.einsum("i,i->", X, X),
        lambda: np.add.reduce(X),
        lambda: np.add.outer(NUMBERS, X),
        lambda: np.add.at(NUMBERS.copy(), [0], X),
        lambda: np.exp(NUMBERS, out=X),
        lambda: np.vectorize(math.sin)(X),
        lambda: np.float64(X),
        lambda: np.random.default_rng(0).normal(X),
        lambda: np.testing.assert_allclose(X, 1.0),
        lambda: NUMBERS.dot(X),
        lambda: NUMBERS[X],
        lambda: NUMBERS.copy().__setitem__(slice(None), X),
        lambda: NUMBERS.__setitem__(slice(None), X),
        lambda: operator.iadd(NUMBERS.copy(), X),
        lambda: NUMBERS // X,
        lambda: NUMBERS % X,
        lambda: (NUMBERS > 0) & (X > 0),
    ],
)
def test_wherever_numpy_meets_a_node_it_is_refused_by_name(call: Any) -> None:
    refused(call, "(test_no_number.py:", "is a node, which has none until a pass")


def test_numpys_name_is_told_through_any_way_of_calling_it() -> None:
    plus = np.add
    refused(lambda: plus(NUMBERS, X), "write x + y")
    refused(lambda: np.linalg.norm(X), "np.linalg.norm takes numbers")
    refused(lambda: np.mean([X, Y]), "np.mean takes numbers")


class Forgetful(mf.Node):
    """Its forward gives NumPy the node, and means the value."""

    def __init__(self, x: mf.Node, function: Any) -> None:
        mf.Node.__init__(self, [x])
        self.function = function

    def forward(self) -> None:
        self.value = self.function(self.inbound_nodes[0])


@pytest.mark.parametrize("function", [np.exp, np.sum, np.asarray, lambda x: np.mean([x, x])])
def test_in_a_nodes_own_code_the_way_out_is_the_value(function: Any) -> None:
    node = Forgetful(X, function)
    refused(lambda: mf.value(node, {X: 1.0}), "a node was given to NumPy", "x.value", "Input 'x'")


# --- An array on the left of an operator

OPERATORS: dict[str, tuple[Any, type]] = {
    "+": (operator.add, mf.Add),
    "-": (operator.sub, mf.Sub),
    "*": (operator.mul, mf.Mul),
    "/": (operator.truediv, mf.Div),
    "**": (operator.pow, mf.Pow),
    "<": (operator.lt, mf.Greater),
    "<=": (operator.le, mf.GreaterEqual),
    ">": (operator.gt, mf.Less),
    ">=": (operator.ge, mf.LessEqual),
}
LEFT = [2.0, 2, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), NUMBERS, NUMBERS[:, None]]


@pytest.mark.parametrize("written", OPERATORS)
@pytest.mark.parametrize("left", LEFT, ids=repr)
def test_number_or_array_on_the_left_of_an_operator_builds_a_node(written: str, left: Any) -> None:
    apply, _ = OPERATORS[written]
    node = apply(left, X)
    assert isinstance(node, mf.Node)
    assert np.array_equal(mf.value(node, {X: NUMBERS}), apply(left, NUMBERS))


def test_operators_that_are_written_out_build_nodes_too() -> None:
    a = NUMBERS
    for node, expected in (
        (a + X, a + a),
        (a - X, a - a),
        (a * X, a * a),
        (a / X, a / a),
        (a**X, a**a),
        (a @ X, a @ a),
        (a < X, a < a),
        (a >= X, a >= a),
        (sum([a, X]), a + a),
        (functools.reduce(operator.mul, [a, X, X]), a * a * a),
        (np.ones((2, 3)) @ X, np.ones((2, 3)) @ a),
        (+X, a),
    ):
        assert np.array_equal(mf.value(node, {X: a}), expected)


def test_table_on_the_left_of_an_operator_builds_a_node_too() -> None:
    pandas = pytest.importorskip("pandas")
    column, table = pandas.Series([1.0, 2.0, 3.0]), pandas.DataFrame({"a": [1.0], "b": [2.0]})
    assert mf.value(column * X, {X: NUMBERS}).tolist() == [1.0, 4.0, 9.0]
    assert mf.value(column < X, {X: 2.0}).tolist() == [True, False, False]
    assert mf.value(table - X, {X: 1.0}).tolist() == [[0.0, 1.0]]
    refused(lambda: column == X, "mf.Equal(x, y)")


# --- Python's protocols


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: float(X), "mf.value(x, feed_dict)"),
        (lambda: int(X), "mf.value(x, feed_dict)"),
        (lambda: round(X), "mf.value(x, feed_dict)"),
        (lambda: math.sqrt(X), "mf.Sqrt(x)"),
        (lambda: range(X), "mf.value(x, feed_dict)"),
        (lambda: [1, 2][X], "mf.value(x, feed_dict)"),
        (lambda: X // 2, "no node for this operator"),
        (lambda: 2 % X, "no node for this operator"),
        (lambda: len(X), "mf.Sum(x)"),
        (lambda: list(X), "x[0]"),
        (lambda: 1.0 in X, "is not iterable"),
        (lambda: (X > 0) & (X < 1), "mf.And(x, y)"),
        (lambda: ~(X > 0), "mf.Not(x)"),
    ],
)
def test_what_python_asks_of_numbers_and_lists_is_refused(call: Any, says: str) -> None:
    refused(call, "Input 'x'" if "And" not in says and "Not" not in says else "Greater", says)


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("shape", "mf.value(x, feed_dict).shape"),
        ("dtype", "mf.value(x, feed_dict).dtype"),
        ("T", "mf.Transpose(x, axes)"),
        ("sum", "mf.Sum(x)"),
        ("mean", "mf.Mean(x)"),
        ("reshape", "mf.Reshape(x, shape)"),
        ("tolist", "mf.value(x, feed_dict)"),
    ],
)
def test_attribute_of_arrays_that_a_node_lacks_is_told_with_the_way_out(
    attribute: str, says: str
) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(X, attribute)
    assert f"has no .{attribute}" in str(caught.value)
    assert says in str(caught.value)
    assert not hasattr(X, attribute)


# --- Equality and truth


@pytest.mark.parametrize(
    "other", [0, 0.0, True, 1j, np.float32(0), np.bool_(True), NUMBERS, [0.0, 1.0]], ids=repr
)
def test_equality_with_a_number_is_refused_on_either_side(other: Any) -> None:
    refused(lambda: X == other, "mf.Equal(x, y)", "Input 'x' (")
    refused(lambda: X != other, "mf.NotEqual(x, y)", "Input 'x' (")
    refused(lambda: other == X, "mf.Equal(x, y)", "Input 'x' (")
    refused(lambda: other != X, "mf.NotEqual(x, y)", "Input 'x' (")


@pytest.mark.parametrize("other", [None, "x", b"x", object(), {}, np.str_("x")])
def test_equality_with_what_is_no_number_stays_pythons(other: Any) -> None:
    assert (X == other) is False
    assert (X != other) is True
    assert other != X


def test_equality_between_nodes_is_identity() -> None:
    also = X
    assert X == also
    assert X != Y
    assert not X == Y  # noqa: SIM201
    assert [Y, X].index(X) == 1
    assert X in [None, "x", Y, X]
    assert {X: 1, Y: 2}[X] == 1
    assert hash(X) == object.__hash__(X)


@pytest.mark.parametrize("no_condition", [True, False, np.bool_(True), X == Y], ids=repr)
@pytest.mark.parametrize(
    "build",
    [
        lambda b: X * b,
        lambda b: b + X,
        lambda b: X**b,
        lambda b: mf.Where(b, X, 0.0),
        lambda b: mf.Sum(b),
        lambda b: mf.And(X > 0, b),
        lambda b: mf.Linear(X, b, b),
    ],
)
def test_single_bool_is_no_operand(build: Any, no_condition: Any) -> None:
    refused(lambda: build(no_condition), "was given", "mf.Equal(x, y)")


def test_bools_that_are_data_are_fed_and_kept() -> None:
    assert mf.value(mf.Where(X, 1.0, 2.0), {X: True}) == 1.0
    assert mf.value(mf.Where(np.array([True, False]), 1.0, X), {X: 5.0}).tolist() == [1.0, 5.0]
    assert mf.value(mf.Where(np.array(True), 1.0, X), {X: 5.0}) == 1.0


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bool(X > 0),
        lambda: not (X > 0),
        lambda: 1 if mf.Equal(X, 0) else 2,
        lambda: 0 < X < 1,
        lambda: (X > 0) and (X < 1),
        lambda: mf.Not(X > 0) or X,
        lambda: max(X, Y),
        lambda: min(X, 0.0),
        lambda: sorted([X, Y]),
    ],
)
def test_truth_of_a_condition_is_refused(ask: Any) -> None:
    refused(ask, "mf.Where(condition, x, y)", "mf.And", "(test_no_number.py:")


def test_a_node_that_is_no_condition_is_there_and_so_true() -> None:
    assert bool(X)
    assert X or None


def test_sequence_of_nodes_is_told_from_a_single_one() -> None:
    class OfOne(mf.Node):
        def __init__(self, x: Any) -> None:
            mf.Node.__init__(self, x)

    with pytest.raises(GraphError, match=r"takes a list of inbound nodes: Node.__init__\(self, "):
        OfOne(X)


# --- Where NumPy does not ask the node itself


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.dtype(X),
        lambda: np.finfo(X),
        lambda: np.iinfo(X),
        lambda: np.issubdtype(X, float),
        lambda: np.zeros(3, X),
        lambda: np.zeros(3, dtype=X),
        lambda: np.asarray(NUMBERS, dtype=X),
        lambda: NUMBERS.astype(X),
        lambda: NUMBERS.view(X),
    ],
)
def test_a_node_is_no_dtype_either(call: Any) -> None:
    refused(call, "Input 'x' (test_no_number.py:", "look at mf.value(x, feed_dict).dtype.")


def test_who_asks_a_node_for_its_dtype_is_told_as_of_any_attribute_that_is_not_there() -> None:
    assert getattr(X, "dtype", None) is None
    assert not hasattr(X, "dtype")
    with pytest.raises(AttributeError, match=r"has no \.dtype: look at mf.value"):
        X.dtype  # noqa: B018
    assert np.zeros(1, getattr(X, "dtype", float)).dtype == float


@pytest.mark.parametrize(
    "call",
    [
        lambda: NUMBERS.copy().fill(X),
        lambda: NUMBERS.copy().__setitem__(0, X),
        lambda: np.fromiter([X], float),
    ],
)
def test_what_is_written_into_an_array_fails_for_the_nodes_own_reason(call: Any) -> None:
    with pytest.raises(ValueError, match="setting an array element") as caught:
        call()
    reason: BaseException | None = caught.value
    while reason is not None and not isinstance(reason, MiniflowError):
        reason = reason.__cause__ or reason.__context__
    assert "Input 'x' (test_no_number.py:" in str(reason)
