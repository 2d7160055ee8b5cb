"""What a kernel means, in plain Python: the reference of every printer, and slow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.ir.dtypes import DTYPES, Array
from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.nest_walk import TermWalk
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
)


class _FailedError(Exception):
    """A kernel has ended with a status."""


class MemoryFrom:
    """Memory in which an index counts from `start`, backwards if it is negative."""

    def __init__(self, memory: Array, start: int) -> None:
        self.memory, self.start = memory, start

    def __getitem__(self, place: tuple[int]) -> Any:
        return self.memory[self._at(place)]

    def __setitem__(self, place: tuple[int], number: Any) -> None:
        self.memory[self._at(place)] = number

    def _at(self, place: tuple[int]) -> int:
        at = self.start + place[0]
        if at < 0:
            raise IndexError(f"{at} is before the beginning")
        return at


def evaluate_kernel(kernel: Kernel, *arguments: Any) -> int:
    """Run a kernel on NumPy arrays, or `MemoryFrom` somewhere in one, numbers and sizes; return its
    status.

    >>> from miniflow.lowering.nests import SizeParameter, load, name
    >>> n, j = name("n"), name("j")
    >>> x = ArrayParameter("x", "f32", (n,))
    >>> halve = Loop("j", n, (Store("x", (j,), load(x, j) / 2.0),))
    >>> numbers = np.array([1, 2], np.float32)
    >>> evaluate_kernel(Kernel((SizeParameter("n"), x), (halve,)), 2, numbers), numbers
    (0, array([0.5, 1. ], dtype=float32))
    """
    names: dict[str, Any] = {}
    for parameter, argument in zip(kernel.parameters, arguments, strict=True):
        names[parameter.name] = argument
    for parameter in kernel.parameters:
        given = names[parameter.name]
        if isinstance(parameter, ArrayParameter) and parameter.shape:
            memory = given.memory[given.start :] if isinstance(given, MemoryFrom) else given
            shape = [int(evaluate_term(size, names)) for size in parameter.shape]
            names[parameter.name] = _in_rows(memory.reshape(-1), shape)
        elif isinstance(parameter, ArrayParameter) and not isinstance(given, MemoryFrom):
            names[parameter.name] = MemoryFrom(given.reshape(-1), 0)
    try:
        with np.errstate(all="ignore"):
            _run(kernel.body, names)
    except _FailedError as failure:
        return int(failure.args[0])
    return 0


def _in_rows(memory: Array, shape: Sequence[int]) -> Array:
    """The memory as an array; of its last row, there may be a part only."""
    size = int(np.prod(shape))
    if len(memory) >= size:
        return memory[:size].reshape(shape)
    steps = [int(np.prod(shape[axis + 1 :])) * memory.itemsize for axis in range(len(shape))]
    return np.lib.stride_tricks.as_strided(memory, shape, steps)


def _run(statements: Iterable[Statement], names: dict[str, Any]) -> None:
    for statement in statements:
        match statement:
            case Let(name, value) | Begin(name, value):
                names[name] = evaluate_term(value, names)
            case Accumulate(name, value, by):
                names[name] = getattr(np, by)(names[name], evaluate_term(value, names))
            case Store(array, index, value, adds):
                place = tuple(int(evaluate_term(i, names)) for i in index)
                before = names[array][place] if adds else None
                number = evaluate_term(value, names)
                names[array][place] = before + number if adds else number
            case Loop(index, stop, body, start, step):
                first, end = (int(evaluate_term(term, names)) for term in (start, stop))
                for names[index] in range(first, end, step):
                    _run(body, names)
            case If(condition, body):
                if evaluate_term(condition, names):
                    _run(body, names)
            case Fail(status):
                raise _FailedError(status)


def evaluate_term(term: Term, names: Mapping[str, Any]) -> Any:
    """Return the number that a term is, or an array of them where names are arrays."""
    return _TermEvaluator(names).term(term)


class _TermEvaluator(TermWalk[Any]):
    """Evaluates terms, with what `names` says."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names

    def constant_of(self, number: Any, dtype: str) -> Any:
        return _dtype(dtype).type(number)

    def name_of(self, word: str, dtype: str) -> Any:
        return np.asarray(self.names[word], _dtype(dtype))[()]

    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> Any:
        return self.names[array][tuple(int(self.term(place)) for place in index)]

    def cast_of(self, x: Term, dtype: str) -> Any:
        return self.term(x).astype(_dtype(dtype))

    def bits_of(self, x: Term, dtype: str) -> Any:
        return self.term(x).view(_dtype(dtype))

    def choice_of(self, condition: Term, x: Term, y: Term) -> Any:
        return np.where(*map(self.term, (condition, x, y)))[()]

    def call_of(self, function: str, term: Term) -> Any:
        return evaluate_function(function, *map(self.term, term.operands))

    def comparison_of(self, op: str, x: Term, y: Term) -> Any:
        return getattr(np, op)(self.term(x), self.term(y))

    def operation_of(self, term: Term) -> Any:
        operands = list(map(self.term, term.operands))
        if term.op == "fma":
            return _fma(*operands)
        if term.op == "quotient":
            x, y = operands
            return (x - np.fmod(x, y)) // y
        return getattr(np, term.op)(*operands)


def _dtype(dtype: str) -> np.dtype[Any]:
    return DTYPES["i64" if dtype == SIZE else dtype]


def evaluate_function(name: str, *arguments: Any) -> Array | Any:
    """Return what a function of `functions` makes of numbers, or of arrays entry by entry."""
    function = FUNCTIONS[name]
    names = dict(zip(function.parameters, arguments, strict=True))
    for statement in function.body:
        names[statement.name] = evaluate_term(statement.value, names)
    return evaluate_term(function.result, names)


def _fma(x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once, or nearly so: what is lost on the way is computed and added.

    The product's error is found by splitting both factors (Dekker, "A floating-point technique for
    extending the available precision", 1971), the sum's by Knuth's two differences.
    """
    if x.dtype == np.float32:
        return (x.astype(float) * y + z).astype(np.float32)
    product, total = x * y, x * y + z
    parts = [(v, v * 134217729.0 - (v * 134217729.0 - v)) for v in (x, y)]  # 2^27 + 1
    (x, x_high), (y, y_high) = parts
    x_low, y_low = x - x_high, y - y_high
    of_product = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    of_total = (product - (total - (total - product))) + (z - (total - product))
    exact = total + (of_product + of_total)
    return np.where(np.isfinite(exact), exact, total)[()]
