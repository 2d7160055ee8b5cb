"""Sums around matrix products become `gemm`, where BLAS computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from miniflow.ir import Builder, Origin, Output, ValueType, check, evaluate
from miniflow.passes import TIDY, contract, contract_in_place, optimize, prune, simplify

from .writing import assert_same_values, shown, write

JOINING = (*TIDY, contract, *TIDY)
A, B, C = (ValueType("f32", shape) for shape in ((4, 3), (3, 2), (4, 2)))
BIAS, LR = ValueType("f32", (2,)), ValueType("f64", (), "python")
SCALAR = ValueType("f32", (), "scalar")

CONTRACTS = [
    (
        lambda w, a, b, c: w.add(w.matmul(a, b), c),
        [A, B, BIAS],
        "gemm(broadcast_to(z, shape=(4, 2)), x, y, 1.0, 1.0)",
    ),
    (
        lambda w, a, b, c: w.add(w.reshape(c, shape=(1, 2)), w.matmul(a, b)),
        [A, B, BIAS],
        "gemm(broadcast_to(reshape(z, shape=(1, 2)), shape=(4, 2)), x, y, 1.0, 1.0)",
    ),
    (lambda w, a, b, c: w.add(c, w.matmul(a, b)), [A, B, C], "gemm(z, x, y, 1.0, 1.0)"),
    (lambda w, a, b, c: w.subtract(c, w.matmul(a, b)), [A, B, C], "gemm(z, x, y, -1.0, 1.0)"),
    (lambda w, a, b, c: w.subtract(w.matmul(a, b), c), [A, B, C], "gemm(z, x, y, 1.0, -1.0)"),
    (
        lambda w, a, b, c: w.subtract(w.matmul(a, b), c),
        [A, B, BIAS],
        "gemm(broadcast_to(negative(z), shape=(4, 2)), x, y, 1.0, 1.0)",
    ),
    (
        lambda w, a, b, c, lr: w.subtract(c, w.multiply(lr, w.matmul(a, b))),
        [A, B, C, LR],
        "gemm(z, x, y, negative(u), 1.0)",
    ),
    (
        lambda w, a, b, c, lr: w.subtract(c, w.multiply(w.matmul(a, b), lr)),
        [A, B, C, SCALAR],
        "gemm(z, x, y, negative(u), 1.0)",
    ),
    (
        lambda w, a, b, c, lr: w.subtract(c, w.multiply(lr, w.divide(w.matmul(a, b), 8))),
        [A, B, C, LR],
        "gemm(z, x, y, negative(divide(u, 8)), 1.0)",
    ),
    (  # weight decay
        lambda w, a, b, c, lr: w.subtract(
            c, w.multiply(lr, w.add(w.matmul(a, b), w.multiply(0.01, c)))
        ),
        [A, B, C, LR],
        "gemm(z, x, y, negative(u), subtract(1.0, multiply(u, 0.01)))",
    ),
    (  # momentum
        lambda w, a, b, c: w.add(w.multiply(c, 0.9), w.matmul(a, b)),
        [A, B, C],
        "gemm(z, x, y, 1.0, 0.9)",
    ),
    (  # momentum and weight decay
        lambda w, a, b, c, d: w.add(w.multiply(c, 0.9), w.add(w.matmul(a, b), w.multiply(0.01, d))),
        [A, B, C, C],
        "add(gemm(z, x, y, 1.0, 0.9), multiply(0.01, u))",
    ),
    (  # a residual connection
        lambda w, a, b, c, d: w.add(w.add(w.matmul(a, b), c), d),
        [A, B, BIAS, C],
        "gemm(add(z, u), x, y, 1.0, 1.0)",
    ),
    (
        lambda w, a, b: w.multiply(w.matmul(a, b), 0.5),
        [A, B],
        ZEROS_START := ("gemm(full(0.0, shape=(4, 2), dtype=f32), x, y, 0.5, 0.0)"),
    ),
    (lambda w, a, b: w.divide(w.matmul(a, b), 2), [A, B], ZEROS_START),
    (
        lambda w, a, b: w.negative(w.matmul(a, b)),
        [A, B],
        "gemm(full(0.0, shape=(4, 2), dtype=f32), x, y, -1.0, 0.0)",
    ),
    (
        lambda w, a, b, c, d: w.add(w.matmul(a, b), w.matmul(c, d)),
        [A, B, A, B],
        "gemm(matmul(x, y), z, u, 1.0, 1.0)",
    ),
    (  # a recurrent layer
        lambda w, a, b, c, d, e: w.add(w.add(w.matmul(a, b), w.matmul(c, d)), e),
        [A, B, A, B, BIAS],
        "gemm(gemm(broadcast_to(v, shape=(4, 2)), x, y, 1.0, 1.0), z, u, 1.0, 1.0)",
    ),
    (
        lambda w, a, b: w.add(w.matmul(w.transpose(a, axes=(1, 0)), b), 0),
        [A, A],
        "matmul(transpose(x, axes=(1, 0)), y)",
    ),
]


@pytest.mark.parametrize(
    ("function", "types", "expected"), CONTRACTS, ids=[e for *_, e in CONTRACTS]
)
def test_products_and_what_is_added_become_gemm(function, types, expected):
    program = write(function, *types)
    contracted = optimize(program, JOINING)
    check(contracted)
    assert shown(contracted) == expected
    rng = np.random.default_rng(0)
    arguments = [
        rng.normal(size=t.shape).astype("f4")
        if t.shape
        else {"f64": 0.1}.get(t.dtype, np.float32(0.1))
        for t in types
    ]
    assert_same_values(program, contracted, arguments, rtol=1e-5)


INT_A, INT_B = ValueType("i64", (4, 3)), ValueType("i64", (3, 2))
HOLDS_BACK = {
    "integers": (lambda w, a, b, c: w.add(w.matmul(a, b), c), [INT_A, INT_B, INT_A]),
    "half precision": (
        lambda w, a, b: w.negative(w.matmul(a, b)),
        [ValueType("f16", (4, 3)), ValueType("f16", (3, 2))],
    ),
    "another dtype is added": (
        lambda w, a, b, c: w.add(w.matmul(a, b), c),
        [A, B, ValueType("f64", (4, 2))],
    ),
    "a Python number is added": (lambda w, a, b: w.add(w.matmul(a, b), 1.5), [A, B]),
    "the product is broadcast": (
        lambda w, a, b, c: w.add(w.matmul(a, b), c),
        [A, B, ValueType("f32", (5, 4, 2))],
    ),
    "a scale of another dtype": (
        lambda w, a, b, s: w.multiply(s, w.matmul(a, b)),
        [A, B, ValueType("f64", (), "scalar")],
    ),
    "a scale of less precision": (
        lambda w, a, b, s: w.multiply(s, w.matmul(a, b)),
        [A, B, ValueType("f16", (), "scalar")],
    ),
    "a scale that is an array": (lambda w, a, b, c: w.multiply(w.matmul(a, b), c), [A, B, C]),
    "a division by a Python number that may be zero": (
        lambda w, a, b, s: w.divide(w.matmul(a, b), s),
        [A, B, LR],
    ),
    "a division by zero": (lambda w, a, b: w.divide(w.matmul(a, b), 0), [A, B]),
    "a product of vectors": (
        lambda w, a, b, c: w.add(w.matmul(a, b), c),
        [ValueType("f32", (3,)), B, BIAS],
    ),
    "a stack of products": (
        lambda w, a, b: w.negative(w.matmul(a, b)),
        [ValueType("f32", (5, 4, 3)), ValueType("f32", (5, 3, 2))],
    ),
}


@pytest.mark.parametrize("what", HOLDS_BACK)
def test_contract_holds_back(what):
    function, types = HOLDS_BACK[what]
    types = types if what != "integers" else [INT_A, INT_B, ValueType("i64", (4, 2))]
    program = write(function, *types)
    assert shown(contract(program)) == shown(program)


def test_product_that_is_read_elsewhere_too_stays():
    def function(w, a, b, c):
        product = w.matmul(a, b)
        return w.add(product, c), w.exp(product)

    program = write(function, A, B, C)
    assert contract(program).equations == program.equations


def test_product_that_is_an_output_stays():
    program = write(lambda w, a, b, c: ((p := w.matmul(a, b)), w.add(p, c)), A, B, C)
    assert contract(program).equations == program.equations


def test_sum_with_the_same_term_twice_takes_it_once():
    program = write(lambda w, a, b, c: w.add(c, w.subtract(w.matmul(a, b), c)), A, B, C)
    assert shown(optimize(program, JOINING)) == "gemm(z, x, y, 1.0, 0.0)"


def test_many_products_are_added_up_before_they_meet_a_weight():
    """In float32, 1 + 1e-8 is 1, however often it is added."""

    def function(w, x, y, z):
        total = w.matmul(x, y)
        for i in range(50):
            total = w.add(total, w.matmul(w.add(x, i / 50), y))
        return w.add(z, total)

    types = [ValueType("f32", shape) for shape in ((1, 1), (1, 1), (1, 1))]
    program = write(function, *types)
    contracted = optimize(program, JOINING)
    assert "gemm" in shown(contracted)
    arguments = [np.zeros((1, 1), "f4"), np.full((1, 1), 1e-8, "f4"), np.ones((1, 1), "f4")]
    assert evaluate(contracted, arguments)[0] > 1
    assert_same_values(program, contracted, arguments, rtol=1e-7)


def test_scaled_sum_of_several_products_is_scaled_once():
    program = write(
        lambda w, x, y, z, lr: w.subtract(
            z, w.multiply(lr, w.add(w.matmul(x, y), w.matmul(w.exp(x), y)))
        ),
        A, B, C, LR,
    )  # fmt: skip
    expected = "subtract(z, multiply(u, gemm(matmul(x, y), exp(x), y, 1.0, 1.0)))"
    assert shown(optimize(program, JOINING)) == expected


IN_PLACE = [
    (  # a bias is added where the product is read next
        lambda w, a, b, c: w.add(w.matmul(a, b), c),
        [A, B, BIAS],
        "add(matmul(x, y), z)",
    ),
    (lambda w, a, b, c: w.subtract(c, w.matmul(a, b)), [A, B, C], "subtract(z, matmul(x, y))"),
    (
        lambda w, a, b, c, d, e: w.add(w.add(w.matmul(a, b), w.matmul(c, d)), e),
        [A, B, A, B, BIAS],
        "add(gemm(matmul(x, y), z, u, 1.0, 1.0), v)",
    ),
    (lambda w, a, b: w.divide(w.matmul(a, b), 2), [A, B], ZEROS_START),
    (
        lambda w, a, b, c, lr: w.add(c, w.multiply(lr, w.matmul(a, b))),
        [A, B, C, LR],
        "add(z, multiply(u, matmul(x, y)))",
    ),
]


@pytest.mark.parametrize(("function", "types", "expected"), IN_PLACE, ids=[e for *_, e in IN_PLACE])
def test_contracted_in_place_nothing_is_copied_to_be_added_to(function, types, expected):
    program = write(function, *types)
    contracted = optimize(program, [*TIDY, contract_in_place, *TIDY])
    check(contracted)
    assert shown(contracted) == expected


@pytest.mark.parametrize("contract", [contract, contract_in_place])
def test_what_a_sum_replaces_is_added_to_in_place(contract):
    b = Builder()
    x = b.input(A, name="x")
    lr, g = b.input(LR, "hyper", "lr"), b.input(C, name="g")
    product = b.add("matmul", (b.add("transpose", (x,), {"axes": (1, 0)}), g))
    w = b.input(product.type, "parameter", "w")
    new = b.add("subtract", (w, b.add("multiply", (lr, product))))
    program = optimize(b.program([Output(new, "parameter", replaces=w)]), [*TIDY, contract, *TIDY])
    assert shown(program) == "gemm(w, transpose(x, axes=(1, 0)), g, negative(lr), 1.0)"


@pytest.mark.parametrize("contract", [contract, contract_in_place])
@pytest.mark.parametrize("scale", ["negative", "half", "twice"])
@pytest.mark.parametrize("row", [True, False])
def test_a_sum_that_is_scaled_and_read_stays_a_sum(contract, scale, row):
    """It is a node's value, say, which the next node negates."""
    b = Builder()
    x, w, c = (
        b.input(type_, name=n) for type_, n in ((A, "x"), (B, "w"), (BIAS if row else C, "c"))
    )
    hidden = total = b.add("add", (b.add("matmul", (x, w)), c), name="hidden")
    for _ in range(2 if scale == "twice" else 1):
        scaled = "negative" if scale == "negative" else "multiply"
        total = b.add(scaled, (total,) if scale == "negative" else (0.5, total))
    program = b.program([b.add("exp", (total,))])
    contracted = prune(contract(program))
    assert [e.primitive for e in contracted.equations][-2:] == [scaled, "exp"]
    assert hidden in {e.result for e in contracted.equations}


