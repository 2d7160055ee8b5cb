"""What each elementwise primitive is in `jax.lax`, for fractions, integers and booleans; and what
the arithmetic of Python numbers is in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Texts(NamedTuple):
    """The text of an operation, with places for its operands: of fractions, of integers with and
    without a sign, and of booleans.
    """

    fraction: str
    signed: str
    unsigned: str
    boolean: str

    def of(self, dtype: str) -> str:
        """The text for a dtype."""
        if dtype[0] == "f":
            return self.fraction
        return {"i": self.signed, "u": self.unsigned, "b": self.boolean}[dtype[0]]


def _all(text: str) -> Texts:
    return Texts(text, text, text, text)


def _numbers(text: str, boolean: str) -> Texts:
    return Texts(text, text, text, boolean)


def _fraction(name: str) -> Texts:
    return _all(f"lax.{name}({{0}})")


_AND, _OR = "lax.bitwise_and({0}, {1})", "lax.bitwise_or({0}, {1})"
_XOR, _SAME = "lax.bitwise_xor({0}, {1})", "{0}"
_TRUE, _FALSE = "lax.full({shape}, bool_(True), bool_)", "lax.full({shape}, bool_(False), bool_)"
_DIVIDED = "functions.divide_whole({{0}}, {{1}})[{}]"
_RIGHT = "lax.shift_right_{}({{0}}, {{1}})"

ELEMENTWISE: Final[Mapping[str, Texts]] = {
    "add": _numbers("lax.add({0}, {1})", _OR),
    "subtract": _numbers("lax.sub({0}, {1})", _XOR),
    "multiply": _numbers("lax.mul({0}, {1})", _AND),
    "divide": _all("lax.div({0}, {1})"),
    "floor_divide": _numbers(_DIVIDED.format(0), _AND)._replace(
        fraction="functions.floor_divide({0}, {1})"
    ),
    "remainder": _numbers(_DIVIDED.format(1), _AND)._replace(
        fraction="functions.remainder({0}, {1})"
    ),
    "power": _numbers("functions.whole_power({0}, {1})", _OR)._replace(
        fraction="lax.pow({0}, {1})"
    ),
    "maximum": _numbers("lax.max({0}, {1})", _OR),
    "minimum": _numbers("lax.min({0}, {1})", _AND),
    "negative": _numbers("lax.neg({0})", _SAME),
    "absolute": Texts("lax.abs({0})", "lax.abs({0})", _SAME, _SAME),
    "sign": _numbers("lax.sign({0})", _SAME)._replace(fraction="functions.sign({0})"),
    "floor": Texts("lax.floor({0})", _SAME, _SAME, _SAME),
    "ceil": Texts("lax.ceil({0})", _SAME, _SAME, _SAME),
    "rint": _all("lax.round({0}, lax.RoundingMethod.TO_NEAREST_EVEN)"),
    "sqrt": _fraction("sqrt"),
    "hypot": _all("functions.hypot({0}, {1})"),
    "exp": _fraction("exp"),
    "expm1": _fraction("expm1"),
    "log": _fraction("log"),
    "log1p": _fraction("log1p"),
    "sin": _fraction("sin"),
    "cos": _fraction("cos"),
    "tanh": _fraction("tanh"),
    "arctan": _fraction("atan"),
    "greater": _all("lax.gt({0}, {1})"),
    "greater_equal": _all("lax.ge({0}, {1})"),
    "less": _all("lax.lt({0}, {1})"),
    "less_equal": _all("lax.le({0}, {1})"),
    "equal": _all("lax.eq({0}, {1})"),
    "not_equal": _all("lax.ne({0}, {1})"),
    "isnan": Texts("lax.ne({0}, {0})", _FALSE, _FALSE, _FALSE),
    "isfinite": Texts("lax.is_finite({0})", _TRUE, _TRUE, _TRUE),
    "bitwise_and": _all(_AND),
    "bitwise_or": _all(_OR),
    "bitwise_xor": _all(_XOR),
    "left_shift": _all("lax.shift_left({0}, {1})"),
    "right_shift": _all(_RIGHT.format("arithmetic"))._replace(unsigned=_RIGHT.format("logical")),
    "logical_and": _all("lax.bitwise_and({0}, {1})"),
    "logical_or": _all("lax.bitwise_or({0}, {1})"),
    "logical_not": _all("lax.bitwise_not({0})"),
}
"""The primitives whose operands have been converted to one dtype, and broadcast."""

LOGICAL: Final = ("logical_and", "logical_or", "logical_not")

HALF_AS_SINGLE: Final = frozenset(
    {"divide", "floor_divide", "remainder", "power", "sqrt", "hypot", "exp", "expm1", "log"}
    | {"log1p", "sin", "cos", "tanh", "arctan"}
)
"""What NumPy computes of halves in float32, and rounds once."""

PYTHON: Final[Mapping[str, str]] = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "{0} // {1}",
    "remainder": "{0} % {1}",
    "power": "python_power({0}, {1})",
    "negative": "-{0}",
    "absolute": "abs({0})",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
}
"""The arithmetic of Python numbers alone."""
