"""What a printed program looks like, and that nothing a user calls a node can spoil it."""

from __future__ import annotations

import keyword

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow.ir import Builder, Namer, Origin, Output, ValueType, Variable, identifier, slice_index

from .programs import two_layers

MATRIX = ValueType("f32", (2, 3))
VECTOR = ValueType("f32", (3,))

TWO_LAYERS = """\
program(X: f32[4,3], y: i64[4], W1: f32[3,5], b1: f32[5], W2: f32[5,2], b2: f32[2], lr: float):
  # forward
  hidden = add(matmul(X, W1), b1)                               # f32[4,5]  Linear 'hidden'
  Relu = maximum(hidden, 0)                                     # f32[4,5]  Relu
  logits = add(matmul(Relu, W2), b2)                            # f32[4,2]  Linear 'logits'
  t1 = subtract(logits, max(logits, axis=1, keepdims=True))     # f32[4,2]  CrossEntropyWithSoftmax 'loss'
  t2 = exp(t1)                                                  # f32[4,2]
  t3 = sum(t2, axis=1, keepdims=True)                           # f32[4,1]
  probabilities = divide(t2, t3)                                # f32[4,2]
  t4 = arange(4)                                                # i64[4]
  t5 = subtract(t1[t4, y], log(reshape(t3, (4,))))              # f32[4]
  loss = negative(divide(sum(t5), 4))                           # f32
  # backward
  t6 = subtract(probabilities[t4, y], 1)                        # f32[4]    CrossEntropyWithSoftmax 'loss'
  dlogits = divide(gather_update(probabilities[t4, y], t6), 4)  # f32[4,2]
  dW2 = matmul(transpose(Relu), dlogits)                        # f32[5,2]  Linear 'logits'
  db2 = sum(dlogits, axis=0)                                    # f32[2]
  dRelu = matmul(dlogits, transpose(W2))                        # f32[4,5]
  dhidden = multiply(dRelu, greater(hidden, 0))                 # f32[4,5]  Relu
  dW1 = matmul(transpose(X), dhidden)                           # f32[3,5]  Linear 'hidden'
  db1 = sum(dhidden, axis=0)                                    # f32[5]
  # update
  W1_1 = subtract(W1, multiply(lr, dW1))                        # f32[3,5]  SGD
  b1_1 = subtract(b1, multiply(lr, db1))                        # f32[5]
  W2_1 = subtract(W2, multiply(lr, dW2))                        # f32[5,2]
  b2_1 = subtract(b2, multiply(lr, db2))                        # f32[2]
  return (
    loss,
    W1_1,  # new value of W1
    b1_1,  # new value of b1
    W2_1,  # new value of W2
    b2_1,  # new value of b2
  )
"""  # noqa: E501


def lines_of(builder: Builder, *outputs: object) -> list[str]:
    """Return the equations of a program as printed, without their comments."""
    text = str(builder.program(outputs))
    return [line.split("  #")[0].strip() for line in text.splitlines()[1:-1]]


def test_two_layers_with_their_gradients_and_update_print_like_this():
    assert str(two_layers()) == TWO_LAYERS.rstrip("\n")


def test_program_of_numbers_prints_python_types():
    b = Builder()
    x = b.input(ValueType("i64", (), "python"), name="x")
    y = b.input(ValueType("f64", (), "python"), name="y")
    assert str(b.program([b.add("multiply", (x, y), name="product")])) == (
        "program(x: int, y: float):\n  product = multiply(x, y)  # float\n  return product"
    )


def test_kinds_of_numbers_print_differently():
    shown = [str(ValueType("bool", (), kind)) for kind in ("array", "scalar", "python")]
    assert shown == ["bool[]", "bool_", "bool"]
    assert str(ValueType("f64", (), "scalar")) == "f64"


@pytest.mark.parametrize(
    ("brackets", "shown"),
    [
        ((0,), "x[0]"),
        ((slice(None), 2), "x[:, 2]"),
        ((slice(1, None),), "x[1:]"),
        ((slice(None), slice(None, None, -1)), "x[:, ::-1]"),
        ((slice(None), slice(None, None, 2)), "x[:, ::2]"),
        ((slice(None), slice(2, 0, -1)), "x[:, :0:-1]"),
        ((slice(0, 0),), "x[0:0]"),
        ((), "x[:]"),
    ],
)
def test_slices_print_with_numpys_brackets(brackets, shown):
    b = Builder()
    x = b.input(MATRIX, name="x")
    part = b.add("slice", (x,), {"index": slice_index(brackets, (2, 3))}, name="part")
    assert lines_of(b, part) == [f"part = {shown}"]
    printed = eval(shown, {"x": np.arange(6.0).reshape(2, 3)})
    assert np.array_equal(printed, np.arange(6.0).reshape(2, 3)[brackets])


def test_writes_print_the_place_and_the_value():
    b = Builder()
    x, i = b.input(MATRIX, name="x"), b.input(ValueType("i64", (4,)), name="i")
    index = {"index": ((0, 2, 1), 1)}
    written = b.add("slice_update", (x, 5), index, name="a")
    added = b.add("scatter_add", (written, 1.5, i), {"axes": (1,)}, name="b")
    assert lines_of(b, added) == ["a = slice_update(x[:, 1], 5)", "b = scatter_add(a[:, i], 1.5)"]
    total = b.add("slice_add", (x, 5.0), index, name="c")
    assert lines_of(b, total)[-1] == "c = slice_add(x[:, 1], 5.0)"