def test_value_of_a_node_is_not_negated_for_the_next_one():
    b = Builder()
    x, w, c = (b.input(type_, name=name) for type_, name in ((A, "x"), (B, "w"), (C, "c")))
    linear, sigmoid = Origin("Linear", index=1), Origin("Sigmoid", index=2)
    hidden = b.add("add", (b.add("matmul", (x, w), {}, linear), c), {}, linear, "hidden")
    program = optimize(
        b.program([b.add("exp", (b.add("negative", (hidden,), {}, sigmoid),))]), JOINING
    )
    assert shown(program) == "exp(negative(gemm(c, x, w, 1.0, 1.0)))"
    assert "hidden = gemm" in str(program)


def test_gemm_belongs_to_the_node_of_its_product_but_an_update_to_the_optimizer():
    b = Builder()
    x, w, c = (b.input(type_, name=name) for type_, name in ((A, "x"), (B, "w"), (C, "c")))
    linear, add = Origin("Linear", index=1), Origin("Add", index=2)
    total = b.add("add", (b.add("matmul", (x, w), {}, linear), c), {}, add)
    (gemm,) = prune(contract(b.program([total]))).equations
    assert gemm.origin == linear
    update = Origin("SGD", phase="update")
    b = Builder()
    x, w, c = (b.input(type_, name=name) for type_, name in ((A, "x"), (B, "w"), (C, "c")))
    total = b.add("add", (b.add("matmul", (x, w), {}, linear), c), {}, update)
    (gemm,) = prune(contract(b.program([total]))).equations
    assert gemm.origin == update


