"""Each rule applies where it should, keeps values and types, and holds back where it must."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import PRIMITIVES, Builder, Literal, Origin, ValueType, evaluate
from miniflow.passes import simplify
from miniflow.passes.simplify import RULES

from .writing import F32, assert_same_values, edge_value, improved, shown, write

I64, BOOL, U8, F64 = (ValueType(dtype, (2, 3)) for dtype in ("i64", "bool", "u8", "f64"))
ROW, COLUMN = ValueType("f32", (3,)), ValueType("f32", (2, 1))
SCALAR, ZERO_D = ValueType("f32", (), "scalar"), ValueType("f32", ())
FLOAT, INT = ValueType("f64", (), "python"), ValueType("i64", (), "python")
INDEX = ValueType("i64", (2,))
PART = ((0, 2, 1), (0, 1, 2))
BESIDE = ((0, 2, 1), (1, 1, 2))
WHOLE = ((0, 2, 1), (0, 3, 1))
NAN = float("nan")

APPLIES = [
    # Numbers that change nothing.
    (lambda w, x: w.add(x, 0), [F32], "x"),
    (lambda w, x: w.add(0.0, x), [F32], "x"),
    (lambda w, x: w.add(x, np.float32(-0.0)), [F32], "x"),
    (lambda w, x: w.add(x, False), [F32], "x"),
    (lambda w, x: w.add(x, 0), [I64], "x"),
    (lambda w, x: w.add(x, 0.0), [SCALAR], "x"),
    (lambda w, x: w.add(x, 0), [INT], "x"),
    (lambda w, x: w.add(x, 0), [FLOAT], "x"),
    (lambda w, x: w.subtract(x, 0), [F32], "x"),
    (lambda w, x: w.multiply(x, 1), [F32], "x"),
    (lambda w, x: w.multiply(1.0, x), [F32], "x"),
    (lambda w, x: w.multiply(x, np.float32(1)), [F32], "x"),
    (lambda w, x: w.multiply(1.0, x), [FLOAT], "x"),
    (lambda w, x: w.divide(x, 1), [F32], "x"),
    (lambda w, x: w.power(x, 1), [F32], "x"),
    (lambda w, x: w.bitwise_xor(0, w.bitwise_or(x, 0)), [U8], "x"),
    (lambda w, x: w.right_shift(w.left_shift(x, 0), 0), [I64], "x"),
    # Signs.
    (lambda w, x: w.subtract(0, x), [F32], "negative(x)"),
    (lambda w, x: w.subtract(0, x), [U8], "negative(x)"),
    (lambda w, x: w.multiply(x, -1), [F32], "negative(x)"),
    (lambda w, x: w.divide(x, -1.0), [F32], "negative(x)"),
    (lambda w, x: w.negative(w.negative(x)), [F32], "x"),
    (lambda w, x: w.negative(w.negative(x)), [U8], "x"),
    (lambda w, x: w.absolute(w.negative(x)), [F32], "absolute(x)"),
    (lambda w, x: w.absolute(w.absolute(x)), [I64], "absolute(x)"),
    (lambda w, x, y: w.add(x, w.negative(y)), [F32, F32], "subtract(x, y)"),
    (lambda w, x, y: w.add(w.negative(x), y), [F32, F32], "subtract(y, x)"),
    (lambda w, x, y: w.add(w.negative(x), y), [F32, F64], "subtract(y, x)"),
    (lambda w, x, y: w.subtract(x, w.negative(y)), [U8, U8], "add(x, y)"),
    (lambda w, x, y: w.subtract(x, w.negative(y)), [F32, FLOAT], "add(x, y)"),
    # Powers.
    (lambda w, x: w.power(x, 2), [F32], "multiply(x, x)"),
    (lambda w, x: w.power(x, 2.0), [F32], "multiply(x, x)"),
    (lambda w, x: w.power(x, 2), [I64], "multiply(x, x)"),
    (lambda w, x: w.power(x, -1.0), [F32], "divide(1, x)"),
    # Choices.
    (lambda w, c, x, y: w.where(True, x, y), [BOOL, F32, F32], "y"),
    (lambda w, x: w.logical_and(x, True), [BOOL], "x"),
    (lambda w, x: w.logical_and(True, x), [BOOL], "x"),
    (lambda w, x: w.logical_or(x, False), [BOOL], "x"),
    (lambda w, x: w.logical_and(x, True), [F32], "logical_and(x, True)"),
    (lambda w, c, x, y: w.where(w.full(0, (2, 3), "bool"), x, y), [BOOL, F32, F32], "z"),
    (lambda w, c, x: w.where(c, x, x), [BOOL, F32], "y"),
    (lambda w, c, x, y: w.where(w.logical_not(c), x, y), [BOOL, F32, F32], "where(x, z, y)"),
    (lambda w, c, x, y: w.where(w.logical_not(c), x, y), [F32, F32, F32], "where(x, z, y)"),
    (lambda w, x: w.logical_not(w.logical_not(x)), [BOOL], "x"),
    (lambda w, x, y: w.logical_not(w.equal(x, y)), [F32, F32], "not_equal(x, y)"),
    (lambda w, x, y: w.logical_not(w.not_equal(x, y)), [F32, F32], "equal(x, y)"),
    # What broadcasts to the result's shape is broadcast, not computed with.
    (lambda w, x: w.add(x, w.full(0, (2, 3))), [ROW], "broadcast_to(x, shape=(2, 3))"),
    (lambda w, x: w.multiply(w.full(1, (4,)), x), [SCALAR], "broadcast_to(x, shape=(4,))"),
    # Arrays that hold one number.
    (lambda w, x: w.add(w.full(0, (2, 3)), x), [F32], "x"),
    (lambda w, x: w.add(w.broadcast_to(0.0, shape=(2, 3)), x), [F64], "x"),
    (lambda w, x: w.add(w.full(2, (2, 3)), x), [F32], "add(f32(2.0), x)"),
    (lambda w, x: w.add(x, w.full(0, (2, 3), "f64")), [F32], "add(x, f64(0.0))"),
    (lambda w, x: w.exp(w.full(0, (2, 3))), [F32], "full(f32(1.0), shape=(2, 3), dtype=f32)"),
    (
        lambda w, x: w.multiply(w.broadcast_to(x, shape=(2, 3)), 2.0),
        [ROW],
        "broadcast_to(multiply(x, 2.0), shape=(2, 3))",
    ),
    (
        lambda w, x, y: w.multiply(w.broadcast_to(x, shape=(2, 3)), y),
        [ROW, F32],
        "multiply(x, y)",
    ),
    (
        lambda w, x: w.reshape(w.full(1, (2, 3)), shape=(6,)),
        [F32],
        "full(f32(1.0), shape=(6,), dtype=f32)",
    ),
    (
        lambda w, x: w.transpose(w.full(1, (2, 3)), axes=(1, 0)),
        [F32],
        "full(f32(1.0), shape=(3, 2), dtype=f32)",
    ),
    (lambda w, x: w.slice(w.full(1, (2, 3)), index=(1, 2)), [F32], "f32(1.0)"),
    (lambda w, x: w.slice(w.full(1, ()), index=()), [F32], "f32(1.0)"),
    (
        lambda w, x: w.gather(w.full(7, (2, 3), "f32"), x, axes=(0,)),
        [INDEX],
        "full(f32(7.0), shape=(2, 3), dtype=f32)",
    ),
    (
        lambda w, x: w.reshape(np.float32(2), shape=(1, 1)),
        [F32],
        "full(f32(2.0), shape=(1, 1), dtype=f32)",
    ),
    (
        lambda w, x: w.slice_update(x, w.full(7, (3,)), index=(0, (0, 3, 1))),
        [F32],
        "slice_update(x, f32(7.0), index=(0, (0, 3, 1)))",
    ),
    (
        lambda w, x: w.slice_update(x, w.slice(x, index=PART), index=PART),
        [F32],
        "x",
    ),
    (
        lambda w, x: w.slice_update(x, w.add(2.0, w.slice(x, index=PART)), index=PART),
        [F32],
        "slice_add(x, 2.0, index=((0, 2, 1), (0, 1, 2)))",
    ),
    (  # what has been written beside it since leaves it as it was
        lambda w, x: w.slice_update(
            w.slice_update(x, 7.0, index=BESIDE),
            w.add(2.0, w.slice(x, index=PART)),
            index=PART,
        ),
        [F32],
        "slice_add(slice_update(x, 7.0, index=((0, 2, 1), (1, 1, 2))), 2.0, "
        "index=((0, 2, 1), (0, 1, 2)))",
    ),
    (
        lambda w, x: w.slice(w.slice_update(x, 7.0, index=PART), index=((0, 2, 1), (1, 1, 2))),
        [F32],
        "slice(x, index=((0, 2, 1), (1, 1, 2)))",
    ),
    # What is known is computed.
    (lambda w, x: w.add(2, 3), [F32], "5"),
    (lambda w, x: w.divide(np.float32(1), 8), [F32], "f32(0.125)"),
    (lambda w, x: w.subtract(1, w.multiply(0.5, 3.0)), [F32], "-0.5"),
    (lambda w, x: w.cast(2, dtype="f32"), [F32], "f32(2.0)"),
    (lambda w, x: w.sum(w.full(2, (2, 3)), 0, 1), [F32], "f32(12.0)"),
    (lambda w, x: w.multiply(w.constant([1.0, 2.0]), 3), [F32], "f64[2][3.0, 6.0]"),
    (
        lambda w, x: w.gather(w.constant(np.eye(3)), w.arange(3, 2), axes=(0,)),
        [F32],
        "f64[1,3][[0.0, 0.0, 1.0]]",
    ),
    (lambda w, x: w.multiply(w.constant([[2.0]]), x), [F64], "multiply(f64(2.0), x)"),
    (lambda w, x: w.multiply(x, w.constant(np.ones((2, 3)))), [F64], "x"),
    # Casts.
    (lambda w, x: w.cast(x, dtype="f32"), [F32], "x"),
    (lambda w, x: w.cast(w.cast(x, dtype="f64"), dtype="f32"), [F32], "x"),
    (lambda w, x: w.cast(w.cast(x, dtype="f64"), dtype="f16"), [F32], "cast(x, dtype=f16)"),
    (lambda w, x: w.cast(w.cast(x, dtype="i64"), dtype="f32"), [BOOL], "cast(x, dtype=f32)"),
    (lambda w, x: w.cast(w.cast(x, dtype="i16"), dtype="i8"), [U8], "cast(x, dtype=i8)"),
    # Shapes.
    (lambda w, x: w.reshape(x, shape=(2, 3)), [F32], "x"),
    (
        lambda w, x: w.reshape(w.reshape(x, shape=(6,)), shape=(3, 2)),
        [F32],
        "reshape(x, shape=(3, 2))",
    ),
    (lambda w, x: w.transpose(x, axes=(0, 1)), [F32], "x"),
    (lambda w, x: w.transpose(w.transpose(x, axes=(1, 0)), axes=(1, 0)), [F32], "x"),
    (lambda w, x: w.transpose(x, axes=(1, 0)), [COLUMN], "reshape(x, shape=(1, 2))"),
    (lambda w, x: w.broadcast_to(x, shape=(2, 3)), [F32], "x"),
    (
        lambda w, x: w.broadcast_to(w.broadcast_to(x, shape=(2, 3)), shape=(4, 2, 3)),
        [ROW],
        "broadcast_to(x, shape=(4, 2, 3))",
    ),
    (lambda w, x: w.broadcast_to(2.0, shape=(3,)), [ROW], "full(2.0, shape=(3,), dtype=f64)"),
    (lambda w, x: w.concatenate(x, axis=0), [ROW], "x"),
    # Parts.
    (lambda w, x: w.slice(x, index=WHOLE), [F32], "x"),
    (lambda w, x: w.slice(x, index=((0, 2, 1), 0)), [COLUMN], "reshape(x, shape=(2,))"),
    (
        lambda w, x: w.slice(w.slice(x, index=(1, (2, 3, -1))), index=((1, 2, 1),)),
        [F32],
        "slice(x, index=(1, (1, 2, -1)))",
    ),
    (
        lambda w, x: w.slice(w.slice(x, index=((0, 2, 1), 2)), index=(1,)),
        [F32],
        "slice(x, index=(1, 2))",
    ),
    (lambda w, x, y: w.slice_update(x, y, index=WHOLE), [F32, F32], "y"),
    (
        lambda w, x, y: w.slice_update(x, y, index=WHOLE),
        [F32, ROW],
        "broadcast_to(y, shape=(2, 3))",
    ),
    (lambda w, x, y: w.slice_update(x, y, index=WHOLE), [F32, F64], "cast(y, dtype=f32)"),
    (
        lambda w, x: w.slice_update(x, 2, index=WHOLE),
        [F32],
        "full(f32(2.0), shape=(2, 3), dtype=f32)",
    ),
    (
        lambda w, x, y: w.slice(w.slice_update(x, y, index=(1, (0, 3, 1))), index=(1, (0, 3, 1))),
        [F32, ROW],
        "y",
    ),
    (
        lambda w, x, y: w.slice(w.slice_update(x, y, index=(1, (0, 3, 1))), index=(0, (0, 3, 1))),
        [F32, ROW],
        "slice(x, index=(0, (0, 3, 1)))",
    ),
    (
        lambda w, x, y, z: w.slice_update(
            w.slice_update(x, y, index=(1, (0, 3, 1))), z, index=(1, (0, 3, 1))
        ),
        [F32, ROW, ROW],
        "slice_update(x, z, index=(1, (0, 3, 1)))",
    ),
    (lambda w, x: w.gather(x, w.arange(2), axes=(0,)), [F32], "x"),
    (
        lambda w, x: w.gather(x, w.arange(-1, 2, -2), axes=(1,)),
        [F32],
        "slice(x, index=((0, 2, 1), (2, 2, -2)))",
    ),
    (
        lambda w, x, y, z: w.gather(
            w.gather_update(x, z, r := w.arange(2), y, axes=(0, 1)), r, y, axes=(0, 1)
        ),
        [F32, INDEX, ValueType("f32", (2,))],
        "z",
    ),
    # Reductions of one element, products of stacks.
    (lambda w, x: w.sum(x, 1), [COLUMN], "reshape(x, shape=(2,))"),
    (lambda w, x: w.max(x, axis=(1,), keepdims=True), [COLUMN], "x"),
    (lambda w, x: w.sum(x, 0), [ValueType("f32", (1,))], "slice(x, index=(0,))"),
    (lambda w, x: w.sum(x), [SCALAR], "x"),
    (
        lambda w, x, y: w.matmul(x, y),
        [ValueType("f32", (4, 2, 3)), ValueType("f32", (3, 5))],
        "reshape(matmul(reshape(x, shape=(8, 3)), y), shape=(4, 2, 5))",
    ),
]


@pytest.mark.parametrize(("function", "types", "expected"), APPLIES, ids=[e for *_, e in APPLIES])
def test_rule_applies_and_keeps_every_value(function, types, expected):
    program = write(function, *types)
    simple = improved(simplify, program)
    assert shown(simple) == expected
    arguments = [np.array([1, 0]) if t == INDEX else edge_value(t) for t in types]
    with np.errstate(all="ignore"):
        assert_same_values(program, simple, arguments)
    again = improved(simplify, simple)
    assert str(again) == str(simple)


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1])
def test_powers_are_numpys_to_the_last_bits(exponent):
    program = write(lambda w, x: w.power(x, exponent), F64)
    simple = improved(simplify, program)
    assert "power" not in shown(simple)
    x = np.array([[0.25, 7.1, 1e-200], [3.3, 1e150, np.nan]])
    assert_same_values(program, simple, [x], rtol=1e-15)


def test_zero_plus_negative_zero_may_stay_negative():
    program = improved(simplify, write(lambda w, x: w.add(x, 0.0), F32))
    assert np.signbit(evaluate(program, [np.full((2, 3), -0.0, np.float32)])[0]).all()


def test_what_stands_for_a_named_value_takes_its_name():
    program = write(lambda w, x: w.add(w.exp(x), 0), F32)
    object.__setattr__(program.equations[1].result, "name", "dW")
    assert "dW = exp(x)" in str(improved(simplify, program))
    assert program.equations[0].result.name is None


def test_rewritten_equations_keep_origin_and_the_others_are_untouched():
    b = Builder()
    origin = Origin("Cube", "train.py:1", "forward", 3)
    x = b.input(F32, name="x")
    e = b.add("exp", (x,), {}, origin)
    b.add("power", (e, 3), {}, origin)
    program = b.program([b.equations[-1].result])
    simple = simplify(program)
    assert simple.equations[0] is program.equations[0]
    assert {equation.origin for equation in simple.equations} == {origin}
    assert simple.equations[-1].result is program.equations[-1].result


def test_zeros_are_read_without_looking_at_the_index():
    program = write(lambda w, i: w.gather(w.full(0, (2,)), i, axes=(0,)), INDEX)
    assert "gather" not in shown(improved(simplify, program))


def test_every_primitive_of_the_table_exists():
    assert set(RULES) <= set(PRIMITIVES)


def test_literals_that_look_alike_stay_apart():
    program = write(lambda w, x: (w.add(x, 1), w.add(x, 1.0), w.add(x, True)), F32)
    assert [e.operands[1] for e in simplify(program).equations] == [
        Literal(1),
        Literal(1.0),
        Literal(True),
    ]


def test_what_is_known_of_nan_in_integers_is_found_without_a_warning():
    program = write(lambda w, x: w.add(w.full(np.float64(NAN), (2, 3), "i64"), x), I64)
    with np.errstate(all="raise"):
        simple = improved(simplify, program)
    assert "full" not in shown(simple)
    with np.errstate(all="ignore"):
        assert_same_values(program, simple, [edge_value(I64)])
