"""Every primitive, written as ONNX, agrees with the reference evaluator: over dtypes, kinds, ranks
and edge values (`cases`).

A quick run takes a few cases of each kind, the slow one all of them. What onnxruntime is known to
compute otherwise is listed here, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from miniflow.errors import CompileError
from miniflow.ir import PRIMITIVES, Builder, ValueType, type_of

from ..agreement import Case, program_of_many
from ..cases import KINDS
from .judge import assert_agrees

FEW, MANY = 24, 40


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def is_known_to_differ(case: Case) -> bool:
    """What is left out, and why."""
    name, operands, _ = case
    dtypes = [type_of(x).dtype for x in operands]
    with_nan = any(np.isnan(np.asarray(x, float)).any() for x in operands if name in NAN_IS_LOST)
    if name == "power":  # -inf to a half; whole numbers to the power of more than 2**63
        return type_of(operands[1]).kind == "python" or "u64" in dtypes
    if name == "prod":  # onnxruntime's products of 64-bit integers do not wrap round
        return "u16" in dtypes
    if name == "scatter_add":  # fractions added to whole numbers are refused: see below
        return dtypes[0][0] != "f" and (dtypes[1][0] == "f" or dtypes[0] == "u64")
    if name in COMPARED:  # a negative number of Python's beside the largest dtype
        return "u64" in dtypes and any(type(x) is int for x in operands)
    return with_nan


NAN_IS_LOST = ("max", "min", "argmax", "argmin")  # by onnxruntime, among other numbers
COMPARED = ("greater", "greater_equal", "less", "less_equal")


def test_every_primitive_is_among_the_kinds() -> None:
    assert {case[0] for kind in KINDS.values() for case in kind()} == set(PRIMITIVES)


def some_of(name: str, count: int) -> list[Case]:
    """So many cases that can be computed, spread over all of the kind."""
    kept = [case for case in KINDS[name]() if not is_known_to_differ(case)]
    return kept[:: max(1, len(kept) // count)]


def assert_all_agree(given: list[Case], at_once: int = MANY) -> None:
    for start in range(0, len(given), at_once):
        try:
            program, arguments = program_of_many(given[start : start + at_once])
        except AssertionError:  # none of them is anything that NumPy computes
            continue
        assert_agrees(program, arguments)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_some_cases_agree(name: str) -> None:
    assert_all_agree(some_of(name, FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KINDS))
def test_all_cases_agree(name: str) -> None:
    assert_all_agree(some_of(name, 10**9))


@pytest.mark.parametrize("dtype", ["bool", "i8", "i64"])
def test_fractions_that_are_added_to_whole_numbers_are_refused(dtype: str) -> None:
    b = Builder()
    x, v = b.input(ValueType(dtype, (3,)), name="x"), b.input(ValueType("f32", (2,)), name="v")
    at = b.constant(np.array([0, 2]))
    program = b.program([b.add("scatter_add", (x, v, at), {"axes": (0,)})])
    with pytest.raises(CompileError, match="cannot be written as ONNX: it adds"):
        assert_agrees(program, [])


def test_a_sum_in_places_is_a_product_and_no_scatter() -> None:
    b = Builder()
    x = b.input(ValueType("f32", (5, 2)), name="x")
    v, at = b.input(ValueType("f32", (4, 2)), name="v"), b.input(ValueType("i64", (4,)), name="at")
    program = b.program([b.add("scatter_add", (x, v, at), {"axes": (0,)})])
    arguments: list[Any] = [
        np.ones((5, 2), "f4"), np.arange(8, dtype="f4").reshape(4, 2), np.array([1, -1, 1, 0])
    ]  # fmt: skip
    data = assert_agrees(program, arguments)
    assert b"Gemm" in data
    assert b"Scatter" not in data
