"""Which equations on arrays are nests, of every primitive and dtype, and which NumPy computes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from miniflow.ir import DTYPES, PRIMITIVES, Builder, Program, ProgramError, Variable, type_of

from ..agreement import assert_agrees

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

DISTINCT = np.array([[3, 1, 0, 2], [0, 2, 1, 1], [1, 1, 3, 0]])
PARAMS: dict[str, dict[str, Any]] = {
    **{name: {"axis": (1,), "keepdims": False} for name in ("sum", "prod", "max", "min", "any")},
    "all": {"axis": (0,), "keepdims": True},
    **{name: {"axis": 0, "keepdims": False} for name in ("argmax", "argmin")},
    **{name: {"axis": 1} for name in ("cumsum", "concatenate")},
    "reshape": {"shape": (2, 6)},
    "transpose": {"axes": (1, 0)},
    "broadcast_to": {"shape": (2, 3, 4)},
    "windows": {"axes": (1,), "window": (2,)},
    **{n: {"index": ((0, 2, 1), (3, 2, -2))} for n in ("slice", "slice_update", "slice_add")},
    **{name: {"axes": (1,)} for name in ("gather", "gather_update", "scatter_add")},
}
COUNTS = {"concatenate": 2, "where": 3}
NO_DTYPE = ("arange", "gemm", "scan")  # gemm is a product of floats, the others are no equations

# What is left to NumPy: integers to a power that may be negative, which raises; products of floats
# in stacks, and what is no array.
LEFT = {
    *(("power", dtype) for dtype in ("i8", "i16", "i32", "i64")),
}


def operands(name: str, dtype: str) -> list[np.ndarray]:
    """Arrays for an equation."""
    x = DISTINCT.astype(DTYPES[dtype])
    if name == "full":
        return [x[0, 0]]
    if name == "matmul":
        return [x, x.T.copy()]
    if name == "gather":
        return [x, np.array([2, -1, 0])]
    if name in ("gather_update", "scatter_add"):
        return [x, x[:, :3].copy(), np.array([2, -1, 0])]
    if name in ("slice_update", "slice_add"):
        return [x, x[:2, :1].copy()]
    if name == "where":
        return [x > 1, x, x[:1].copy()]
    return [x] * (COUNTS.get(name) or PRIMITIVES[name].arity or 1)


def built(name: str, dtype: str) -> tuple[Program, list[np.ndarray]] | None:
    """A program of one equation, and its arguments; None where NumPy has no such thing."""
    b, given = Builder(), operands(name, dtype)
    params = dict(PARAMS.get(name, {}))
    if name == "cast":
        params = {"dtype": dtype}
    if name == "full":
        params = {"shape": (3, 4), "dtype": dtype}
    try:
        result = b.add(name, [b.input(type_of(x)) for x in given], params)
    except ProgramError:
        return None
    return b.program([result]), given


def calls_of_numpy(program: Program) -> list[str]:
    """What the source of a program computes with NumPy."""
    return re.findall(r"\bnumpy\.\w+", lower(program).source)


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("name", sorted(PRIMITIVES.keys() - set(NO_DTYPE)))
def test_an_equation_is_a_nest_or_one_of_the_exceptions(name: str, dtype: str) -> None:
    made = built(name, dtype)
    if made is None:
        return
    program, given = made
    assert bool(calls_of_numpy(program)) == ((name, dtype) in LEFT)
    assert_agrees(lower, program, given)


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("of", sorted(DTYPES))
def test_every_conversion_is_a_nest(of: str, dtype: str) -> None:
    b, x = Builder(), np.array([0, 1, 2, 100, 3]).astype(DTYPES[of])
    program = b.program([b.add("cast", (b.input(type_of(x)),), {"dtype": dtype})])
    assert isinstance(program.equations[0].operands[0], Variable)
    assert not calls_of_numpy(program)
    assert_agrees(lower, program, [x])
