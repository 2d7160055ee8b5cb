"""exp, log, tanh and hypot.

They are correct to 1 or 2 units in the last place over the whole range.

The method is the usual one (Muller et al., "Handbook of Floating-Point Arithmetic", 2nd ed., 2018,
chapter 10). The argument is reduced by a multiple of ln 2, which is subtracted in two parts, the
first of them so short that its product is exact. What is left, between -ln(2)/2 and ln(2)/2, goes
into a polynomial, fitted for the smallest largest error. The multiple goes into the exponent.
"""

from __future__ import annotations

from math import inf, nan

from miniflow.lowering.functions.definition import (
    as_f32,
    as_f64,
    as_i32,
    as_i64,
    f32,
    f64,
    function,
    i32,
    i64,
)
from miniflow.lowering.nests import (
    Term,
    absolute,
    copysign,
    equal,
    fma,
    sqrt,
    where,
)

# Reduced exponentials: e^r - 1 for small r, without its leading cancellation.


@function
def series_f32(r: Term) -> Term:
    """e^r - 1 for |r| <= ln(2)/2."""
    p = fma(r, 0.001381453789370373, 0.008368745320047465)
    p = fma(p, r, 0.04166839083131586)
    p = fma(p, r, 0.16666520396770756)
    p = fma(p, r, 0.4999999343189114)
    return fma(p, r * r, r)


def square_terms_f64(r: Term) -> Term:
    """(e^r - 1 - r) / r² for |r| <= ln(2)/2."""
    p = fma(r, 2.4897049345788443e-08, 2.762895765866188e-07)
    p = fma(p, r, 2.7557920611691985e-06)
    p = fma(p, r, 2.4801496903942796e-05)
    p = fma(p, r, 0.0001984126912286449)
    p = fma(p, r, 0.001388888893982869)
    p = fma(p, r, 0.008333333333675157)
    p = fma(p, r, 0.04166666666654443)
    p = fma(p, r, 0.1666666666666613)
    return fma(p, r, 0.5000000000000009)


@function
def series_f64(r: Term) -> Term:
    """e^r - 1 for |r| <= ln(2)/2."""
    return fma(square_terms_f64(r), r * r, r)


# e^x = 2^n e^r. Adding 1.5 * 2^23 (or 2^52) rounds to a whole number n, and leaves it in the last
# bits. 2^n is multiplied in as two factors, for it may be larger or smaller than one can hold.
# Comparisons are such that NaN passes through.


@function
def exp_f32(x: Term) -> Term:
    """e^x."""
    a = where(x > 89.0, 89.0, x)
    a = where(a < -104.0, -104.0, a)
    shifted = fma(a, 1.4426950408889634, 12582912.0)
    n = shifted - 12582912.0
    r = fma(n, -0.693359375, a)
    r = fma(n, 2.12194440054690583e-4, r)
    k = as_i32(shifted) - 0x4B400000
    half = k >> 1
    y = series_f32(r) + 1.0
    return y * as_f32((half + 127) << 23) * as_f32((k - half + 127) << 23)


@function
def exp_f64(x: Term) -> Term:
    """e^x."""
    a = where(x > 710.0, 710.0, x)
    a = where(a < -746.0, -746.0, a)
    shifted = fma(a, 1.4426950408889634, 6755399441055744.0)
    n = shifted - 6755399441055744.0
    r = fma(n, -0.693147180369123816490, a)
    r = fma(n, -1.90821492927058770002e-10, r)
    k = i32(as_i64(shifted) - 0x4338000000000000)
    half = k >> 1
    y = series_f64(r) + 1.0
    return y * as_f64(i64(half + 1023) << 52) * as_f64(i64(k - half + 1023) << 52)


# e^x - 1 = 2^n (e^r - 1) + (2^n - 1), all of it halved and doubled again, so that 2^n never
# overflows where the result does not.


@function
def expm1_f32(x: Term) -> Term:
    """e^x - 1."""
    a = where(x > 89.0, 89.0, x)
    a = where(a < -20.0, -20.0, a)
    shifted = fma(a, 1.4426950408889634, 12582912.0)
    n = shifted - 12582912.0
    r = fma(n, -0.693359375, a)
    r = fma(n, 2.12194440054690583e-4, r)
    power = as_f32((as_i32(shifted) - 0x4B400000 + 126) << 23)
    y = 2.0 * fma(power, series_f32(r), power - 0.5)
    return where(equal(x, 0.0), x, y)


@function
def expm1_f64(x: Term) -> Term:
    """e^x - 1."""
    a = where(x > 710.0, 710.0, x)
    a = where(a < -40.0, -40.0, a)
    shifted = fma(a, 1.4426950408889634, 6755399441055744.0)
    n = shifted - 6755399441055744.0
    r = fma(n, -0.693147180369123816490, a)
    r = fma(n, -1.90821492927058770002e-10, r)
    power = as_f64((as_i64(shifted) - 0x4338000000000000 + 1022) << 52)
    y = 2.0 * fma(power, series_f64(r), power - 0.5)
    return where(equal(x, 0.0), x, y)


# tanh x = t / (t + 2) with t = e^2x - 1, for x >= 0. Beyond the largest argument it is 1.


