"""Equations are sorted into groups that can run one after the other, each as one walk over rows."""

from __future__ import annotations

from math import prod

import pytest
from ir.programs import two_layers
from passes.random_programs import RandomProgram

from miniflow.ir import Builder, Literal, Output, Program, ValueType, Variable, check
from miniflow.lowering.fuse import fuse
from miniflow.lowering.groups import (
    AFTER,
    BEFORE,
    COLUMN,
    ELEMENT,
    LOOP,
    MAX_EQUATIONS,
    ONE,
    ROW,
    WITHIN,
    PlaceInLoop,
)

OVER_ROWS = {"axis": (0,), "keepdims": False}
OVER_COLUMNS = {"axis": (1,), "keepdims": True}


class Writer(Builder):
    """A builder with less to write; everything is f32."""

    def array(self, *shape: int, name: str | None = None) -> Variable:
        return self.input(ValueType("f32", shape), name=name)

    def __call__(self, primitive: str, *operands: object, **params: object) -> Variable:
        return self.add(primitive, operands, params)


def loops(program: Program) -> list[str]:
    """The primitives of each loop."""
    groups = fuse(program).groups
    return [" ".join(e.primitive for e in g.equations) for g in groups if g.kind == LOOP]


def test_a_layer_is_one_loop_and_the_whole_loss_another():
    schedule = fuse(two_layers(128, 784, 32, 10))
    assert str(schedule).splitlines() == [
        "  0  constant: arange",
        "  1  view: transpose",
        "  2  view: transpose",
        "  3  product: matmul",
        "  4  loop over 128 x 32: add, maximum, greater",
        "  5  view: transpose",
        "  6  product: matmul",
        "  7  loop over 128 x 10: add, max, subtract, exp, sum, divide, gather, reshape, log, "
        "subtract, sum, divide, negative, gather, subtract, gather_update, divide, sum, multiply, "
        "subtract",
        "  8  product: matmul",
        "  9  product: matmul",
        " 10  loop over 128 x 32: multiply, sum, multiply, subtract",
        " 11  product: matmul",
        " 12  loop over 1 x 25088: multiply, subtract",
        " 13  loop over 1 x 320: multiply, subtract",
    ]


def test_values_know_their_place_in_the_loop():
    w = Writer()
    x, b = w.array(4, 3), w.array(3)
    shifted = w("subtract", w("add", x, b), w("max", x, **OVER_COLUMNS))
    scaled = w("multiply", shifted, w("exp", b))
    total = w("sum", scaled, axis=(0, 1), keepdims=False)
    mean = w("divide", w("sum", scaled, **OVER_ROWS), 4)
    (group,) = fuse(w.program([scaled, mean, w("log", total)])).groups
    names = {equation.result: equation.primitive for equation in group.equations}
    assert [(names[v], place) for v, place in group.places.items()] == [
        ("add", PlaceInLoop(ELEMENT, WITHIN)),
        ("max", PlaceInLoop(ROW, WITHIN)),
        ("subtract", PlaceInLoop(ELEMENT, WITHIN)),
        ("exp", PlaceInLoop(COLUMN, BEFORE)),
        ("multiply", PlaceInLoop(ELEMENT, WITHIN)),
        ("sum", PlaceInLoop(ONE, AFTER)),
        ("sum", PlaceInLoop(COLUMN, AFTER)),
        ("divide", PlaceInLoop(COLUMN, AFTER)),
        ("log", PlaceInLoop(ONE, AFTER)),
    ]
    assert (group.rows, group.columns, group.reads) == (4, 3, {x: ELEMENT, b: COLUMN})


def test_what_needs_a_sum_over_the_rows_waits_for_all_of_them():
    w = Writer()
    x = w.array(4, 3)
    centred = w("subtract", x, w("divide", w("sum", x, **OVER_ROWS), 4))
    assert loops(w.program([centred])) == ["sum divide", "subtract"]


def test_a_vector_is_one_row_so_its_softmax_is_one_loop():
    w = Writer()
    x = w.array(10)
    e = w("exp", w("subtract", x, w("max", x, axis=(0,), keepdims=False)))
    total = w("sum", e, axis=(0,), keepdims=False)
    assert loops(w.program([w("divide", e, total)])) == ["max subtract exp sum divide"]


