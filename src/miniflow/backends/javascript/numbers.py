"""Arithmetic of Python numbers alone, as JavaScript: ints are bigints and do not wrap around, a
division by zero is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from miniflow.backends.javascript.values import where_text
from miniflow.ir.program import Equation, Operand
from miniflow.lowering.expressions import is_python_int
from miniflow.lowering.nest_walk import COMPARISONS

_DIVISIONS: Final = ("divide", "floor_divide", "remainder")
_FLOATS: Final = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "floorDivide({0}, {1})",
    "remainder": "remainder({0}, {1})",
    "power": "pythonPower({0}, {1}, {where})",
    "negative": "-{0}",
    "absolute": "abs({0})",
}
_INTS: Final = _FLOATS | {
    "floor_divide": "floorDivideBigs({0}, {1})",
    "remainder": "remainderOfBigs({0}, {1})",
    "power": "{0} ** {1}",
    "absolute": "absOfBig({0})",
}


def number_of(equation: Equation, read: Callable[[Operand], str]) -> str:
    """Write an equation of Python numbers; `read` gives the text of an operand."""
    name, operands, where = equation.primitive, equation.operands, where_text(equation)
    if name in COMPARISONS:
        sign = COMPARISONS[name]
        if len({is_python_int(operand) for operand in operands}) == 1:
            sign = sign.replace("==", "===").replace("!=", "!==")
        return f"{_number(operands[0], read)} {sign} {_number(operands[1], read)}"
    is_int = is_python_int(equation.result)
    parts = [_whole(o, read) if is_int else _float(o, read) for o in operands]
    if name in _DIVISIONS:
        parts[1] = f"nonzero({parts[1]}, {where})"
    return (_INTS if is_int else _FLOATS)[name].format(*parts, where=where)


def _number(operand: Operand, read: Callable[[Operand], str]) -> str:
    return _whole(operand, read) if operand.dtype != "f64" else _float(operand, read)


def _whole(operand: Operand, read: Callable[[Operand], str]) -> str:
    """An operand as a bigint."""
    text = read(operand)
    if not is_python_int(operand):
        return f"BigInt({text})"
    return f"({text})" if text.startswith("-") else text


def _float(operand: Operand, read: Callable[[Operand], str]) -> str:
    """An operand as a number."""
    text = read(operand)
    if operand.dtype != "f64":
        return f"Number({text})"
    return f"({text})" if text.startswith("-") else text
