"""Whether a kernel is one: every name is known where it is read, and the dtypes fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.nest_text import term_text
from miniflow.lowering.nest_walk import COMPARISONS, INFIX
from miniflow.lowering.nests import (
    LOOP_DTYPES,
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    If,
    Kernel,
    Let,
    Loop,
    NumberParameter,
    Parameter,
    Statement,
    Store,
    Term,
)

OF_FLOATS: Final = {"ceil", "copysign", "divide", "floor", "fma", "fmod", "rint", "sqrt"}
OF_BOTH: Final = {*INFIX, "absolute", "maximum", "minimum", "negative"} - {"divide"} | {"quotient"}
OF_WHOLE: Final = {"bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"}
OF_BOOLS: Final = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
ACCUMULATED: Final = ("add", "multiply", "maximum", "minimum", "bitwise_and", "bitwise_or")


class KernelError(Exception):
    """A kernel is not one; a defect of whoever made it, never of a user."""


def check_kernel(kernel: Kernel) -> None:
    """Raise KernelError where a name is not known, or a dtype does not fit."""
    names: dict[str, Parameter | str] = {}
    for parameter in kernel.parameters:
        if parameter.name in names:
            raise KernelError(f"{parameter.name} is a parameter twice")
        is_array = isinstance(parameter, ArrayParameter)
        dtype = parameter.dtype if isinstance(parameter, NumberParameter) else SIZE
        names[parameter.name] = parameter if is_array else dtype
    for parameter in kernel.parameters:
        for size in parameter.shape if isinstance(parameter, ArrayParameter) else ():
            _expect(SIZE, size, names)
    _Checker(names).block(kernel.body)


class _Checker:
    """Walks over statements; `names` maps to an array, or the dtype of a number."""

    def __init__(self, names: Mapping[str, Parameter | str]) -> None:
        self.names = dict(names)
        self.totals: set[str] = set()

    def block(self, statements: Iterable[Statement]) -> None:
        """Check statements in order; what they name is not known after them."""
        outside = dict(self.names)
        for statement in statements:
            self._statement(statement)
        self.names = outside

    def _statement(self, statement: Statement) -> None:
        names = self.names
        match statement:
            case Let(name, value) | Begin(name, value):
                if name in names:
                    raise KernelError(f"{name} has a value already")
                names[name] = dtype_of(value, names)
                if isinstance(statement, Begin):
                    self.totals.add(name)
            case Accumulate(name, value, by):
                if name not in self.totals or by not in ACCUMULATED:
                    raise KernelError(f"{name} is no total that {by} is made of")
                _expect(str(names[name]), value, names)
            case Store(array, index, value):
                _expect(_entry(array, index, names), value, names)
            case Loop(index, stop, body, start):
                _expect(SIZE, start, names)
                _expect(SIZE, stop, names)
                if index in names or statement.step < 1:
                    raise KernelError(f"{index} counts a loop already, or the wrong way")
                names[index] = SIZE
                self.block(body)
                del self.names[index]
            case If(condition, body):
                _expect("bool", condition, names)
                self.block(body)


def dtype_of(term: Term, names: Mapping[str, Parameter | str]) -> str:
    """Return the dtype of a term, all parts of which are checked."""
    inner = [dtype_of(operand, names) for operand in term.operands]
    if not _fits(term, inner, names):
        raise KernelError(f"{term_text(term)}: no {term.dtype} is made of {', '.join(inner)}")
    return term.dtype


def _fits(term: Term, inner: list[str], names: Mapping[str, Parameter | str]) -> bool:
    dtype, op = term.dtype, term.op
    if dtype not in LOOP_DTYPES:
        return False
    match op:
        case "const":
            return not inner
        case "name":
            return names.get(str(term.what)) == dtype
        case "load":
            return _entry(str(term.what), term.operands, names) == dtype
        case "cast":
            return len(inner) == 1
        case "bits":
            return len(inner) == 1 and inner[0][1:] == dtype[1:]
        case "where":
            return inner == ["bool", dtype, dtype]
        case "call":
            function = FUNCTIONS.get(str(term.what))
            return function is not None and inner == [dtype] * len(function.parameters)
    if op in COMPARISONS:
        return dtype == "bool" and len(inner) == 2 and inner[0] == inner[1]
    if set(inner) != {dtype}:
        return False
    if dtype == "bool":
        return op in OF_BOOLS
    if dtype == "f16":
        return False  # it is computed with as f32
    return op in (OF_FLOATS | OF_BOTH - OF_WHOLE if dtype[0] == "f" else OF_BOTH)


def _entry(array: str, index: tuple[Term, ...], names: Mapping[str, Parameter | str]) -> str:
    """Return the dtype of an entry of an array."""
    parameter = names.get(array)
    if not isinstance(parameter, ArrayParameter) or len(index) != max(len(parameter.shape), 1):
        raise KernelError(f"{array} is no array of {len(index)} axes")
    for term in index:
        _expect(SIZE, term, names)
    return parameter.dtype


def _expect(dtype: str, term: Term, names: Mapping[str, Parameter | str]) -> None:
    found = dtype_of(term, names)
    if found != dtype:
        raise KernelError(f"{term_text(term)}: {dtype} was expected, and found {found}")
