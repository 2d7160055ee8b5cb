"""What need not be in a loop is computed before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from miniflow.ir import Builder, Program, ValueType, check, evaluate
from miniflow.passes import TIDY, hoist, optimize, stages

from .writing import Writer

F64 = "f64"
ROWS, COUNT = 2, 5


def loop(build: Any, *outside: tuple[int, ...], reverse: bool = False) -> Program:
    """A scan whose body `build(w, state, item, *outside)` writes: states (2, 3), items (2, 4)."""
    w = Writer()
    state, item = (
        w.builder.input(ValueType(F64, s), name=n)
        for n, s in zip(("state", "item"), ((ROWS, 3), (ROWS, 4)), strict=True)
    )
    inner = [w.builder.input(ValueType(F64, s)) for s in outside]
    body = w.builder.program([build(w, state, item, *inner)])
    b = Builder()
    given = [b.input(ValueType(F64, s)) for s in ((ROWS, 3), (COUNT, ROWS, 4), *outside)]
    params = {"body": body, "sequences": 1, "reverse": reverse}
    return b.program([b.add("scan", given, params)])


def compared(program: Program) -> Program:
    """The program after the pass, which computes the same."""
    hoisted = hoist(program)
    check(hoisted)
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=entry.variable.shape) for entry in program.inputs]
    for ours, theirs in zip(
        evaluate(hoisted, arguments), evaluate(program, arguments), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    return hoisted


def body_of(program: Program) -> Program:
    (scan,) = [e for e in program.equations if e.primitive == "scan"]
    body: Program = scan.params["body"]
    return body


def names(program: Program) -> list[str]:
    return [equation.primitive for equation in program.equations]


@pytest.mark.parametrize("reverse", [False, True])
def test_product_of_the_items_is_one_large_product_before_the_loop(reverse: bool) -> None:
    def build(w: Any, h: Any, x: Any, U: Any, W: Any) -> Any:
        return w.tanh(w.add(w.matmul(x, U), w.matmul(h, W)))

    hoisted = compared(loop(build, (4, 3), (3, 3), reverse=reverse))
    (product,) = [e for e in hoisted.equations if e.primitive == "matmul"]
    assert product.operands[0].shape == (COUNT * ROWS, 4)
    assert names(body_of(hoisted)) == ["matmul", "add", "tanh"]


def test_what_depends_on_neither_is_computed_once() -> None:
    def build(w: Any, h: Any, x: Any, W: Any) -> Any:
        return w.matmul(h, w.exp(W))

    hoisted = compared(loop(build, (3, 3)))
    assert names(hoisted) == ["exp", "scan"]
    assert names(body_of(hoisted)) == ["matmul"]


def test_views_stay_in_the_body() -> None:
    def build(w: Any, h: Any, x: Any, W: Any) -> Any:
        return w.matmul(h, w.transpose(W, axes=(1, 0)))

    program = optimize(loop(build, (3, 3)), TIDY)
    assert names(body_of(compared(program))) == ["transpose", "matmul"]


def test_what_would_be_large_for_all_items_stays_in_the_body() -> None:
    def build(w: Any, h: Any, x: Any, wide: Any) -> Any:
        large = w.exp(w.matmul(x, wide))
        return w.add(h, w.builder.add("sum", (large,), {"axis": (1,), "keepdims": True}))

    assert "exp" in names(body_of(compared(loop(build, (4, 1000)))))
    assert "exp" in names(compared(loop(build, (4, 10))))


def test_loop_in_which_nothing_depends_on_the_state_is_none() -> None:
    def build(w: Any, h: Any, x: Any, U: Any) -> Any:
        return w.exp(w.matmul(x, U))

    assert "scan" not in names(compared(loop(build, (4, 3))))


def test_items_that_are_not_needed_any_more_are_left_out() -> None:
    def build(w: Any, h: Any, x: Any, U: Any) -> Any:
        return w.add(h, w.matmul(x, U))

    (scan,) = [e for e in compared(loop(build, (4, 3))).equations if e.primitive == "scan"]
    assert len(scan.operands) == 2
    assert scan.operands[1].shape == (COUNT, ROWS, 3)


def test_numbers_go_through_the_loop_as_numbers() -> None:
    w = Writer()
    state, item = (w.builder.input(ValueType(F64, (), "scalar")) for _ in range(2))
    body = w.builder.program([w.add(state, w.exp(item))])
    b = Builder()
    first, items = b.input(ValueType(F64, (), "scalar")), b.input(ValueType(F64, (COUNT,)))
    params = {"body": body, "sequences": 1, "reverse": False}
    program = b.program([b.add("scan", (first, items), params)])
    hoisted = hoist(program)
    check(hoisted)
    assert names(body_of(hoisted)) == ["add"]
    given = [np.float64(0.5), np.arange(5.0)]
    assert np.array_equal(evaluate(hoisted, given)[0], evaluate(program, given)[0])


def test_loop_within_a_loop_is_looked_at_first() -> None:
    w = Writer()
    s, x, e = (w.builder.input(ValueType(F64, (3,))) for _ in range(3))
    inner = w.builder.program([w.add(w.multiply(s, e), w.exp(x))])
    outer = Writer()
    state, rows = (
        outer.builder.input(ValueType(F64, (3,))),
        outer.builder.input(ValueType(F64, (4, 3))),
    )
    states = outer.scan(state, rows, state, body=inner, sequences=1, reverse=False)
    body = outer.builder.program([outer.slice(states, index=(3, (0, 3, 1)))])
    b = Builder()
    first, items = b.input(ValueType(F64, (3,))), b.input(ValueType(F64, (COUNT, 4, 3)))
    params = {"body": body, "sequences": 1, "reverse": False}
    program = b.program([b.add("scan", (first, items), params)])
    hoisted = optimize(program, [hoist])
    check(hoisted)
    assert "exp" in names(hoisted)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=3), rng.normal(size=(COUNT, 4, 3))]
    np.testing.assert_allclose(evaluate(hoisted, given)[0], evaluate(program, given)[0])


def test_passes_improve_bodies_and_leave_them_without_constants() -> None:
    w = Writer()
    state, item = (w.builder.input(ValueType(F64, (3,))) for _ in range(2))
    inner = w.multiply(w.arange(3), 2.0)
    body = w.builder.program([w.add(w.multiply(state, 1.0), w.add(inner, item))])
    b = Builder()
    first, items = b.input(ValueType(F64, (3,))), b.input(ValueType(F64, (COUNT, 3)))
    params = {"body": body, "sequences": 1, "reverse": False}
    program = b.program([b.add("scan", (first, items), params)])
    better = optimize(program)
    check(better)
    assert names(body_of(better)) == ["add", "add"]
    assert len(better.constants) == 1
    given = [np.zeros(3), np.ones((COUNT, 3))]
    assert np.array_equal(evaluate(better, given)[0], evaluate(program, given)[0])
    for _, stage in stages(program):
        check(stage)
