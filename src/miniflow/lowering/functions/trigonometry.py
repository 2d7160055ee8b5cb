"""sin, cos and arctan.

An angle is reduced to quarter turns and a rest of at most π/4 by a product with 2/π in whole
numbers, of as many bits as it takes, wherever the angle's own bits lie (Payne and Hanek, "Radian
reduction for trigonometric functions", 1983): the result is right for any angle that a float can
be. Quarter turns beyond four do not count, so that of 2/π only a window of bits is needed, which is
chosen by the angle's exponent. The polynomials are those of FreeBSD's mathematical library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Final, TypeAlias

from miniflow.lowering.functions.definition import (
    FLOATS,
    as_i64,
    as_u32,
    as_u64,
    f32,
    f64,
    for_each,
    function,
    i64,
    polynomial,
    u64,
)
from miniflow.lowering.functions.doubles import product_of
from miniflow.lowering.nests import (
    Term,
    absolute,
    constant,
    copysign,
    equal,
    fma,
    not_equal,
    where,
)


def _pi(bits: int) -> int:
    """π · 2^bits, by Machin's formula: π = 16 arctan(1/5) - 4 arctan(1/239)."""
    more = bits + 32

    def arctan_of_inverse(n: int) -> int:
        power, total, odd = (1 << more) // n, 0, 1
        while power:
            total += power // odd if odd % 4 == 1 else -(power // odd)
            power //= n * n
            odd += 2
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> 32


_BITS: Final = 64 * 19  # of 2/π, for the largest f64
_TWO_OVER_PI: Final = (1 << (2 * _BITS + 65)) // _pi(_BITS + 64)
_TABLE: Final = [0, *((_TWO_OVER_PI >> (_BITS - 64 * k)) & (2**64 - 1) for k in range(1, 20))]
_QUARTER: Final = _pi(200)  # π/2 · 2^201: the sum of two doubles is as good as that
_QUARTER_HIGH: Final = _QUARTER / 2**201
_QUARTER_LOW: Final = (_QUARTER - int(_QUARTER_HIGH * 2**201)) / 2**201


def _window(place: Term, count: int, table: Sequence[int]) -> list[Term]:
    """So many words of 64 bits of a table, from a place on."""
    words, index, shift = [constant(word, "u64") for word in table], place >> 6, u64(place & 63)
    step = 1 << (len(table) - count - 1).bit_length()
    while step := step >> 1:  # the table is moved by 16 words, or not; by 8, or not; ...
        is_moved = not_equal(index & step, 0)
        words = [
            where(is_moved, words[k + step], words[k]) if k + step < len(words) else words[k]
            for k in range(min(count + step, len(words)))
        ]
    return [(words[k] << shift) | ((words[k + 1] >> 1) >> (63 - shift)) for k in range(count)]


def _high_half(small: Term, word: Term) -> Term:
    """The upper 64 bits of the product of a number of 53 bits and one of 64."""
    low_half = 0xFFFFFFFF
    above, below = small >> 32, small & low_half
    high, low = word >> 32, word & low_half
    middle = above * low + ((below * low) >> 32)
    other = below * high + (middle & low_half)
    return above * high + (middle >> 32) + (other >> 32)


def _reduced_f64(x: Term) -> tuple[Term, Term, Term]:
    """Quarter turns of |x|, counted modulo 4, and the rest as the sum of two numbers."""
    size = absolute(x)
    exponent = as_i64(size) >> 52
    whole = (as_u64(size) & (2**52 - 1)) | 2**52
    is_small = size < 0.7853981633974483
    place = where(is_small, 0, exponent - 1013)  # of the bit that counts two quarter turns
    first, second, third = _window(where(place > 1033, 0, place), 3, _TABLE)
    low = whole * second
    below = low + _high_half(whole, third)
    above = whole * first + _high_half(whole, second) + where(below < low, 1, constant(0, "u64"))
    rest, further = (above << 2) | (below >> 62), below << 2
    turns = (above >> 62) + (rest >> 63)  # to the nearest
    half, low_half = 2.0**-32, 0xFFFFFFFF
    one = f64(i64(rest) >> 32) * half
    two = f64(i64(rest & low_half)) * half**2
    three = f64(i64(further >> 32)) * half**3 + f64(i64(further & low_half)) * half**4
    high = one + two
    low = (two - (high - one)) + three
    total = high + low
    low = low - (total - high)
    product, error = product_of(total, constant(_QUARTER_HIGH, "f64"))
    error = error + (total * _QUARTER_LOW + low * _QUARTER_HIGH)
    angle = product + error
    return (
        where(is_small, 0, i64(turns)),
        where(is_small, size, angle),
        where(is_small, 0.0, error - (angle - product)),
    )


def _reduced_f32(x: Term) -> tuple[Term, Term]:
    """The same of a f32; the rest is one f64."""
    size = absolute(x)
    exponent = i64(as_u32(size) >> 23)
    whole = u64((as_u32(size) & (2**23 - 1)) | 2**23)
    is_small = size < 0.785
    place = where(is_small, 0, exponent - (150 - 62))
    first, second = _window(where(place > 166, 0, place), 2, _TABLE[:5])
    above = whole * first + ((whole * (second >> 32)) >> 32)
    rest = above << 2
    turns = (above >> 62) + (rest >> 63)
    angle = f64(i64(rest)) * (2.0**-64 * _QUARTER_HIGH)
    return where(is_small, 0, i64(turns)), where(is_small, f64(size), angle)


