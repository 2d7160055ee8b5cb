"""exp, sin, power and their kin, as terms.

A loop that calls the C library's `expf` calls it once for each element. These functions are made of
additions, multiplications and choices alone, so that a compiler computes eight f32 or four f64 at a
time, and they give the same bits wherever they are printed, but for `fma`, which not every machine
rounds once. They give what NumPy gives for NaN, infinities, zeros, subnormal numbers, and where
they overflow or underflow.

`definition` says how one is defined; each other module has a family of them.
"""

from miniflow.lowering.functions import (  # noqa: F401  (they define what is in `FUNCTIONS`)
    divisions,
    exponentials,
    halves,
    powers,
    trigonometry,
)
from miniflow.lowering.functions.definition import FUNCTIONS, LoopFunction, called_by

__all__ = ["FUNCTIONS", "LoopFunction", "called_by"]
