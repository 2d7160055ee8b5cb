"""How functions of numbers are defined: once, with terms.

A definition is run when somebody asks for the function, once, with names for its operands. What it
did is kept in `FUNCTIONS`: statements for what is read more than once, and the result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from miniflow.lowering.nests import Let, Term, bits, cast, fma, functions_called, name

as_f32, as_f64 = partial(bits, dtype="f32"), partial(bits, dtype="f64")
as_i32, as_i64 = partial(bits, dtype="i32"), partial(bits, dtype="i64")
f32, f64 = partial(cast, dtype="f32"), partial(cast, dtype="f64")
i32, i64 = partial(cast, dtype="i32"), partial(cast, dtype="i64")
u32, u64 = partial(cast, dtype="u32"), partial(cast, dtype="u64")
as_u32, as_u64 = partial(bits, dtype="u32"), partial(bits, dtype="u64")


@dataclass(frozen=True, slots=True)
class LoopFunction:
    """A function of numbers: its parameters (names), statements, and the result."""

    name: str
    dtype: str
    parameters: tuple[str, ...]
    body: tuple[Let, ...]
    result: Term

    def statements(self) -> Iterator[Let]:
        """The statements, the result being the last one's value."""
        yield from self.body
        yield Let("result", self.result)


class _Functions(Mapping[str, LoopFunction]):
    """Functions by name, each made of its definition when it is asked for."""

    def __init__(self) -> None:
        self.definitions: dict[str, Callable[..., Term]] = {}
        self._made: dict[str, LoopFunction] = {}

    def __getitem__(self, called: str) -> LoopFunction:
        if called not in self._made:
            self._made[called] = _made_of(called, self.definitions[called])
        return self._made[called]

    def __iter__(self) -> Iterator[str]:
        return iter(self.definitions)

    def __len__(self) -> int:
        return len(self.definitions)


FLOATS: Final = ("f32", "f64")
FUNCTIONS: Final = _Functions()
"""By name, ``exp_f32`` for example; all parameters and the result have the dtype in the name."""


def function(definition: Callable[..., Term]) -> Callable[..., Term]:
    """Keep what a definition does in `FUNCTIONS`, and return what calls it from others."""
    return define(definition.__name__, definition)


def for_each(called: str, *dtypes: str) -> Callable[[Callable[..., Term]], Callable[..., Term]]:
    """Keep a definition for several dtypes, each under a name with the dtype behind it."""

    def keep(definition: Callable[..., Term]) -> Callable[..., Term]:
        for dtype in dtypes:
            define(f"{called}_{dtype}", definition)
        return definition

    return keep


def define(called: str, definition: Callable[..., Term]) -> Callable[..., Term]:
    """Keep a definition under a name that ends with the dtype."""
    dtype = called.rpartition("_")[2]
    FUNCTIONS.definitions[called] = definition
    return lambda *operands: Term("call", dtype, operands, called)


def _made_of(called: str, definition: Callable[..., Term]) -> LoopFunction:
    dtype = called.rpartition("_")[2]
    parameters = tuple(inspect.signature(definition).parameters)
    body, result = _with_names(definition(*(name(word, dtype) for word in parameters)))
    return LoopFunction(called, dtype, parameters, body, result)


def polynomial(z: Term, *coefficients: float) -> Term:
    """A polynomial; the last coefficient is the one without z."""
    first, second, *rest = coefficients
    p = fma(z, first, second)
    for coefficient in rest:
        p = fma(p, z, coefficient)
    return p


def called_by(
    kernels: Iterable[Any], is_left_out: Callable[[str], bool] = lambda called: False
) -> list[str]:
    """The functions that kernels call, and that these call, each before its callers."""
    order: dict[str, None] = {}

    def visit(called: str) -> None:
        if called not in order and not is_left_out(called):
            for other in functions_called(FUNCTIONS[called]):
                visit(other)
            order[called] = None

    for kernel in kernels:
        for called in functions_called(kernel):
            visit(called)
    return list(order)


def _with_names(result: Term) -> tuple[tuple[Let, ...], Term]:
    """Give what is read more than once a name: a statement each, in the order of evaluation."""
    readers: dict[int, int] = {}
    order: list[Term] = []  # operands come first

    def visit(term: Term) -> None:
        readers[id(term)] = readers.get(id(term), 0) + 1
        if readers[id(term)] == 1:
            for operand in term.operands:
                visit(operand)
            order.append(term)

    visit(result)
    body: list[Let] = []
    texts: dict[int, Term] = {}
    for term in order:
        operands = tuple(texts[id(operand)] for operand in term.operands)
        written = Term(term.op, term.dtype, operands, term.what)
        if readers[id(term)] > 1 and term.operands:
            body.append(Let(f"v{len(body) + 1}", written))
            written = name(body[-1].name, term.dtype)
        texts[id(term)] = written
    return tuple(body), texts[id(result)]
