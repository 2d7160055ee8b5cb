"""How the NumPy backend writes equations whose results are numbers: Python's operators, for NumPy's
numbers too (six times as fast as a ufunc), and calls where there is no operator.

A value that is read once and has no name of its own is written where it is read, so that a program
of Python numbers becomes the formula that it is: ``x * y + x * z``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from miniflow.ir.indexing import bracket_text, brackets
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand


class PythonExpression(NamedTuple):
    """Python code, and how tightly its outermost operator binds."""

    text: str
    rank: int


ATOM = 9
POWER = 7
NEGATION = 6
COMPARISON = 1
OPERATORS = {
    "power": ("**", POWER),
    "multiply": ("*", 5),
    "divide": ("/", 5),
    "floor_divide": ("//", 5),
    "remainder": ("%", 5),
    "add": ("+", 4),
    "subtract": ("-", 4),
    "greater": (">", COMPARISON),
    "greater_equal": (">=", COMPARISON),
    "less": ("<", COMPARISON),
    "less_equal": ("<=", COMPARISON),
    "equal": ("==", COMPARISON),
    "not_equal": ("!=", COMPARISON),
}
REDUCED_BY = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}
SCALAR_TYPES = {
    "bool": "bool_",
    **{f"i{8 * size}": f"int{8 * size}" for size in (1, 2, 4, 8)},
    **{f"u{8 * size}": f"uint{8 * size}" for size in (1, 2, 4, 8)},
    **{f"f{8 * size}": f"float{8 * size}" for size in (2, 4, 8)},
}
"""NumPy's own names of the dtypes."""

Read = Callable[[Operand], PythonExpression]
Name = Callable[[str], str]


def python_literal(value: bool | int | float) -> PythonExpression:
    """Write a Python number.

    >>> python_literal(-0.5)
    PythonExpression(text='-0.5', rank=6)
    """
    text = repr(value)
    return PythonExpression(text, NEGATION if text.startswith("-") else ATOM)


def write_number(equation: Equation, read: Read, function: Name) -> PythonExpression:
    """Write an equation whose result is a number.

    `read` writes an operand, `function` gives the name by which a function is called.
    """
    name, parts = equation.primitive, [read(operand) for operand in equation.operands]
    if PRIMITIVES[name].category == "elementwise":
        return _elementwise(equation, parts, function)
    x = equation.operands[0]
    text = parts[0].text if parts[0].rank == ATOM else f"({parts[0].text})"
    if name == "slice":
        index = bracket_text(brackets(equation.params["index"]))
        return PythonExpression(f"{text}[{index}]", ATOM) if x.kind == "array" else parts[0]
    if name == "gather":
        return PythonExpression(f"{text}[{', '.join(part.text for part in parts[1:])}]", ATOM)
    if name in REDUCED_BY:
        axis = "axis=None" if x.shape and equation.params["axis"] else f"axis={()}"
        return PythonExpression(f"{function(REDUCED_BY[name])}.reduce({text}, {axis})", ATOM)
    if name == "matmul" and {o.dtype for o in equation.operands} in ({"f32"}, {"f64"}):
        return PythonExpression(f"{text}.dot({parts[1].text})", ATOM)  # half as long a way to BLAS
    if name == "matmul":
        return _call(function(name), parts)
    return PythonExpression(f"{text}.{name}()", ATOM)  # argmax, argmin


def _elementwise(
    equation: Equation, parts: Sequence[PythonExpression], function: Name
) -> PythonExpression:
    name, operands = equation.primitive, equation.operands
    if name == "cast":
        return _call(function(SCALAR_TYPES[equation.params["dtype"]]), parts)
    if any(operand.kind == "array" for operand in operands):  # 0-d
        return _call(function(name), parts)
    if name == "power" and _may_be_complex(operands):
        return _call(function("python_power"), parts)
    if name in OPERATORS:
        return _infix(*OPERATORS[name], *parts)
    if name == "negative":
        return PythonExpression(f"-{_inside(parts[0], NEGATION)}", NEGATION)
    return _call("abs" if name == "absolute" else function(name), parts)


def _call(function: str, parts: Sequence[PythonExpression]) -> PythonExpression:
    return PythonExpression(f"{function}({', '.join(part.text for part in parts)})", ATOM)


def _infix(
    sign: str, rank: int, left: PythonExpression, right: PythonExpression
) -> PythonExpression:
    # Powers group from the right; comparisons do not group at all: 1 < 2 < 3 means something else.
    before = _inside(left, rank + (rank in (POWER, COMPARISON)))
    after = _inside(right, NEGATION if rank == POWER else rank + 1)
    return PythonExpression(f"{before} {sign} {after}", rank)


def _inside(part: PythonExpression, rank: int) -> str:
    return part.text if part.rank >= rank else f"({part.text})"


def _may_be_complex(operands: Sequence[Operand]) -> bool:
    _, exponent = operands
    is_python = all(operand.kind == "python" for operand in operands)
    return is_python and not (isinstance(exponent, Literal) and type(exponent.value) is int)
