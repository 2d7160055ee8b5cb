"""exp, log, tanh and hypot.

They are correct to 1 or 2 units in the last place over the whole range.

The method is the usual one (Muller et al., "Handbook of Floating-Point Arithmetic", 2nd ed., 2018,
chapter 10). The argument is reduced by a multiple of ln 2, which is subtracted in two parts, the
first of them so short that its product is exact. What is left, between -ln(2)/2 and ln(2)/2, goes
into a polynomial, fitted for the smallest largest error. The multiple goes into the exponent.
"""

from __future__ import annotations

from math import inf, nan
from typing import Final, NamedTuple

from miniflow.lowering.functions.definition import FLOATS, for_each, i32, polynomial
from miniflow.lowering.nests import (
    Term,
    absolute,
    bits,
    call,
    cast,
    constant,
    copysign,
    equal,
    fma,
    sqrt,
    where,
)


class FloatFormat(NamedTuple):
    """What definitions have to know of a dtype of floats.

    Attributes:
        integer: the dtype of integers with as many bits.
        digits: how many bits its fraction has.
        bias: what is added to its exponents.
        ln2: the natural logarithm of 2 in two parts, the first of them short.
        largest: e^x is infinite beyond this x.
        smallest: and 0 below this one; e^x - 1 is -1 below `least`.
        least: that.
        flat: tanh x is 1 beyond this x.
        exponential: the coefficients of (e^r - 1 - r) / r², the last one being without r.
        logarithm: those of R(z) / z, in `logarithm`.
        root: the bits of sqrt(1/2).
        scale: hypot's powers of two: from where on numbers are large, and what they are multiplied
            with; below which they are small, and what these are.
    """

    integer: str
    digits: int
    bias: int
    ln2: tuple[float, float]
    largest: float
    smallest: float
    least: float
    flat: float
    exponential: tuple[float, ...]
    logarithm: tuple[float, ...]
    root: int
    scale: tuple[float, float, float, float]

    @property
    def shift(self) -> float:
        """Added to a number, it leaves the nearest whole number in the last bits."""
        return 1.5 * 2.0**self.digits


FORMATS: Final = {
    "f32": FloatFormat(
        integer="i32",
        digits=23,
        bias=127,
        ln2=(0.693359375, -2.12194440054690583e-4),
        largest=89.0,
        smallest=-104.0,
        least=-20.0,
        flat=10.0,
        exponential=(
            0.001381453789370373,
            0.008368745320047465,
            0.04166839083131586,
            0.16666520396770756,
            0.4999999343189114,
        ),
        logarithm=(0.29873077058180525, 0.39977495411513647, 0.6666677671879082),
        root=0x3F3504F3,
        scale=(2.0**63, 2.0**-70, 2.0**-50, 2.0**100),
    ),
    "f64": FloatFormat(
        integer="i64",
        digits=52,
        bias=1023,
        ln2=(0.693147180369123816490, 1.90821492927058770002e-10),
        largest=710.0,
        smallest=-746.0,
        least=-40.0,
        flat=20.0,
        exponential=(
            2.4897049345788443e-08,
            2.762895765866188e-07,
            2.7557920611691985e-06,
            2.4801496903942796e-05,
            0.0001984126912286449,
            0.001388888893982869,
            0.008333333333675157,
            0.04166666666654443,
            0.1666666666666613,
            0.5000000000000009,
        ),
        logarithm=(
            0.14860192688162488,
            0.15307736367338082,
            0.18183805277072032,
            0.22222194092493963,
            0.2857142878394107,
            0.39999999999241737,
            0.6666666666666757,
        ),
        root=0x3FE6A09E667F3BCD,
        scale=(2.0**500, 2.0**-600, 2.0**-400, 2.0**600),
    ),
}


# Reduced exponentials: e^r - 1 for small r, without its leading cancellation.


def square_terms(r: Term) -> Term:
    """(e^r - 1 - r) / r² for |r| <= ln(2)/2."""
    return polynomial(r, *FORMATS[r.dtype].exponential)


@for_each("series", *FLOATS)
def series(r: Term) -> Term:
    """e^r - 1 for |r| <= ln(2)/2."""
    return fma(square_terms(r), r * r, r)


# e^x = 2^n e^r. Adding 1.5 * 2^23 (or 2^52) rounds to a whole number n, and leaves it in the last
# bits. 2^n is multiplied in as two factors, for it may be larger or smaller than one can hold.
# Comparisons are such that NaN passes through.


def _reduced(a: Term) -> tuple[Term, Term]:
    """n, in the last bits of an integer, and r; of an `a` that is not too large."""
    of = FORMATS[a.dtype]
    shifted = fma(a, 1.4426950408889634, of.shift)
    n = shifted - of.shift
    r = fma(n, -of.ln2[0], a)
    r = fma(n, -of.ln2[1], r)
    return bits(shifted, of.integer) - _bits_of_shift(of), r


def _bits_of_shift(of: FloatFormat) -> int:
    return ((of.bias + of.digits) << of.digits) | (1 << (of.digits - 1))