def _wave_f64(x: Term, more: int) -> Term:
    """The sine of |x| and so many quarter turns more."""
    turns, r, low = _reduced_f64(x)
    z = r * r
    p = polynomial(
        z,
        1.58969099521155010221e-10,
        -2.50507602534068634195e-08,
        2.75573137070700676789e-06,
        -1.98412698298579493134e-04,
        8.33333333332248946124e-03,
    )
    sine = r - ((z * (0.5 * low - z * r * p) - low) + z * r * 1.66666666666666324348e-01)
    p = polynomial(
        z,
        -1.13596475577881948265e-11,
        2.08757232129817482790e-09,
        -2.75573143513906633035e-07,
        2.48015872894767294178e-05,
        -1.38888888888741095749e-03,
        4.16666666666666019037e-02,
    )
    half = 0.5 * z
    whole = 1.0 - half
    cosine = whole + (((1.0 - whole) - half) + (z * (z * p) - r * low))
    return _turned(turns + more, sine, cosine)


def _wave_f32(x: Term, more: int) -> Term:
    turns, r = _reduced_f32(x)
    z = r * r
    sine = fma(
        r * z,
        polynomial(
            z,
            2.7183114939898219064e-6,
            -1.98393348360966317347e-4,
            8.3333293858894631756e-3,
            -0.166666666416265235595,
        ),
        r,
    )
    cosine = polynomial(
        z,
        2.43904487962774090654e-5,
        -1.38867637746099294692e-3,
        4.16666233237390631894e-2,
        -0.499999997251031003120,
        1.0,
    )
    return f32(_turned(turns + more, sine, cosine))


def _turned(turns: Term, sine: Term, cosine: Term) -> Term:
    """The sine after quarter turns; cosines follow, and both with the other sign."""
    value = where(equal(turns & 1, 0), sine, cosine)
    return where(equal(turns & 2, 0), value, -value)


def _wave(x: Term, more: int) -> Term:
    return _wave_f32(x, more) if x.dtype == "f32" else _wave_f64(x, more)


def _of_finite(x: Term, value: Term) -> Term:
    return where(absolute(x) < inf, value, x - x)


@for_each("sin", *FLOATS)
def sin(x: Term) -> Term:
    """The sine."""
    value = _wave(x, 0)
    return _of_finite(x, where(equal(x, 0.0), x, where(x < 0.0, -value, value)))


@for_each("cos", *FLOATS)
def cos(x: Term) -> Term:
    """The cosine."""
    return _of_finite(x, _wave(x, 1))


# arctan x = arctan c + arctan((x - c) / (1 + c x)) for the nearest of a few c.


def _beyond(c: float) -> Callable[[Term], tuple[Term, Term]]:
    """Above and below the line of (x - c) / (1 + c x)."""
    return lambda x: (x - c, 1.0 + c * x)


_Piece: TypeAlias = "tuple[float, Callable[[Term], tuple[Term, Term]], float, float]"
_PIECES: Final[list[_Piece]] = [  # from which x on; arctan c, as the sum of two numbers
    (
        0.4375,
        lambda x: (2.0 * x - 1.0, 2.0 + x),
        4.63647609000806093515e-01,
        2.26987774529616870924e-17,
    ),
    (0.6875, _beyond(1.0), 7.85398163397448278999e-01, 3.06161699786838301793e-17),
    (1.1875, _beyond(1.5), 9.82793723247329054082e-01, 1.39033110312309984516e-17),
    (
        2.4375,
        lambda x: (constant(-1.0, "f64"), x),
        1.57079632679489655800e00,
        6.12323399573676603587e-17,
    ),
]


@function
def arctan_f64(x: Term) -> Term:
    """The angle whose tangent x is."""
    size = absolute(x)
    top, bottom, high, low = size, constant(1.0, "f64"), constant(0.0, "f64"), constant(0.0, "f64")
    for least, turned, angle, rest in _PIECES:
        is_beyond = size >= least
        numerator, denominator = turned(size)
        top = where(is_beyond, numerator, top)
        bottom = where(is_beyond, denominator, bottom)
        high, low = where(is_beyond, angle, high), where(is_beyond, rest, low)
    r = top / bottom
    z = r * r
    w = z * z
    odd = polynomial(
        w,
        1.62858201153657823623e-02,
        4.97687799461593236017e-02,
        6.66107313738753120669e-02,
        9.09088713343650656196e-02,
        1.42857142725034663711e-01,
        3.33333333333329318027e-01,
    )
    even = polynomial(
        w,
        -3.65315727442169155270e-02,
        -5.83357013379057348645e-02,
        -7.69187620504482999495e-02,
        -1.11111104054623557880e-01,
        -1.99999999998764832476e-01,
    )
    value = high - ((r * (z * odd + w * even) - low) - r)
    return copysign(where(size >= 0.4375, value, r - r * (z * odd + w * even)), x)


@function
def arctan_f32(x: Term) -> Term:
    """The angle whose tangent x is."""
    return f32(arctan_f64(f64(x)))