@function
def tanh_f32(x: Term) -> Term:
    """The hyperbolic tangent."""
    a = absolute(x)
    t = expm1_f32(2.0 * where(a > 10.0, 10.0, a))
    return copysign(t / (t + 2.0), x)


@function
def tanh_f64(x: Term) -> Term:
    """The hyperbolic tangent."""
    a = absolute(x)
    t = expm1_f64(2.0 * where(a > 20.0, 20.0, a))
    return copysign(t / (t + 2.0), x)


# √(x² + y²), of numbers that a power of two has brought to where squares neither overflow nor
# underflow; most need none.


@function
def hypot_f32(x: Term, y: Term) -> Term:
    """The length of (x, y)."""
    a = absolute(x)
    b = absolute(y)
    largest = where(a > b, a, b)
    is_large = largest > 9.223372036854776e18
    is_small = largest < 8.881784197001252e-16
    scale = where(is_large, 8.470329472543003e-22, where(is_small, 1.2676506002282294e30, f32(1.0)))
    back = where(is_large, 1.1805916207174113e21, where(is_small, 7.888609052210118e-31, f32(1.0)))
    a = a * scale
    b = b * scale
    r = sqrt(fma(a, a, b * b)) * back
    return where(equal(absolute(x), inf), inf, where(equal(absolute(y), inf), inf, r))


@function
def hypot_f64(x: Term, y: Term) -> Term:
    """The length of (x, y)."""
    a = absolute(x)
    b = absolute(y)
    largest = where(a > b, a, b)
    is_large = largest > 3.273390607896142e150
    is_small = largest < 3.8725919148493183e-121
    scale = where(
        is_large, 2.409919865102884e-181, where(is_small, 4.149515568880993e180, f64(1.0))
    )
    back = where(is_large, 4.149515568880993e180, where(is_small, 2.409919865102884e-181, f64(1.0)))
    a = a * scale
    b = b * scale
    r = sqrt(fma(a, a, b * b)) * back
    return where(equal(absolute(x), inf), inf, where(equal(absolute(y), inf), inf, r))


# x = 2^k m with m between sqrt(1/2) and sqrt(2); with f = m - 1 and s = f / (2 + f),
# log m = f - f^2/2 + s (f^2/2 + R(s^2)): the series of the inverse hyperbolic tangent.


@function
def logarithm_f32(x: Term) -> Term:
    """Log x for a positive, finite x."""
    is_small = x < 1.1754943508222875e-38
    bits = as_i32(where(is_small, x * 8388608.0, x)) - 0x3F3504F3
    n = f32(bits >> 23) - where(is_small, f32(23.0), 0.0)
    f = as_f32((bits & 0x007FFFFF) + 0x3F3504F3) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = fma(z, 0.29873077058180525, 0.39977495411513647)
    p = fma(p, z, 0.6666677671879082)
    half = 0.5 * f * f
    low = fma(s, fma(p, z, half), n * -2.12194440054690583e-4)
    return fma(n, 0.693359375, f - (half - low))


@function
def logarithm_f64(x: Term) -> Term:
    """Log x for a positive, finite x."""
    is_small = x < 2.2250738585072014e-308
    bits = as_i64(where(is_small, x * 4503599627370496.0, x)) - 0x3FE6A09E667F3BCD
    n = f64(i32(bits >> 52)) - where(is_small, f64(52.0), 0.0)
    f = as_f64((bits & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = fma(z, 0.14860192688162488, 0.15307736367338082)
    p = fma(p, z, 0.18183805277072032)
    p = fma(p, z, 0.22222194092493963)
    p = fma(p, z, 0.2857142878394107)
    p = fma(p, z, 0.39999999999241737)
    p = fma(p, z, 0.6666666666666757)
    half = 0.5 * f * f
    low = fma(s, fma(p, z, half), n * 1.90821492927058770002e-10)
    return fma(n, 0.693147180369123816490, f - (half - low))


@function
def log_f32(x: Term) -> Term:
    """The natural logarithm."""
    y = where(x > 0.0, logarithm_f32(x), where(equal(x, 0.0), -inf, f32(nan)))
    return where(x < inf, y, x)


@function
def log_f64(x: Term) -> Term:
    """The natural logarithm."""
    y = where(x > 0.0, logarithm_f64(x), where(equal(x, 0.0), -inf, f64(nan)))
    return where(x < inf, y, x)


# log(1 + x) = log u + c / u, where u is 1 + x rounded and c what rounding took away.


@function
def log1p_f32(x: Term) -> Term:
    """log(1 + x)."""
    u = 1.0 + x
    y = logarithm_f32(u) + (x - (u - 1.0)) / u
    y = where(u > 0.0, y, where(equal(u, 0.0), -inf, f32(nan)))
    y = where(x < inf, y, x)
    return where(equal(x, 0.0), x, y)


@function
def log1p_f64(x: Term) -> Term:
    """log(1 + x)."""
    u = 1.0 + x
    y = logarithm_f64(u) + (x - (u - 1.0)) / u
    y = where(u > 0.0, y, where(equal(u, 0.0), -inf, f64(nan)))
    y = where(x < inf, y, x)
    return where(equal(x, 0.0), x, y)
