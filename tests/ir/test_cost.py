"""What `cost` counts."""

from __future__ import annotations

import pytest

from miniflow.ir import PRIMITIVES, Builder, Cost, Origin, ValueType, cost

from .programs import two_layers

MATRIX = ValueType("f32", (100, 10))


def cost_of(name, operands, **params):
    b = Builder()
    read = [b.input(o) if isinstance(o, ValueType) else o for o in operands]
    return cost(b.program([b.add(name, read, params)])).total


def test_matrix_product_counts_two_operations_per_term():
    assert cost_of("matmul", (MATRIX, ValueType("f32", (10, 7)))).flops == 2 * 100 * 10 * 7
    assert cost_of("matmul", (ValueType("f32", (10,)), ValueType("f32", (10,)))).flops == 20


def test_product_that_is_added_costs_an_addition_and_what_is_scaled_a_multiplication():
    operands = (ValueType("f32", (100, 7)), MATRIX, ValueType("f32", (10, 7)))
    lr = ValueType("f32", (), "scalar")
    assert cost_of("gemm", (*operands, 1.0, 1.0)).flops == (2 * 10 + 1) * 100 * 7
    assert cost_of("gemm", (*operands, lr, 1.0)).flops == (2 * 10 + 2) * 100 * 7
    assert cost_of("gemm", (*operands, lr, 0.5)).flops == (2 * 10 + 3) * 100 * 7


def test_addition_counts_one_operation_per_element_and_all_memory():
    assert cost_of("add", (MATRIX, ValueType("f32", (10,)))) == Cost(1000, 4 * (1000 + 10 + 1000))


def test_literals_cost_no_memory():
    assert cost_of("add", (MATRIX, 1.0)).bytes == 8000


def test_reduction_counts_what_it_reads():
    assert cost_of("sum", (MATRIX,), axis=(0,), keepdims=False) == Cost(1000, 4040)


def test_exponentials_cost_more_than_additions():
    assert cost_of("exp", (MATRIX,)).flops > cost_of("add", (MATRIX, MATRIX)).flops


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("reshape", {"shape": (1000,)}),
        ("transpose", {"axes": (1, 0)}),
        ("broadcast_to", {"shape": (9, 100, 10)}),
        ("slice", {"index": (0, (0, 10, 1))}),
    ],
)
def test_views_are_free(name, params):
    assert cost_of(name, (MATRIX,), **params) == Cost(0, 0)
    assert PRIMITIVES[name].is_view


def test_gather_reads_only_what_it_returns():
    index = ValueType("i64", (5,))
    assert cost_of("gather", (MATRIX, index), axes=(0,)) == Cost(0, 5 * 8 + 2 * 5 * 40)


def test_parts_add_up_to_the_total():
    result = cost(two_layers())
    for parts in (result.equations, result.by_origin.values(), result.by_node().values()):
        total = Cost()
        for part in parts:
            total = total.plus(part)
        assert total == result.total


def test_nodes_are_told_apart_by_place_if_their_labels_agree():
    b = Builder()
    value = b.input(MATRIX)
    for index in (1, 2):
        value = b.add("exp", (value,), {}, Origin("Exp", "train.py:4", index=index))
    per_node = cost(b.program([value])).by_node()
    assert list(per_node) == ["Exp (train.py:4, node 1)", "Exp (train.py:4, node 2)"]


def test_forward_and_backward_of_a_node_are_counted_together():
    assert list(cost(two_layers()).by_node()) == [
        "Linear 'hidden'",
        "Relu",
        "Linear 'logits'",
        "CrossEntropyWithSoftmax 'loss'",
        "SGD",
    ]
