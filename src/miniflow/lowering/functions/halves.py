"""Half-precision floats, which most processors can only convert.

In loops, one is a f32 whose number a half can be, and in memory its 16 bits.
"""

from __future__ import annotations

from math import inf

from miniflow.lowering.functions.definition import as_f32, as_f64, as_i64, as_u32, function
from miniflow.lowering.nests import Term, absolute, copysign, where


@function
def half_f64(x: Term) -> Term:
    """The half that is nearest to x; of two, the even one.

    Adding a number so large that its last bit is the half's last one rounds; halves below 2^-14
    are as far apart as those above.
    """
    size = absolute(x)
    exponent = as_i64(size) >> 52
    exponent = where(exponent < 1023 - 14, 1023 - 14, exponent)
    large = as_f64((exponent + (52 - 10)) << 52)
    rounded = where(size < 65520.0, (size + large) - large, where(size < inf, inf, size))
    return copysign(rounded, x)


@function
def from_half_u32(half: Term) -> Term:
    """The bits of a f32, of those of a half."""
    low = (half & 0x7FFF) << 13
    scaled = as_u32(as_f32(low) * 5.192296858534828e33)  # 2^112; smaller halves become ordinary
    special = low | 0x7F800000
    return where(low < 0x0F800000, scaled, special) | ((half & 0x8000) << 16)


@function
def to_half_u32(number: Term) -> Term:
    """The bits of a half, of those of a f32 that has the same number."""
    size = number & 0x7FFFFFFF
    scaled = as_u32(as_f32(size) * 1.925929944387236e-34) >> 13  # 2^-112
    special = ((size >> 13) & 0x3FF) | 0x7C00
    return where(size < 0x7F800000, scaled, special) | ((number >> 16) & 0x8000)
