"""Many small products become one large one, and only where that computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import ValueType
from miniflow.passes import batch

from .writing import assert_same_values, improved, write

A, B, X, W, ROW = (ValueType("f64", s) for s in ((5, 2), (5, 3), (4, 2), (2, 3), (3,)))
RNG = np.random.default_rng(0)


def primitives(program):
    """How often each primitive is used."""
    seen = [equation.primitive for equation in program.equations]
    return {name: seen.count(name) for name in seen}


def values(*types):
    return [RNG.normal(size=type_.shape) for type_ in types]


def added_up(w, terms):
    total = terms[0]
    for term in terms[1:]:
        total = w.add(total, term)
    return total


def test_products_that_are_added_up_become_one():
    def gradient(w, a, b):
        terms = [
            w.matmul(w.transpose(w.multiply(a, i), axes=(1, 0)), w.add(b, i)) for i in range(1, 6)
        ]
        return added_up(w, terms)

    program = write(gradient, A, B)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 1
    assert primitives(result)["transpose"] == 1  # of the rows, joined: as BLAS reads it best
    assert primitives(result)["add"] == 5  # within the terms; none adds them up
    assert_same_values(program, result, values(A, B), rtol=1e-12)


def test_left_factors_that_are_not_transposed_are_joined_side_by_side():
    def total(w, x, v):
        return added_up(w, [w.matmul(w.add(x, i), w.multiply(v, i)) for i in range(4)])

    program = write(total, X, W)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 1
    assert_same_values(program, result, values(X, W), rtol=1e-12)


def test_sums_over_rows_that_are_added_up_become_one_and_other_terms_stay():
    def bias(w, x, row):
        return w.add(row, added_up(w, [w.sum(w.add(x, i), 0) for i in range(6)]))

    program = write(bias, B, ROW)
    result = improved(batch, program)
    assert primitives(result)["sum"] == 1
    assert_same_values(program, result, values(B, ROW), rtol=1e-12)


@pytest.mark.parametrize("has_bias", [False, True])
def test_products_with_the_same_right_factor_become_parts_of_one(has_bias):
    def layers(w, x, v, row):
        hidden = [w.matmul(w.add(x, i), v) for i in range(5)]
        return tuple(w.exp(w.add(h, row) if has_bias else h) for h in hidden)

    program = write(layers, X, W, ROW)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 1
    assert primitives(result)["slice"] == 5
    assert_same_values(program, result, values(X, W, ROW), rtol=1e-12)


def test_products_that_depend_on_each_other_stay_apart():
    square = ValueType("f64", (3, 3))

    def chain(w, x, v):
        for _ in range(8):
            x = w.tanh(w.matmul(x, v))
        return x

    program = write(chain, square, square)
    assert primitives(improved(batch, program)) == {"matmul": 8, "tanh": 8}


def test_inputs_of_a_recurrent_network_are_multiplied_at_once_and_its_states_one_by_one():
    square = ValueType("f64", (3, 3))

    def recurrent(w, x, h, v, u):
        for i in range(6):
            h = w.tanh(w.add(w.matmul(w.add(x, i), v), w.matmul(h, u)))
        return h

    program = write(recurrent, *[square] * 4)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 1 + 6
    assert_same_values(program, result, values(*[square] * 4), rtol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
def test_few_products_stay_as_they_are(count):
    def few(w, x, v):
        return tuple(w.matmul(w.add(x, i), v) for i in range(count))

    program = write(few, X, W)
    assert str(improved(batch, program)) == str(program)


def test_large_products_stay_as_they_are():
    large = ValueType("f32", (256, 256))

    def many(w, x, v):
        return tuple(w.matmul(w.add(x, i), v) for i in range(5))

    program = write(many, large, large)
    assert str(improved(batch, program)) == str(program)


def test_a_sum_that_is_read_by_others_too_keeps_its_parts():
    def both(w, x, v):
        terms = [w.matmul(w.add(x, i), w.multiply(v, i)) for i in range(6)]
        first = added_up(w, terms[:3])
        return w.exp(first), added_up(w, [first, *terms[3:]])

    program = write(both, X, W)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 6  # three stay alone: too few
    assert_same_values(program, result, values(X, W), rtol=1e-12)


def test_a_transpose_that_moves_nothing_is_no_transposed_factor():
    def total(w, x, v):
        factors = [w.transpose(w.add(x, i), axes=(0, 1)) for i in range(4)]
        return added_up(w, [w.matmul(a, w.multiply(v, i)) for i, a in enumerate(factors)])

    program = write(total, X, W)
    result = improved(batch, program)
    assert primitives(result)["matmul"] == 1
    assert_same_values(program, result, values(X, W), rtol=1e-12)


def test_products_that_a_sum_has_taken_in_are_no_part_of_another_batch():
    def both(w, x, v):
        products = [w.matmul(w.add(x, i), v) for i in range(8)]
        return added_up(w, products[:4]), *[w.exp(p) for p in products[4:]]

    program = write(both, X, W)
    result = improved(batch, program)
    rows = [e.operands[0].shape[0] for e in result.equations if e.primitive == "matmul"]
    assert sorted(rows) == [4, 4 * 4]
    assert_same_values(program, result, values(X, W), rtol=1e-12)
