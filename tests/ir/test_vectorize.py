"""A program for a stack of arguments computes what the program computes for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from backends import cases

from miniflow.ir import (
    PRIMITIVES,
    Builder,
    Literal,
    Operand,
    Program,
    ProgramError,
    ValueType,
    check,
    evaluate,
    infer,
    type_of,
)
from miniflow.ir.stacks import STACKED, TOTALS
from miniflow.ir.vectorize import Vectorizer

COUNT = 3
FAMILIES: dict[str, Callable[[], list[cases.Case]]] = {
    "where": lambda: cases.where(7),
    "cast": lambda: cases.cast("f32")[::3],
    "sum": lambda: cases.reductions("sum"),
    "max": lambda: cases.reductions("max"),
    "argmax": lambda: cases.arg_reductions("argmax"),
    "cumsum": cases.cumsum,
    "matmul": lambda: [*cases.matmul_in_every_rank(), *cases.matmul_in_every_dtype()[::4]],
    "gemm": lambda: cases.gemm(np.float64),
    "movements": cases.movements,
    "slices": cases.slices,
    "gather": lambda: cases.gathers_and_scatters("f64"),
    "full": lambda: [("full", (np.float64(2.5),), {"shape": (2, 3), "dtype": "f32"})],
}


def vectorized(program: Program, are_stacked: Sequence[bool], total: bool) -> Program:
    """The program for stacks of some of its inputs; a stack of results, or their sum."""
    b = Builder()
    stacked: dict[Operand, Operand] = {}
    single: dict[Operand, Operand] = {}
    for entry, is_stacked in zip(program.inputs, are_stacked, strict=True):
        variable = entry.variable
        if is_stacked:
            stacked[variable] = b.input(ValueType(variable.dtype, (COUNT, *variable.shape)))
        else:
            single[variable] = b.input(variable.type)
    written = Vectorizer(b.add, COUNT, stacked, single)
    written.learn(program.equations)
    results = [output.operand for output in program.outputs]
    return b.program([written.total(r) if total else written.stack(r) for r in results])


def others(value: Any) -> list[Any]:
    """The value and two like it."""
    if isinstance(value, np.ndarray):
        return [np.roll(value.reshape(-1), t).reshape(value.shape) for t in range(COUNT)]
    return [value] * COUNT


def subsets(operands: Sequence[Any]) -> list[list[bool]]:
    can = [isinstance(x, (np.ndarray, np.generic)) for x in operands]
    chosen = [can, *([i == j and can[j] for j in range(len(can))] for i in range(len(can)))]
    return [c for n, c in enumerate(chosen) if any(c) and c not in chosen[:n]]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_stack_of_results_is_what_each_argument_gives(family: str) -> None:
    tried = 0
    for name, operands, params in FAMILIES[family]():
        b = Builder()
        read = [
            b.input(type_of(x)) if isinstance(x, (np.ndarray, np.generic)) else Literal(x)
            for x in operands
        ]
        try:
            infer(name, read, params)
        except ProgramError:
            continue
        program = b.program([b.add(name, read, params)])
        given = [x for x in operands if isinstance(x, (np.ndarray, np.generic))]
        for are_stacked in subsets(given):
            turns = [
                others(x) if s else [x] * COUNT for x, s in zip(given, are_stacked, strict=True)
            ]
            try:
                wanted = [evaluate(program, list(turn))[0] for turn in zip(*turns, strict=True)]
            except ProgramError:  # NumPy refuses the numbers
                continue
            whole = vectorized(program, are_stacked, total=False)
            check(whole)
            arguments = [
                np.stack(turn) if s else turn[0] for turn, s in zip(turns, are_stacked, strict=True)
            ]
            (found,) = evaluate(whole, arguments)
            tried += 1
            told = f"{name} {[np.shape(x) for x in operands]} {params} {are_stacked}"
            assert found.dtype == np.asarray(wanted[0]).dtype, told
            np.testing.assert_allclose(found, np.stack(wanted), rtol=1e-5, err_msg=told)
    assert tried > 0


def test_there_is_a_rule_for_every_primitive_with_operands() -> None:
    assert STACKED.keys() | {"arange"} == PRIMITIVES.keys()
    assert TOTALS.keys() <= STACKED.keys()


F64 = "f64"


def product(b: Builder, x: Any, g: Any) -> Any:
    return b.add("matmul", (b.add("transpose", (x,), {"axes": (1, 0)}), g))


def test_sum_of_products_is_one_large_product() -> None:
    b = Builder()
    x, g = b.input(ValueType(F64, (4, 2))), b.input(ValueType(F64, (4, 5)))
    zero = b.add("full", (0.0,), {"shape": (2, 5), "dtype": F64})
    whole = vectorized(b.program([b.add("add", (zero, product(b, x, g)))]), [True, True], True)
    (equation,) = [e for e in whole.equations if e.primitive == "matmul"]
    assert [o.shape for o in equation.operands] == [(2, 12), (12, 5)]
    assert not [e for e in whole.equations if e.primitive == "sum"]


def totals() -> dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], list[bool]]]:
    return {
        "product": (product, ((4, 2), (4, 5)), [True, True]),
        "plain product": (lambda b, x, y: b.add("matmul", (x, y)), ((2, 4), (4, 3)), [True, True]),
        "right fixed": (lambda b, x, y: b.add("matmul", (x, y)), ((2, 4), (4, 3)), [True, False]),
        "left fixed": (lambda b, x, y: b.add("matmul", (x, y)), ((2, 4), (4, 3)), [False, True]),
        "vectors": (lambda b, x, y: b.add("matmul", (x, y)), ((4,), (4,)), [True, True]),
        "column times row": (
            lambda b, x, y: b.add("multiply", (x, y)),
            ((4, 1), (1, 3)),
            [True, True],
        ),
        "row times column": (
            lambda b, x, y: b.add("multiply", (x, y)),
            ((1, 3), (4, 1)),
            [True, True],
        ),
        "multiple": (lambda b, x, y: b.add("multiply", (x, y)), ((4, 3), (3,)), [True, False]),
        "factor": (lambda b, x, y: b.add("multiply", (x, y)), ((3,), (4, 3)), [True, False]),
        "difference": (lambda b, x, y: b.add("subtract", (x, y)), ((3,), (3,)), [True, False]),
        "broadcast": (lambda b, x, y: b.add("subtract", (x, y)), ((3,), (2, 3)), [True, True]),
        "sum of rows": (
            lambda b, x: b.add("sum", (x,), {"axis": (0,), "keepdims": True}),
            ((4, 3),),
            [True],
        ),
        "number": (
            lambda b, x: b.add("sum", (x,), {"axis": (0,), "keepdims": False}),
            ((4,),),
            [True],
        ),
        "reshaped": (
            lambda b, x: b.add("reshape", (b.add("negative", (x,)),), {"shape": (6,)}),
            ((2, 3),),
            [True],
        ),
        "fixed": (
            lambda b, x, y: b.add("add", (x, b.add("exp", (y,)))),
            ((3,), (3,)),
            [True, False],
        ),
    }


@pytest.mark.parametrize("name", sorted(totals()))
def test_total_is_the_sum_over_the_stack(name: str) -> None:
    build, shapes, are_stacked = totals()[name]
    b = Builder()
    variables = [b.input(ValueType(F64, shape)) for shape in shapes]
    program = b.program([build(b, *variables)])
    rng = np.random.default_rng(0)
    turns = [
        [rng.normal(size=shape) for _ in range(COUNT)] if s else [rng.normal(size=shape)] * COUNT
        for shape, s in zip(shapes, are_stacked, strict=True)
    ]
    wanted = sum(evaluate(program, list(turn))[0] for turn in zip(*turns, strict=True))
    whole = vectorized(program, are_stacked, total=True)
    check(whole)
    given = [np.stack(t) if s else t[0] for t, s in zip(turns, are_stacked, strict=True)]
    (found,) = evaluate(whole, given)
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 2)])
def test_total_of_what_is_scattered_is_scattered_once(axes: tuple[int, ...]) -> None:
    b = Builder()
    zeros = b.add("full", (0.0,), {"shape": (4, 5, 6), "dtype": F64})
    indices = [b.input(ValueType("i64", (2,))) for _ in axes]
    shape = infer("gather", (zeros, *indices), {"axes": axes}).shape
    value = b.input(ValueType(F64, shape))
    program = b.program([b.add("scatter_add", (zeros, value, *indices), {"axes": axes})])
    rng = np.random.default_rng(0)
    stacks = [rng.integers(0, 4, (COUNT, 2)) for _ in axes] + [rng.normal(size=(COUNT, *shape))]
    wanted = sum(evaluate(program, [x[t] for x in stacks])[0] for t in range(COUNT))
    whole = vectorized(program, [True] * len(stacks), total=True)
    assert [e.primitive for e in whole.equations].count("scatter_add") == 1
    assert not [e for e in whole.equations if e.primitive == "sum"]
    np.testing.assert_allclose(evaluate(whole, stacks)[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("are_stacked", subsets([np.zeros(1)] * 3))
def test_scan_of_stacks_is_a_stack_of_scans(reverse: bool, are_stacked: list[bool]) -> None:
    inner = Builder()
    state, item, factor = (inner.input(ValueType(F64, (2,))) for _ in range(3))
    scaled = inner.add("multiply", (state, factor))
    body = inner.program([inner.add("add", (scaled, item))])
    b = Builder()
    first, items, factor = (b.input(ValueType(F64, s)) for s in ((2,), (4, 2), (2,)))
    params = {"body": body, "sequences": 1, "reverse": reverse}
    program = b.program([b.add("scan", (first, items, factor), params)])
    rng = np.random.default_rng(0)
    turns = [
        [rng.normal(size=e.variable.shape) for _ in range(COUNT)]
        if s
        else [rng.normal(size=e.variable.shape)] * COUNT
        for e, s in zip(program.inputs, are_stacked, strict=True)
    ]
    wanted = np.stack([evaluate(program, list(turn))[0] for turn in zip(*turns, strict=True)])
    whole = vectorized(program, are_stacked, total=False)
    check(whole)
    given = [np.stack(t) if s else t[0] for t, s in zip(turns, are_stacked, strict=True)]
    np.testing.assert_allclose(evaluate(whole, given)[0], wanted, rtol=1e-12)
