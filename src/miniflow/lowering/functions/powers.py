"""x to the power of y: e^(y log x), with a logarithm of twice the precision.

For x = 2^n m, with m between sqrt(1/2) and sqrt(2), and s = (m - 1) / (m + 1),
log m = 2 s (1 + s²/3 + s⁴/5 + ...), the first of these as sums of two numbers.
"""

from __future__ import annotations

from math import inf, nan

from miniflow.lowering.functions.definition import as_f64, as_i64, f32, f64, function, i32, i64
from miniflow.lowering.functions.doubles import product_of
from miniflow.lowering.functions.exponentials import FORMATS, split, square_terms
from miniflow.lowering.nests import (
    Term,
    absolute,
    apply,
    call,
    constant,
    equal,
    fma,
    not_equal,
    where,
)

_LN2 = FORMATS["f64"].ln2
_THIRD = 1.0 / 3.0
_THIRD_LOW = 1.850371707708594e-17  # 1/3 - _THIRD


def _logarithm(x: Term) -> tuple[Term, Term]:
    """Log x of a positive, finite x, as the sum of two numbers."""
    n, f = split(x)
    below = 2.0 + f
    below_low = f - (below - 2.0)
    s = f / below
    product, error = product_of(s, below)
    s_low = (((f - product) - error) - s * below_low) / below
    z, z_low = product_of(s, s)
    z_low = z_low + 2.0 * s * s_low
    p = fma(z, 1.0 / 25.0, 1.0 / 23.0)
    for odd in range(21, 3, -2):
        p = fma(p, z, 1.0 / odd)
    u, u_low = product_of(z, constant(_THIRD, "f64"))
    more = u_low + (z * _THIRD_LOW + z_low * _THIRD) + z * z * p
    total = u + more
    u, u_low = total, more - (total - u)
    twice = 2.0 * s
    product, error = product_of(twice, u)
    error = error + twice * u_low + 2.0 * s_low * u
    high = twice + product
    low = (product - (high - twice)) + error + 2.0 * s_low
    whole = n * _LN2[0]
    total = whole + high
    total = where(equal(n, 0.0), high, total)
    rest = where(equal(n, 0.0), low, (high - (total - whole)) + low + n * _LN2[1])
    result = total + rest
    return result, rest - (result - total)


def _magnitude(x: Term, y: Term) -> Term:
    """The power of a positive, finite x."""
    high, low = _logarithm(x)
    is_huge = absolute(y) > 1e290  # then x is 1, or the power is far out of range
    exponent = where(is_huge, _huge(y), y)
    product, error = product_of(exponent, high)
    error = error + exponent * low
    power = product + error
    error = error - (power - product)
    a = where(power > 800.0, 800.0, power)
    a = where(a < -800.0, -800.0, a)
    error = where(equal(a, power), error, 0.0)
    shifted = a * 1.4426950408889634 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    near, less = a - n * _LN2[0], error - n * _LN2[1]
    r = near + less
    less = less - (r - near)
    k = i32(as_i64(shifted) - 0x4338000000000000)
    half = k >> 1
    value = 1.0 + r
    value = value + ((r - (value - 1.0)) + (less + square_terms(r) * (r * r)))
    return value * as_f64(i64(half + 1023) << 52) * as_f64(i64(k - half + 1023) << 52)


def _huge(y: Term) -> Term:
    """±1e290, with the sign of y."""
    return where(y < 0.0, constant(-1e290, "f64"), 1e290)


def _with_special_numbers(x: Term, y: Term, magnitude: Term) -> Term:
    """The power, given that of a positive x."""
    size, dtype = absolute(x), x.dtype
    grows = (y > 0.0) ^ (size < 1.0)  # with a larger y, away from 1
    of_limit = where(grows, constant(inf, dtype), 0.0)
    is_limit = equal(size, 0.0) | equal(size, inf) | equal(absolute(y), inf)
    value = where(is_limit, of_limit, magnitude)
    is_whole = equal(apply("floor", y), y)
    is_odd = is_whole & not_equal(apply("floor", y * 0.5), y * 0.5)
    is_negative = apply("copysign", constant(1.0, dtype), x) < 0.0
    value = where(is_negative & is_odd, -value, value)
    is_complex = (x < 0.0) & (size < inf) & ~is_whole
    value = where(is_complex, constant(nan, dtype), value)
    value = where(equal(size, 1.0) & equal(absolute(y), inf), 1.0, value)
    value = where(not_equal(x, x) | not_equal(y, y), x + y, value)
    return where(equal(x, 1.0) | equal(y, 0.0), 1.0, value)


@function
def power_f64(x: Term, y: Term) -> Term:
    """x^y."""
    size = absolute(x)
    usable = where((size > 0.0) & (size < inf), size, 2.0)
    return _with_special_numbers(x, y, _magnitude(usable, where(absolute(y) < inf, y, 2.0)))


@function
def power_f32(x: Term, y: Term) -> Term:
    """x^y; the logarithm of a f64 is precise enough."""
    size = f64(absolute(x))
    usable = where((size > 0.0) & (size < inf), size, 2.0)
    exponent = where(absolute(y) < inf, f64(y), 2.0)
    return _with_special_numbers(x, y, f32(call("exp", exponent * call("log", usable))))
