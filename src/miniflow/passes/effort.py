"""What takes a few cycles in compiled code: less than to read it from memory, where it is kept."""

from __future__ import annotations

from typing import Final

from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation

MOST_READ: Final = 2  # arrays that are read to compute something anew, rather than read that
_FEW_CYCLES: Final = frozenset(
    (
        *("add", "subtract", "multiply", "maximum", "minimum", "negative", "absolute", "sign"),
        *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "where", "cast"),
        *("logical_and", "logical_or", "logical_not", "isnan", "isfinite", "full"),
    )
)


def is_short(equation: Equation) -> bool:
    """Whether an equation is one instruction for each of its numbers."""
    return equation.primitive in _FEW_CYCLES


def is_view(equation: Equation) -> bool:
    """Whether it computes nothing, but looks at something else."""
    return PRIMITIVES[equation.primitive].is_view