@st.composite
def linear_trees(draw):
    """Return a program that adds, subtracts and scales matrices and products of matrices."""

    def function(w, x, y, z, u, v, lr):
        def leaf():
            kind = draw(st.sampled_from(["product", "product", "square", "row", "number"]))
            if kind == "product":
                a = (
                    w.transpose(x, axes=(1, 0))
                    if draw(st.booleans())
                    else draw(st.sampled_from([x, y]))
                )
                return w.matmul(a, draw(st.sampled_from([x, y])))
            return {"square": draw(st.sampled_from([z, u])), "row": v, "number": w.sum(v, 0)}[kind]

        def tree(depth):
            if depth == 0:
                return leaf()
            name = draw(
                st.sampled_from(["add", "subtract", "negative", "multiply", "divide", "leaf"])
            )
            if name == "leaf":
                return leaf()
            if name == "negative":
                return w.negative(tree(depth - 1))
            if name == "multiply":
                return w.multiply(tree(depth - 1), draw(st.sampled_from([lr, 0.5, 2])))
            if name == "divide":
                return w.divide(tree(depth - 1), draw(st.sampled_from([4, -0.5])))
            return getattr(w, name)(tree(depth - 1), tree(depth - 1))

        first = tree(4)
        return (first, w.add(tree(3), w.exp(first))) if draw(st.booleans()) else first

    square = ValueType("f64", (3, 3))
    return write(function, square, square, square, square, ValueType("f64", (3,)), LR)


@pytest.mark.parametrize("contract", [contract, contract_in_place])
@settings(max_examples=7 * settings.default.max_examples, deadline=None)
@given(linear_trees())
def test_every_linear_tree_computes_the_same(contract, program):
    note(f"{program}")
    contracted = simplify(contract(program))
    check(contracted)
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=entry.variable.shape) for entry in program.inputs[:-1]]
    assert_same_values(program, contracted, [*arguments, 0.1], rtol=1e-12)
    again = contract(prune(contracted))
    assert str(again) == str(prune(contracted))