def test_axes_are_rows_or_columns_but_not_both():
    w = Writer()
    x = w.array(2, 3, 4)
    first = w("add", x, w.array(3, 4))  # rows: 2, columns: 3 * 4
    second = w("multiply", first, w.array(2, 3, 1))  # rows: 2 * 3, columns: 4
    third = w("add", second, w.array(2, 1, 4))  # neither
    schedule = fuse(w.program([third]))
    assert [(g.kind, g.rows, g.columns) for g in schedule.groups] == [
        ("loop", 2, 12),
        ("loop", 6, 4),
        ("call", 1, 1),
    ]


def test_in_a_square_a_vector_of_the_rows_is_no_vector_of_the_columns():
    w = Writer()
    x = w.array(3, 3)
    of_rows = w("sum", x, axis=(1,), keepdims=False)  # NumPy lays it over the columns
    assert loops(w.program([w("subtract", x, of_rows)])) == ["sum", "subtract"]


def test_a_label_of_each_row_is_read_and_written_in_the_loop():
    w = Writer()
    x, y = w.array(5, 3), w.input(ValueType("i64", (5,)))
    rows = w("arange", start=0, stop=5, step=1, dtype="i64")
    picked = w("gather", w("exp", x), rows, y, axes=(0, 1))
    written = w("gather_update", x, picked, rows, y, axes=(0, 1))
    assert loops(w.program([written])) == ["exp gather gather_update"]
    reversed_rows = w("arange", start=4, stop=-1, step=-1, dtype="i64")
    other = w("gather", w("exp", x), reversed_rows, y, axes=(0, 1))
    assert fuse(w.program([other])).groups[-1].kind == "call"


def test_what_costs_little_is_computed_where_it_is_read():
    """1 - h would be stored by the loop that computes h, for the backward pass to read."""
    w = Writer()
    x, weights = w.array(4, 4), w.array(4, 4)
    h = w("tanh", x)
    rest = w("subtract", 1, w("multiply", h, h))
    g = w("matmul", h, weights)
    program = w.program([w("multiply", g, rest)])
    assert loops(program) == ["tanh", "multiply subtract multiply"]
    assert not any(e.result in fuse(program).stored for e in program.equations if e.result is rest)


def test_what_costs_much_stays_with_what_it_would_have_to_read():
    w = Writer()
    xs = [w.array(4, 4) for _ in range(4)]
    total = w("add", w("add", xs[0], xs[1]), w("add", xs[2], xs[3]))
    kept = w("exp", total)
    g = w("matmul", kept, xs[0])
    program = w.program([w("multiply", g, w("negative", total))])
    assert loops(program) == ["add add add exp negative", "multiply"]


def test_updates_of_several_parameters_stay_apart():
    """They share nothing but the learning rate; apart they are the same code, compiled once."""
    w = Writer()
    lr = w.input(ValueType("f64", (), "python"))
    pairs = [(w.array(3, 3), w.array(3, 3)) for _ in range(3)]
    new = [w("subtract", p, w("multiply", lr, g)) for p, g in pairs]
    assert loops(w.program(new)) == ["multiply subtract"] * 3


def moment(w: Writer, kept: Variable, g: Variable) -> Variable:
    return w("add", w("multiply", kept, 0.9), w("multiply", g, 0.1))


def test_a_gradient_is_read_once_for_all_that_an_optimizer_makes_of_it():
    w = Writer()
    W, m, v, x = (w.array(4, 4, name=name) for name in "Wmvx")
    g = w("matmul", x, x)
    mean, root = moment(w, m, g), w("hypot", w("multiply", v, 0.9), w("multiply", g, 0.3))
    new = w("subtract", W, w("divide", mean, w("add", root, 1e-8)))
    pairs = ((new, W), (mean, m), (root, v))
    schedule = fuse(w.program([Output(x, "parameter", replaces=old) for x, old in pairs]))
    assert [g.kind for g in schedule.groups] == ["product", "loop"]
    assert list(schedule.groups[1].reads.values()) == [ELEMENT] * 4


def needed_before(w: Writer, m: Variable, v: Variable, g: Variable) -> list[object]:
    mean = moment(w, m, g)
    product = w("matmul", mean, v)
    return [mean, w("multiply", moment(w, v, g), product)]


