"""The records of which a program is made; all immutable, and data only.

A `Program` takes `Input`s, knows `Constant`s, computes one `Variable` per `Equation` and returns
`Output`s:

    program(X: f32[128,784], y: i64[128], W: f32[784,10], b: f32[10]):
      logits = add(matmul(X, W), b)          # Linear 'logits'
      ...
      return loss

A `Variable` is assigned once and is itself (compared by identity); what an equation reads is a
variable or a `Literal`, a number written into the program. Larger constants are variables that the
program defines, listed in `Program.constants`. Primitives are referred to by name, and parameters
are plain numbers, strings and tuples, so a program is easily stored; that of a loop is a program.

Nothing in a program changes an array. A new value of a parameter is an output that `replaces` an
input; a backend may then do it in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from miniflow.ir.dtypes import Array, Value, ValueType, type_of

PHASES: Final = ("forward", "backward", "update")
INPUT_ROLES: Final = ("fed", "parameter", "state", "hyper")
OUTPUT_ROLES: Final = ("value", "gradient", "parameter", "state", "check")

Params: TypeAlias = Mapping[str, Any]  # of None, bool, int, str, tuples of these; a Program
NO_PARAMS: Final[Params] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an equation comes from; one object is shared by all equations of a node's pass.

    `node` is the node's label (``Linear 'logits'``), `where` the file and line that built it,
    `phase` one of `PHASES`, `index` the node's place in the order of the graph (-1: no node, as
    with an optimizer; less: a node in the body of a loop).
    """

    node: str
    where: str = ""
    phase: str = "forward"
    index: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A value that is computed once: its type, and a name to print it by (not always unique)."""

    type: ValueType
    name: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, () for numbers."""
        return self.type.shape

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self.type.dtype

    @property
    def kind(self) -> str:
        """``array``, ``scalar`` or ``python``."""
        return self.type.kind

    def __repr__(self) -> str:
        return f"{self.name or '_'}: {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A number written into an equation: Python's (weak) or NumPy's.

    Two literals are equal where nothing can tell them apart: 1, 1.0 and True differ, 0.0 and -0.0
    too, NaN equals NaN.

    >>> Literal(1) == Literal(1.0), Literal(float("nan")) == Literal(float("nan"))
    (False, True)
    """

    value: bool | int | float | np.generic
    type: ValueType = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.value, np.ndarray):
            raise TypeError("an array is a constant of the program, not a literal")
        object.__setattr__(self, "type", type_of(self.value))

    @property
    def shape(self) -> tuple[int, ...]:
        """Always ()."""
        return ()

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self.type.dtype

    @property
    def kind(self) -> str:
        """``scalar`` or ``python``."""
        return self.type.kind

    def _key(self) -> tuple[ValueType, str | bytes]:
        value = self.value
        return self.type, value.tobytes() if isinstance(value, np.generic) else repr(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        value = self.value
        return f"{self.type}({value!s})" if isinstance(value, np.generic) else repr(value)


Operand: TypeAlias = Variable | Literal


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """`result = primitive(*operands, **params)`; compared by identity.

    `params` is kept as a read-only mapping of numbers, strings, None and tuples of these; the
    `body` of a scan is a program.
    """

    primitive: str
    operands: tuple[Operand, ...]
    params: Params
    result: Variable
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if type(self.params) is not MappingProxyType:
            params = MappingProxyType(dict(self.params)) if self.params else NO_PARAMS
            object.__setattr__(self, "params", params)

    def __repr__(self) -> str:
        arguments = [*map(repr, self.operands), *(f"{k}={v!r}" for k, v in self.params.items())]
        return f"{self.result!r} = {self.primitive}({', '.join(arguments)})"

    def __reduce__(self) -> tuple[object, ...]:  # a read-only mapping cannot be pickled, a dict can
        fields = (self.primitive, self.operands, dict(self.params), self.result, self.origin)
        return Equation, fields


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """A value that the caller hands in; its name is the variable's.

    `role` is ``fed`` (data), ``parameter`` (what a node keeps: a `Parameter`'s array, or a
    `State`'s), ``state`` (what an optimizer keeps) or ``hyper`` (a learning rate). `origin` names
    the node that it is, where there is one.
    """

    variable: Variable
    role: str = "fed"
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An array that belongs to the program; it is read-only."""

    variable: Variable
    value: Array


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A value that the caller gets.

    `role` is ``value``, ``gradient`` (with respect to what `name` says), or ``parameter`` or
    ``state``: the new value of the input that it `replaces`, of the same role and type. What has
    the role ``check`` is handed to nobody: a number that has to be finite before anything is
    replaced.
    """

    operand: Operand
    role: str = "value"
    name: str | None = None
    replaces: Variable | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Inputs, constants, equations in the order of computation, outputs; `print` shows it."""

    inputs: tuple[Input, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Output, ...]
    constants: tuple[Constant, ...] = ()

    def __str__(self) -> str:
        from miniflow.ir.text import format_program

        return format_program(self)

    def __repr__(self) -> str:
        return (
            f"<Program of {len(self.inputs)} inputs, {len(self.equations)} equations, "
            f"{len(self.outputs)} outputs>"
        )


def handed_out(program: Program) -> list[Output]:
    """The outputs that the caller gets: they replace nothing, and are no checks."""
    return [o for o in program.outputs if o.replaces is None and o.role != "check"]


def number_to_check(program: Program) -> Variable | None:
    """The number that has to be finite before a program replaces anything: its check or, of a
    program without one, its value. None if that is no floating-point number, or if nothing is
    replaced.

    >>> number_to_check(Program((), (), ())) is None
    True
    """
    if all(output.replaces is None for output in program.outputs):
        return None
    checks = [output for output in program.outputs if output.role == "check"]
    value = next((o.operand for o in (*checks, *handed_out(program))), None)
    is_known = isinstance(value, Variable) and value.shape == () and value.dtype[0] == "f"
    return value if is_known else None  # type: ignore[return-value]


def is_number(operand: Operand, number: float) -> bool:
    """Whether an operand is a literal of that value, whatever its type.

    >>> is_number(Literal(np.float32(2)), 2), is_number(Literal(2.5), 2)
    (True, False)
    """
    return isinstance(operand, Literal) and bool(operand.value == number)


def count_uses(program: Program) -> dict[Variable, int]:
    """Return how often each variable is read, by equations and outputs, if it is read at all."""
    uses: dict[Variable, int] = {}
    for operand in _operands(program):
        if isinstance(operand, Variable):
            uses[operand] = uses.get(operand, 0) + 1
    return uses


def _operands(program: Program) -> Iterable[Operand]:
    for equation in program.equations:
        yield from equation.operands
    for output in program.outputs:
        yield output.operand


def without_unneeded(program: Program) -> Program:
    """Return a program without the equations and constants that no output needs; inputs stay."""
    needed: set[Operand] = {output.operand for output in program.outputs}
    kept = []
    for equation in reversed(program.equations):
        if equation.result in needed:
            needed.update(equation.operands)
            kept.append(equation)
    constants = tuple(c for c in program.constants if c.variable in needed)
    return Program(program.inputs, tuple(reversed(kept)), program.outputs, constants)


def as_operand(value: Operand | Value) -> Operand:
    """Return variables and literals as they are, numbers as literals."""
    if isinstance(value, (Variable, Literal)):
        return value
    if isinstance(value, np.ndarray):
        raise TypeError("an array is a constant of the program (`Builder.constant`), not a literal")
    return Literal(value)
