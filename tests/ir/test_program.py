"""The records, the builder and the reference evaluator."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow.ir import (
    Builder,
    Equation,
    Literal,
    Origin,
    ProgramError,
    ValueType,
    Variable,
    check,
    count_uses,
    evaluate,
    type_of,
)

from .programs import two_layers

VECTOR = ValueType("f64", (3,))


def test_variables_are_themselves_and_nothing_else():
    one, other = Variable(VECTOR, "x"), Variable(VECTOR, "x")
    assert one != other
    assert len({one, other}) == 2


def test_records_cannot_be_changed():
    variable = Variable(VECTOR)
    equation = Equation("exp", (variable,), {}, Variable(VECTOR))
    with pytest.raises(FrozenInstanceError):
        variable.name = "y"
    with pytest.raises(FrozenInstanceError):
        equation.primitive = "log"
    with pytest.raises(TypeError):
        equation.params["axis"] = 0


def test_params_are_the_equations_own():
    params = {"axis": (0,), "keepdims": False}
    equation = Equation("sum", (Variable(VECTOR),), params, Variable(ValueType("f64")))
    params["axis"] = (1,)
    assert equation.params["axis"] == (0,)


def test_literals_are_equal_only_if_nothing_tells_them_apart():
    values = [0, 0.0, -0.0, False, 1, True, 1.0, float("nan"), np.float64(1), np.float32(1)]
    values += [np.bool_(True), np.int64(1), np.float64(-0.0), np.float64(0.0)]
    assert len({Literal(value) for value in values}) == len(values)
    assert all(Literal(value) == Literal(copy.copy(value)) for value in values)


def test_arrays_are_no_literals():
    with pytest.raises(TypeError, match="constant"):
        Literal(np.zeros(3))
    with pytest.raises(TypeError, match="constant"):
        Builder().add("exp", (np.zeros(3),))


def test_types_know_their_size_without_making_anything():
    type_ = ValueType("f32", (10**6, 10**6))
    assert (type_.ndim, type_.size, type_.nbytes) == (2, 10**12, 4 * 10**12)


def test_constants_are_copies_in_native_order_that_nobody_can_write():
    b = Builder()
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    variable = b.constant(array, "c")
    array[:] = 0
    value = b.constants[0].value
    assert variable.type == ValueType("f32", (3, 2))
    assert value.dtype.isnative
    assert value.flags.c_contiguous
    assert not value.flags.writeable
    assert value.sum() == 15
    check(b.program([variable]))


def test_uses_are_counted_in_equations_and_outputs():
    b = Builder()
    x, unread = b.input(VECTOR), b.input(VECTOR)
    square = b.add("multiply", (x, x))
    uses = count_uses(b.program([square, 3.0]))
    assert uses == {x: 2, square: 1}
    assert unread not in uses


def test_program_survives_pickling_and_deep_copying():
    program = two_layers()
    for twin in (pickle.loads(pickle.dumps(program)), copy.deepcopy(program)):
        check(twin)
        assert str(twin) == str(program)
        assert twin.equations[0].params is not None


def numbers(seed: int) -> list[object]:
    """Return arguments for `two_layers`."""
    random = np.random.default_rng(seed)
    shapes = [(4, 3), None, (3, 5), (5,), (5, 2), (2,)]
    arrays = [s and random.standard_normal(s).astype(np.float32) for s in shapes]
    arrays[1] = random.integers(0, 2, 4)
    return [*arrays, 0.1]


def test_evaluate_computes_the_loss_and_takes_the_step():
    X, y, W1, b1, W2, b2, lr = arguments = numbers(seed=3)
    program = two_layers()
    loss, *new = evaluate(program, arguments)

    def loss_at(*parameters: np.ndarray) -> float:
        V1, c1, V2, c2 = (p.astype(np.float64) for p in parameters)
        logits = np.maximum(X @ V1 + c1, 0) @ V2 + c2
        return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(4), y]))

    assert loss == pytest.approx(loss_at(W1, b1, W2, b2), rel=1e-5)
    for position, (old, value) in enumerate(zip((W1, b1, W2, b2), new, strict=True)):
        assert value.dtype == np.float32
        for place in np.ndindex(old.shape):
            shifted = [p.astype(np.float64) for p in (W1, b1, W2, b2)]
            shifted[position][place] += 1e-6
            up = loss_at(*shifted)
            shifted[position][place] -= 2e-6
            slope = (up - loss_at(*shifted)) / 2e-6
            assert value[place] == pytest.approx(old[place] - lr * slope, abs=1e-5)


def test_evaluate_changes_no_argument():
    arguments = numbers(seed=4)
    before = copy.deepcopy(arguments)
    evaluate(two_layers(), arguments)
    for ours, theirs in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def test_arguments_must_have_exactly_the_inputs_types():
    arguments = numbers(seed=5)
    for position, wrong in ((0, arguments[0].astype(np.float64)), (6, np.float64(0.1)), (6, 1)):
        with pytest.raises(ProgramError, match=r"input (X|lr) should be"):
            evaluate(two_layers(), [*arguments[:position], wrong, *arguments[position + 1 :]])
    with pytest.raises(ProgramError, match="6 arguments for 7 inputs"):
        evaluate(two_layers(), arguments[:-1])


def test_error_while_evaluating_names_the_node():
    b = Builder()
    x = b.input(type_of(1), name="x")
    origin = Origin("Div 'ratio'", "train.py:3")
    program = b.program([b.add("divide", (1, x), origin=origin, name="ratio")])
    with pytest.raises(ProgramError, match=r"ratio = divide\(1, x\) of Div 'ratio' \(train.py:3\)"):
        evaluate(program, [0])


def test_wrong_equation_is_refused_when_it_is_added():
    b = Builder()
    x = b.input(VECTOR)
    with pytest.raises(ProgramError, match=r"add: shapes \(3,\) and \(2,\)"):
        b.add("add", (x, b.input(ValueType("f64", (2,)))))
    with pytest.raises(ProgramError, match="no primitive 'frobnicate'"):
        b.add("frobnicate", (x,))
    with pytest.raises(ProgramError, match="lacks the param 'keepdims'"):
        b.add("sum", (x,), {"axis": (0,), "keepdim": True})
    assert not b.equations


ONE = ("exp", "negative", "tanh", "absolute", "floor", "isnan", "logical_not", "sqrt", "rint")
TWO = ("add", "multiply", "divide", "maximum", "less", "remainder", "equal", "logical_and")
STARTS = [
    np.array([[1.5, np.nan, -0.0]], np.float32),
    np.array([[3], [-4]], np.int8),
    np.zeros((0, 3)),
    np.array(2.5),
    np.float32(3),
    np.array([True, False, True]),
    7,
    0.25,
    True,
]


@settings(max_examples=10 * settings.default.max_examples, deadline=None)
@given(st.data())
def test_random_programs_have_the_types_that_were_inferred(data):
    b = Builder()
    arguments = data.draw(st.lists(st.sampled_from(STARTS), min_size=1, max_size=4))
    values = [b.input(type_of(argument)) for argument in arguments]
    for _ in range(data.draw(st.integers(1, 12))):
        one, two = data.draw(st.sampled_from(values)), data.draw(st.sampled_from(values))
        name = data.draw(st.sampled_from([*ONE, *TWO, "sum", "reshape", "where", "transpose"]))
        params: dict[str, object] = {}
        operands = (one, two) if name in TWO else (one,)
        if name == "sum":
            axis = tuple(range(data.draw(st.integers(0, len(one.shape)))))
            params = {"axis": axis, "keepdims": data.draw(st.booleans())}
        elif name == "reshape":
            params = {"shape": (1, *one.shape)[:6] if len(one.shape) < 5 else one.shape}
        elif name == "where":
            operands = (one, two, data.draw(st.sampled_from(values)))
        elif name == "transpose":
            params = {"axes": tuple(reversed(range(len(one.shape))))}
        try:
            values.append(b.add(name, operands, params))
        except ProgramError:
            continue  # shapes that do not broadcast, a logical operation that NumPy lacks
    program = b.program(values)
    check(program)
    str(program)
    try:
        results = evaluate(program, arguments)
    except ProgramError as error:
        if isinstance(error.__cause__, ArithmeticError):  # Python's own division by zero
            return
        raise
    assert [type_of(result) for result in results] == [value.type for value in values]
