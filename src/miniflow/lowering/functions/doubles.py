"""Products whose rounding error is known, of which numbers of twice the precision are made.

They need no fused multiply-add: a factor is split into two of half as many bits, whose products are
exact (Dekker, "A floating-point technique for extending the available precision", 1971).
"""

from __future__ import annotations

from miniflow.lowering.functions.definition import as_f64, as_i64
from miniflow.lowering.nests import Term


def product_of(x: Term, y: Term) -> tuple[Term, Term]:
    """The product rounded, and what rounding took away."""
    product = x * y
    x_high, y_high = _upper_half(x), _upper_half(y)
    x_low, y_low = x - x_high, y - y_high
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


def _upper_half(x: Term) -> Term:
    """The upper 26 bits of a number."""
    return as_f64(as_i64(x) & -(2**27))
