"""Primitives compute what the reference evaluator does; run by `kit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.backends import find
from miniflow.ir import evaluate, type_of

from ..agreement import Case, assert_close, copies, program_of_many
from ..cases import KINDS

MANY = 40  # cases in a program


def some_primitives() -> None:
    """Some cases of each kind, all of them in a few programs."""
    chosen = [case for name in sorted(KINDS) for case in of_kind(name, 3)]
    assert_cases_agree(chosen, 90)


def many_primitives() -> None:
    for name in sorted(KINDS):
        assert_cases_agree(of_kind(name, 150), MANY)


def of_kind(name: str, count: int) -> list[Case]:
    """So many cases that JAX computes, spread over all of the kind."""
    kept = [case for case in KINDS[name]() if not is_refused(case)]
    return kept[:: max(1, len(kept) // count)]


def is_refused(case: Case) -> bool:
    """Whether it makes integers of fractions that do not fit, which are no integers in C."""
    name, operands, params = case
    if name == "cast" and params["dtype"][0] in "iu":
        return not fits(operands[0], params["dtype"])
    if name == "scan":  # fractions, of u64 and i64, become integers
        return type_of(operands[0]).dtype == "u64"
    if name in ("scatter_add", "gather_update", "slice_update"):
        target = type_of(operands[0]).dtype
        if name == "scatter_add" and target == "u64":  # which NumPy adds as float64
            return True
        return target[0] != "f" and type_of(operands[1]).dtype[0] == "f"
    return False


def fits(x: Any, dtype: str) -> bool:
    whole = np.asarray(x)
    if whole.dtype.kind != "f":
        return True
    info = np.iinfo(f"{dtype[0]}{int(dtype[1:]) // 8}")
    wide = whole.astype(np.float64)
    return bool(((wide > info.min - 1.0) & (wide < info.max + 1.0)).all())


def assert_cases_agree(cases: Sequence[Case], at_once: int) -> None:
    for start in range(0, len(cases), at_once):
        try:
            program, arguments = program_of_many(cases[start : start + at_once])
        except AssertionError:  # none of them is anything that NumPy computes
            continue
        wanted = evaluate(program, copies(arguments))
        found = find("jax").lower(program).run(copies(arguments))
        made = {e.result: e for e in program.equations}
        for output, ours, theirs in zip(program.outputs, found, wanted, strict=True):
            equation = made[output.operand]  # type: ignore[index]
            try:
                assert_result_is_close(equation.primitive, ours, theirs)
            except AssertionError as error:
                raise AssertionError(f"{equation}: {error}") from error


def assert_result_is_close(primitive: str, ours: Any, theirs: Any) -> None:
    if primitive == "cumsum" and np.asarray(theirs).dtype.kind == "f":  # in another order
        eps = np.finfo(theirs.dtype).eps
        np.testing.assert_allclose(ours, theirs, rtol=512 * eps, atol=512 * eps, strict=True)
    else:
        # XLA's sums begin with 0.0, and which zero is the largest is anybody's guess.
        signed_zeros = primitive not in ("maximum", "minimum", "max", "min", "sum")
        assert_close(ours, theirs, signed_zeros)
