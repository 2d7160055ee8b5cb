"""Rules of *simplify* that look as if they applied, and must not: what they would change."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import ValueType
from miniflow.passes import simplify

from .writing import F32, improved, shown, write

I64, BOOL, U8, F64 = (ValueType(dtype, (2, 3)) for dtype in ("i64", "bool", "u8", "f64"))
ROW, COLUMN = ValueType("f32", (3,)), ValueType("f32", (2, 1))
SCALAR, ZERO_D = ValueType("f32", (), "scalar"), ValueType("f32", ())
FLOAT, INT = ValueType("f64", (), "python"), ValueType("i64", (), "python")
INDEX = ValueType("i64", (2,))
PART = ((0, 2, 1), (0, 1, 2))
BESIDE = ((0, 2, 1), (1, 1, 2))
WHOLE = ((0, 2, 1), (0, 3, 1))
NAN = float("nan")


HOLDS_BACK = {
    "bits of booleans beside a whole number": (lambda w, x: w.bitwise_xor(x, 0), [BOOL]),
    "an integer divided by one is a float": (lambda w, x: w.divide(x, 1), [I64]),
    "an integer times 1.0 is a float": (lambda w, x: w.multiply(x, 1.0), [I64]),
    "True + 0 is an integer": (lambda w, x: w.add(x, 0), [BOOL]),
    "a NumPy number widens": (lambda w, x: w.multiply(x, np.float64(1)), [F32]),
    "Python's number becomes NumPy's": (lambda w, x: w.multiply(x, np.float64(1)), [FLOAT]),
    "an int becomes a float": (lambda w, x: w.multiply(1.0, x), [INT]),
    "a 0-d array becomes a number": (lambda w, x: w.add(x, 0), [ZERO_D]),
    "0 times infinity is not 0": (lambda w, x: w.multiply(x, 0), [F32]),
    "infinity minus infinity is not 0": (lambda w, x: w.subtract(x, x), [F32]),
    "0 / 0 is not 1": (lambda w, x: w.divide(x, x), [F32]),
    "almost one": (lambda w, x: w.multiply(x, 1.0000001), [F32]),
    "NaN is not 0": (lambda w, x: w.add(x, NAN), [F32]),
    "a small integer is negated before it grows": (
        lambda w, x, y: w.add(x, w.negative(y)),
        [I64, U8],
    ),
    "the negation of a promoted small integer": (
        lambda w, x, y: w.subtract(x, w.negative(y)),
        [F64, ValueType("i8", (2, 3))],
    ),
    "the negative of an unsigned number is large": (
        lambda w, x: w.absolute(w.negative(x)),
        [U8],
    ),
    "Python's integers have no end": (
        lambda w, x: w.cast(w.cast(x, dtype="i64"), dtype="f32"),
        [INT],
    ),
    "a Python power may overflow": (lambda w, x: w.power(x, 2), [FLOAT]),
    "a NumPy number's power is not an array's": (lambda w, x: w.power(x, 0.5), [SCALAR]),
    "the square of booleans is an integer": (lambda w, x: w.power(x, 2), [BOOL]),
    "numbers turned to booleans": (lambda w, x: w.logical_not(w.logical_not(x)), [F32]),
    "the opposite of greater, with NaN": (
        lambda w, x, y: w.logical_not(w.greater(x, y)),
        [F32, F32],
    ),
    "float32 does not hold every double": (
        lambda w, x: w.cast(w.cast(x, dtype="f32"), dtype="f64"),
        [F64],
    ),
    "a double does not hold every integer": (
        lambda w, x: w.cast(w.cast(x, dtype="f64"), dtype="i64"),
        [I64],
    ),
    "a small negative integer wraps": (
        lambda w, x: w.cast(w.cast(x, dtype="u8"), dtype="i64"),
        [ValueType("i8", (2, 3))],
    ),
    "a float need not fit an integer": (
        lambda w, x: w.cast(w.cast(x, dtype="f32"), dtype="i8"),
        [U8],
    ),
    "a float is cut to an integer": (
        lambda w, x: w.cast(w.cast(x, dtype="i64"), dtype="f32"),
        [ValueType("f16", (2, 3))],
    ),
    "negative integers wrap": (lambda w, x: w.cast(w.cast(x, dtype="u8"), dtype="i64"), [I64]),
    "numbers cast to booleans and back": (
        lambda w, x: w.cast(w.cast(x, dtype="bool"), dtype="f32"),
        [F32],
    ),
    "a square matrix transposed": (
        lambda w, x: w.transpose(x, axes=(1, 0)),
        [ValueType("f32", (3, 3))],
    ),
    "a reversed slice": (lambda w, x: w.slice(x, index=((1, 2, -1), (0, 3, 1))), [F32]),
    "a slice update in reverse": (
        lambda w, x, y: w.slice_update(x, y, index=((1, 2, -1), (0, 3, 1))),
        [F32, F32],
    ),
    "a part that overlaps what was written": (
        lambda w, x, y: w.slice(w.slice_update(x, y, index=(1, (0, 3, 1))), index=((0, 2, 1), 0)),
        [F32, ROW],
    ),
    "two writes to different places": (
        lambda w, x, y, z: w.slice_update(
            w.slice_update(x, y, index=(1, (0, 3, 1))), z, index=(0, (0, 3, 1))
        ),
        [F32, ROW, ROW],
    ),
    "places that may be written to twice": (
        lambda w, x, y, z: w.gather(w.gather_update(x, z, y, axes=(0,)), y, axes=(0,)),
        [ROW, INDEX, ValueType("f32", (2,))],
    ),
    "places from both ends": (
        lambda w, x, y, z: w.gather(
            w.gather_update(x, z, r := w.arange(3, -3), y, axes=(0, 1)), r, y, axes=(0, 1)
        ),
        [ValueType("f32", (3, 3)), ValueType("i64", (6,)), ValueType("f32", (6,))],
    ),
    "labels": (lambda w, x, y: w.gather(x, w.arange(2), y, axes=(0, 1)), [F32, INDEX]),
    "indices beyond the end": (lambda w, x: w.gather(x, w.arange(4, 2), axes=(0,)), [F32]),
    "indices from the end": (lambda w, x: w.gather(x, w.arange(0, -2), axes=(0,)), [F32]),
    "the sum of one small integer is a large one": (
        lambda w, x: w.sum(x, 1),
        [ValueType("u8", (2, 1))],
    ),
    "a Python number divided by zero raises": (lambda w, x: w.divide(1, 0), [F32]),
    "Python's division by zero raises, that of arrays does not": (
        lambda w, x, y: w.divide(w.full(x, (3,), "f64"), w.full(y, (3,), "f64")),
        [FLOAT, FLOAT],
    ),
    "a row that is repeated is not one number": (
        lambda w, x: w.transpose(w.broadcast_to(x, shape=(3, 3)), axes=(1, 0)),
        [ROW],
    ),
    "two small constants with a large sum": (
        lambda w, x: w.add(w.constant(np.arange(30.0).reshape(30, 1)), w.constant(np.arange(30.0))),
        [ROW],
    ),
    "a number of very many digits": (lambda w, x: w.power(10, 10**9), [F32]),
    "a constant of both zeros": (lambda w, x: w.add(x, w.constant([0.0, -0.0, 0.0])), [F64]),
    "a large constant": (lambda w, x: w.multiply(w.constant(np.ones(600)), 2.0), [F32]),
    "NumPy writes an array of NaN into integers, and no number": (
        lambda w, x: w.slice_update(x, w.full(NAN, (2,), "f64"), index=((0, 2, 1), 0)),
        [I64],
    ),
    "a stack times a stack": (
        lambda w, x, y: w.matmul(x, y),
        [ValueType("f32", (4, 2, 3)), ValueType("f32", (4, 3, 5))],
    ),
}


@pytest.mark.parametrize("what", HOLDS_BACK)
def test_rule_holds_back(what):
    function, types = HOLDS_BACK[what]
    program = write(function, *types)
    assert shown(improved(simplify, program)) == shown(program)
