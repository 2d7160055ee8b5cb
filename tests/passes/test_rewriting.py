"""Rules are kept in check by the rewriter: by types, and by a limit to the steps."""

from __future__ import annotations

import pytest

from miniflow.ir import Literal, ValueType, check
from miniflow.passes import prune
from miniflow.passes.patterns import algebra
from miniflow.passes.rewriting import MAX_STEPS, Call, Rewriter

from .writing import F32, shown, write

ROW = ValueType("f32", (3,))


def rewritten(program, **rules):
    """Return the program that rules by primitive make of a program."""
    result = Rewriter(program, {name: [rule] for name, rule in rules.items()}).rewrite()
    check(result)
    return shown(prune(result))


def test_answer_of_another_type_is_refused():
    program = write(lambda w, x, y: w.concatenate(x, y, axis=0), ROW, ROW)
    assert rewritten(program, concatenate=lambda e, look: e.operands[0]) == shown(program)


def test_smaller_answer_is_broadcast_for_an_elementwise_equation_only():
    def first(equation, look):
        return equation.operands[0]

    program = write(lambda w, x, y: w.multiply(x, y), ROW, F32)
    assert rewritten(program, multiply=first) == "broadcast_to(x, shape=(2, 3))"
    program = write(lambda w, x, y: w.scatter_add(w.exp(y), x, 0, axes=(0,)), ROW, F32)
    assert rewritten(program, scatter_add=lambda e, look: e.operands[1]) == shown(program)


def test_answer_that_numpy_would_refuse_is_refused():
    program = write(lambda w, x: w.logical_not(x), ValueType("bool", (3,)))
    assert rewritten(program, logical_not=lambda e, look: Call("negative", e.operands)) == (
        "logical_not(x)"
    )


def test_parts_of_an_answer_are_rewritten_too():
    program = write(lambda w, x: w.exp(x), ROW)
    answer = rewritten(
        program,
        exp=lambda e, look: Call("tanh", (Call("log", e.operands),)),
        log=lambda e, look: Call("sqrt", e.operands),
    )
    assert answer == "tanh(sqrt(x))"


def test_rules_that_chase_each_other_come_to_an_end():
    steps = []

    def turn(equation, look):
        steps.append(equation)
        return Call("multiply", equation.operands[::-1])

    program = write(lambda w, x, y: w.multiply(x, y), ROW, ROW)
    assert rewritten(program, multiply=turn) == "multiply(x, y)"
    assert len(steps) == MAX_STEPS


def test_names_in_a_pattern_stand_for_the_same_operand_wherever_they_occur():
    name, rule = algebra("subtract(x, x)", "absolute(x)")
    types = ROW, ROW
    assert (
        rewritten(write(lambda w, x, y: w.subtract(x, x), *types), **{name: rule}) == "absolute(x)"
    )
    different = write(lambda w, x, y: w.subtract(x, y), *types)
    assert rewritten(different, **{name: rule}) == "subtract(x, y)"


def test_numbers_in_a_pattern_match_literals_of_any_type_but_not_variables():
    name, rule = algebra("add(x, 2)", "exp(x)")
    for number in (2, 2.0):
        program = write(lambda w, x, n=number: w.add(n, x), ROW)
        assert rewritten(program, **{name: rule}) == "exp(x)"
    assert "add" in rewritten(write(lambda w, x: w.add(x, 3), ROW), **{name: rule})
    assert "add" in rewritten(write(lambda w, x, y: w.add(x, y), ROW, ROW), **{name: rule})


def test_condition_decides_for_each_order_of_the_operands():
    def only_y(equation, bound):
        return equation.operands[1] == bound["x"]

    name, rule = algebra("add(x, y)", "exp(x)", only_y)
    assert rewritten(write(lambda w, x, y: w.add(x, y), ROW, ROW), **{name: rule}) == "exp(y)"


def test_pattern_is_a_primitive_with_operands():
    with pytest.raises(ValueError, match="not a primitive"):
        algebra("x", "x")


def test_literal_of_an_answer_is_what_the_text_says():
    name, rule = algebra("sqrt(x)", "divide(1.0, x)")
    program = write(lambda w, x: w.sqrt(x), ROW)
    result = Rewriter(program, {name: [rule]}).rewrite()
    assert result.equations[0].operands[0] == Literal(1.0)