def _power_of_two(n: Term, dtype: str, one_less: int = 0) -> Term:
    """2^n, or 2^(n-1)."""
    of = FORMATS[dtype]
    return bits(cast(n + (of.bias - one_less), of.integer) << of.digits, dtype)


# What is 0 in the end, as of -inf in a softmax with a mask, is computed as e^0, and put to 0 then:
# on its way there it would be a number so small that processors take a hundred times as long.


@for_each("exp", *FLOATS)
def exp(x: Term) -> Term:
    """e^x."""
    of = FORMATS[x.dtype]
    a = where(x > of.largest, of.largest, x)
    n, r = _reduced(where(x < of.smallest, 0.0, a))
    k = i32(n)
    half = k >> 1
    y = call("series", r) + 1.0
    y = y * _power_of_two(half, x.dtype) * _power_of_two(k - half, x.dtype)
    return where(x < of.smallest, 0.0, y)


# e^x - 1 = 2^n (e^r - 1) + (2^n - 1), all of it halved and doubled again, so that 2^n never
# overflows where the result does not.


def _less_one(a: Term) -> Term:
    """e^a - 1, where that is neither infinite nor -1."""
    n, r = _reduced(a)
    power = _power_of_two(n, a.dtype, one_less=1)
    return 2.0 * fma(power, call("series", r), power - 0.5)


@for_each("expm1", *FLOATS)
def expm1(x: Term) -> Term:
    """e^x - 1."""
    of = FORMATS[x.dtype]
    a = where(x > of.largest, of.largest, x)
    y = _less_one(where(a < of.least, of.least, a))
    return where(equal(x, 0.0), x, y)


# tanh x = t / (t + 2) with t = e^2x - 1, for x >= 0. Beyond the largest argument it is 1.


@for_each("tanh", *FLOATS)
def tanh(x: Term) -> Term:
    """The hyperbolic tangent."""
    a, flat = absolute(x), FORMATS[x.dtype].flat
    t = _less_one(2.0 * where(a > flat, flat, a))
    return copysign(t / (t + 2.0), x)


# √(x² + y²), of numbers that a power of two has brought to where squares neither overflow nor
# underflow; most need none.


@for_each("hypot", *FLOATS)
def hypot(x: Term, y: Term) -> Term:
    """The length of (x, y)."""
    a = absolute(x)
    b = absolute(y)
    one = constant(1.0, x.dtype)
    large, shrink, small, grow = FORMATS[x.dtype].scale
    largest = where(a > b, a, b)
    is_large = largest > large
    is_small = largest < small
    scale = where(is_large, shrink, where(is_small, grow, one))
    back = where(is_large, 1 / shrink, where(is_small, 1 / grow, one))
    a = a * scale
    b = b * scale
    r = sqrt(fma(a, a, b * b)) * back
    return where(equal(absolute(x), inf), inf, where(equal(absolute(y), inf), inf, r))


# x = 2^k m with m between sqrt(1/2) and sqrt(2); with f = m - 1 and s = f / (2 + f),
# log m = f - f^2/2 + s (f^2/2 + R(s^2)): the series of the inverse hyperbolic tangent.


def split(x: Term) -> tuple[Term, Term]:
    """K and f, of a positive, finite x."""
    dtype, of = x.dtype, FORMATS[x.dtype]
    is_small = x < 2.0 ** (1 - of.bias)
    whole = bits(where(is_small, x * 2.0**of.digits, x), of.integer) - of.root
    digits = constant(float(of.digits), dtype)
    n = cast(i32(whole >> of.digits), dtype) - where(is_small, digits, 0.0)
    return n, bits((whole & ((1 << of.digits) - 1)) + of.root, dtype) - 1.0


@for_each("logarithm", *FLOATS)
def logarithm(x: Term) -> Term:
    """Log x for a positive, finite x."""
    of = FORMATS[x.dtype]
    n, f = split(x)
    s = f / (2.0 + f)
    z = s * s
    p = polynomial(z, *of.logarithm)
    half = 0.5 * f * f
    low = fma(s, fma(p, z, half), n * of.ln2[1])
    return fma(n, of.ln2[0], f - (half - low))


@for_each("log", *FLOATS)
def log(x: Term) -> Term:
    """The natural logarithm."""
    outside = where(equal(x, 0.0), -inf, constant(nan, x.dtype))
    y = where(x > 0.0, call("logarithm", x), outside)
    return where(x < inf, y, x)


# log(1 + x) = log u + c / u, where u is 1 + x rounded and c what rounding took away.


@for_each("log1p", *FLOATS)
def log1p(x: Term) -> Term:
    """log(1 + x)."""
    u = 1.0 + x
    y = call("logarithm", u) + (x - (u - 1.0)) / u
    y = where(u > 0.0, y, where(equal(u, 0.0), -inf, constant(nan, x.dtype)))
    y = where(x < inf, y, x)
    return where(equal(x, 0.0), x, y)