def test_params_print_as_a_reader_of_numpy_expects():
    b = Builder()
    x = b.input(MATRIX, name="x")
    all_axes = {"axis": (0, 1), "keepdims": False}
    b.add("sum", (x,), all_axes, name="a")
    b.add("max", (x,), {"axis": (1,), "keepdims": True}, name="b")
    b.add("transpose", (x,), {"axes": (1, 0)}, name="c")
    b.add("transpose", (x,), {"axes": (0, 1)}, name="d")
    b.add("cast", (x,), {"dtype": "f64"}, name="e")
    b.add("full", (0.0,), {"shape": (2,), "dtype": "f32"}, name="f")
    b.add("arange", (), {"start": 1, "stop": 9, "step": 2, "dtype": "f32"}, name="g")
    b.add("concatenate", (x, x), {"axis": 0}, name="h")
    assert lines_of(b, x) == [
        "a = sum(x)",
        "b = max(x, axis=1, keepdims=True)",
        "c = transpose(x)",
        "d = transpose(x, (0, 1))",
        "e = cast(x, f64)",
        "f = full((2,), 0.0, f32)",
        "g = arange(1, 9, 2, f32)",
        "h = concatenate(x, x, axis=0)",
    ]


def test_value_that_is_read_twice_has_a_line_of_its_own():
    b = Builder()
    x = b.input(MATRIX, name="x")
    once = b.add("exp", (x,))
    twice = b.add("sqrt", (once,))
    assert lines_of(b, b.add("multiply", (twice, twice))) == [
        "t1 = sqrt(exp(x))",
        "t2 = multiply(t1, t1)",
    ]


def test_value_of_another_node_has_a_line_of_its_own():
    b = Builder()
    x = b.input(MATRIX, name="x")
    inner = b.add("exp", (x,), origin=Origin("Exp", index=1))
    outer = b.add("sqrt", (inner,), origin=Origin("Sqrt", index=2))
    assert lines_of(b, outer) == ["t1 = exp(x)", "t2 = sqrt(t1)"]


def test_deep_nesting_is_broken_into_lines():
    b = Builder()
    value = b.input(MATRIX, name="x")
    for _ in range(7):
        value = b.add("exp", (value,))
    lines = lines_of(b, value)
    assert lines == ["t1 = exp(exp(exp(x)))", "t2 = exp(exp(exp(t1)))", "t3 = exp(t2)"]


def test_long_chains_print_without_recursion():
    b = Builder()
    value = b.input(VECTOR, name="x")
    for _ in range(3_000):
        value = b.add("negative", (value,))
    assert len(lines_of(b, value)) == 1_000


def test_small_constants_print_their_numbers_and_large_ones_a_checksum():
    b = Builder()
    small, large = b.constant(np.array([1.0, 2.5]), "small"), b.constant(np.eye(10), "large")
    first, second = lines_of(b, small, large)
    assert first == "small = constant([1.0, 2.5], f64[2])"
    assert second.startswith("large = constant(f64[10,10], crc32=")
    b = Builder()
    other = b.constant(np.eye(10) + 1, "large")
    assert lines_of(b, other) != [second]


def test_literals_keep_what_numpy_would_see():
    b = Builder()
    x = b.input(VECTOR, name="x")
    b.add("add", (x, 0.1), name="weak")
    b.add("add", (x, np.float32(0.1)), name="strong")
    b.add("add", (x, float("-inf")), name="infinite")
    assert lines_of(b, x) == [
        "weak = add(x, 0.1)",
        "strong = add(x, f32(0.1))",
        "infinite = add(x, -inf)",
    ]


def test_roles_of_outputs_are_told():
    b = Builder()
    x = b.input(VECTOR, name="x")
    velocity = b.input(VECTOR, "state", "velocity")
    new = b.add("multiply", (velocity, 0.9), name="velocity")
    program = b.program([x, Output(x, "gradient", "W"), Output(new, "state", None, velocity)])
    assert str(program).splitlines()[-5:] == [
        "  return (",
        "    x,",
        "    x,           # gradient with respect to W",
        "    velocity_1,  # new value of velocity",
        "  )",
    ]


def test_many_inputs_are_grouped_by_role():
    b = Builder()
    for number in range(6):
        b.input(ValueType("f32", (1000, 1000)), "parameter", f"weights_{number}")
    x = b.input(VECTOR, "fed", "x")
    header = str(b.program([x])).splitlines()[:-1]
    assert all(len(line) <= 120 for line in header)
    assert [("# parameters" in line) for line in header] == [True, True, False]


def test_names_that_clash_are_told_apart():
    names = Namer(reserved=["exp"])
    variables = [Variable(VECTOR, name) for name in ("W", "W", "W_1", "exp", None, None, "t1")]
    assert [names(v) for v in variables] == ["W", "W_1", "W_1_1", "exp_1", "t1", "t2", "t1_1"]
    assert names(variables[0]) == "W"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | st.text(), max_size=20))
def test_any_names_become_distinct_identifiers(hints):
    names = Namer()
    given_names = [names(Variable(VECTOR, hint)) for hint in hints]
    assert len(set(given_names)) == len(hints)
    for name in given_names:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert len(name) < 60


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_labels_cannot_break_out_of_their_comment(label):
    b = Builder()
    x = b.input(VECTOR, name=label)
    value = b.add("exp", (x,), origin=Origin(label), name=label)
    assert len(str(b.program([Output(value, "gradient", label)])).splitlines()) == 5


def test_identifiers_survive_pythons_normalisation():
    assert identifier("ﬁlter") == "filter"  # Python reads the ligature as the two letters
    assert identifier("x²") == "x2"
    assert identifier("☃") == "value"


def test_program_that_returns_nothing_prints_no_trailing_space():
    assert str(Builder().program([])) == "program():\n  return"