def looked_at(w: Writer, m: Variable, v: Variable, g: Variable) -> list[object]:
    return [w("transpose", moment(w, m, g), axes=(1, 0)), moment(w, v, g)]


def of_two_products(w: Writer, m: Variable, v: Variable, g: Variable) -> list[object]:
    return [w("multiply", w("matmul", g, m), g), w("multiply", w("matmul", g, v), g)]


def read_elsewhere(w: Writer, m: Variable, v: Variable, g: Variable) -> list[object]:
    first = w("multiply", w("transpose", m, axes=(1, 0)), g)
    return [first, Output(moment(w, m, g), "parameter", replaces=m)]


@pytest.mark.parametrize("make", [needed_before, looked_at, of_two_products, read_elsewhere])
def test_loops_that_read_the_same_stay_apart_where_they_are_better_so(make):
    w = Writer()
    assert len(loops(w.program(make(w, *(w.array(4, 4) for _ in range(3)))))) == 2


def test_what_comes_after_the_check_is_not_joined_by_what_comes_before():
    w = Writer()
    x, m = w.array(4, 4), w.array(4, 4)
    early, check = w("exp", x), w("sum", w("matmul", x, x), axis=(0, 1), keepdims=False)
    outputs = [early, Output(check, "check"), Output(moment(w, m, x), "state", replaces=m)]
    assert loops(w.program(outputs)) == ["exp", "sum", "multiply multiply add"]


def test_a_view_of_a_groups_own_result_is_read_by_the_next_group():
    w = Writer()
    e = w("exp", w.array(4, 3))
    turned = w("transpose", e, axes=(1, 0))
    program = w.program([w("add", turned, w("reshape", e, shape=(3, 4)))])
    schedule = fuse(program)
    assert [g.kind for g in schedule.groups] == ["loop", "view", "view", "loop"]
    assert e in schedule.stored


def test_what_a_backend_cannot_fuse_becomes_a_call():
    w = Writer()
    x = w("negative", w("sin", w("exp", w.array(3))))
    schedule = fuse(w.program([x]), lambda equation: equation.primitive != "sin")
    assert [g.kind for g in schedule.groups] == ["loop", "call", "loop"]


def test_numbers_of_python_are_a_group_of_their_own():
    b = Builder()
    lr = b.input(ValueType("f64", (), "python"))
    x = b.input(ValueType("f32", (3,)))
    step = b.add("multiply", (b.add("negative", (lr,)), x))
    assert [g.kind for g in fuse(b.program([step])).groups] == ["number", "loop"]


def test_loops_do_not_grow_without_end():
    w = Writer()
    x = w.array(3)
    for _ in range(3 * MAX_EQUATIONS):
        x = w("negative", x)
    assert len(fuse(w.program([x])).groups) == 3


@pytest.mark.parametrize("seed", range(150))
def test_groups_hold_every_equation_once_in_an_order_that_runs(seed):
    program = RandomProgram(seed, length=30).program
    schedule = fuse(program)
    equations = [e for group in schedule.groups for e in group.equations]
    assert sorted(map(id, equations)) == sorted(map(id, program.equations))
    check(Program(program.inputs, tuple(equations), program.outputs, program.constants))
    made_by = {e.result: g for g in schedule.groups for e in g.equations}
    for group in schedule.groups:
        for operand in (o for e in group.equations for o in e.operands):
            if isinstance(operand, Variable) and operand in made_by:
                assert made_by[operand] is group or operand in schedule.stored
        if group.kind == LOOP:
            _check_places(group)


def _check_places(group) -> None:
    """Each value has as many elements as its place says, and is not read before its time."""
    count = {ELEMENT: group.rows * group.columns, ROW: group.rows, COLUMN: group.columns, ONE: 1}
    for equation in group.equations:
        place = group.places[equation.result]
        assert prod(equation.result.shape) == count[place.domain]
        assert place.sweep == WITHIN or place.domain in (COLUMN, ONE)
        for operand in equation.operands:
            if operand in group.places:
                assert group.places[operand].sweep <= place.sweep
            elif not isinstance(operand, Literal) and group.reads.get(operand) in count:
                assert prod(operand.shape) == count[group.reads[operand]]
