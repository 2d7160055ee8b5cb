"""The text that the NumPy backend writes: a module with a set-up (blocks of memory, arrays in them,
prepared products) and one function, `step`, with a line for each equation.

`NumPySource` collects it (`module_text`), and knows what every value is called there. Arrays that
lie in planned blocks are *static*: they and their views are made in the set-up. Inputs and results
that are returned lie elsewhere at each run, so views of them are made in `step`. The writers of
`emit` ask for names and add lines.
"""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

from miniflow.backends.numpy.dialect import kind_of, strip_transposes
from miniflow.backends.numpy.module_text import ModuleText
from miniflow.backends.numpy.numbers import (
    ATOM,
    PythonExpression,
    python_literal,
)
from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.ir.indexing import bracket_text, brackets
from miniflow.ir.program import Equation, Literal, Operand, Program, Variable, count_uses
from miniflow.lowering.aliasing import variables_read
from miniflow.lowering.memory import MemoryPlan
from miniflow.lowering.written_over import find_written_over

MAX_INLINE = 48  # characters of a number that is written where it is read
MAX_FILLED = 2**15  # elements of a constant, or a repeated row, that is written out in full
SHORT, MANY = 64, 2**10  # elements of a row that is repeated, and how many of the longest


class NumPySource(ModuleText):
    """The module of a program, and what its numbers and arrays are called in it."""

    def __init__(self, program: Program, plan: MemoryPlan, has_blas: bool) -> None:
        super().__init__([entry.variable for entry in program.inputs], plan.blocks)
        self.plan = plan
        self.has_blas = has_blas
        self.equation_of: dict[Operand, Equation] = {e.result: e for e in plan.equations}
        self._roles = {entry.variable: entry.role for entry in program.inputs}
        self._constants = {c.variable: i for i, c in enumerate(program.constants)}
        self.written_over = find_written_over(program)
        self._uses = count_uses(program)
        self._waiting: dict[Operand, PythonExpression] = {}
        self._callers: list[str] = []  # operands of products that hold what the caller made or gets
        self.bodies: list[Program] = []  # of the scans

    # Numbers.

    def number(self, operand: Operand) -> PythonExpression:
        """Write an operand of an equation on numbers."""
        if isinstance(operand, Variable):
            if operand in self._waiting:
                return self._waiting.pop(operand)
            return PythonExpression(self.array(operand), ATOM)
        if operand.kind == "python":
            return self._python_number(operand.value)
        text, hint = self._literal(operand)
        return PythonExpression(
            self.prepared(f"{hint}_number", f"{self.dtype(operand.dtype)}({text})"), ATOM
        )

    def assign_number(
        self, equation: Equation, expression: PythonExpression, can_wait: bool
    ) -> None:
        """Write a number now or, where it is read once and has no name, where it is read."""
        result = equation.result
        is_short = len(expression.text) <= MAX_INLINE
        if can_wait and is_short and result.name is None and self._uses.get(result) == 1:
            self._waiting[result] = expression
        else:
            self.line(f"{self.names(result)} = {expression.text}")

    def write_number_now(self, variable: Variable) -> str:
        """Return the name of a number; write it now if it is waiting."""
        if variable in self._waiting:
            self.line(f"{self.names(variable)} = {self._waiting.pop(variable).text}")
        return self.array(variable)

    def _python_number(self, value: Any) -> PythonExpression:
        if isinstance(value, float) and not isfinite(value):
            self.function("nan" if value != value else "inf")
        return python_literal(value)

    def _literal(self, literal: Literal) -> tuple[str, str]:
        """A NumPy scalar as text, and a hint for its name."""
        value, type_ = literal.value, DTYPES[literal.dtype].type
        text = str(value)
        if literal.dtype[0] == "f":
            if isfinite(value) and type_(float(text)) != value:
                text = repr(float(value))
            self._python_number(float(value))
        hint = text.removesuffix(".0").replace("e-", "e_").replace("-", "minus_").replace(".", "_")
        return text, f"{literal.dtype}_{hint}"

    # Arrays.

    def read(self, operand: Operand) -> str:
        """Write an operand for a function of NumPy; NumPy's scalars as 0-d arrays."""
        if isinstance(operand, Literal) and operand.kind == "scalar":
            text, hint = self._literal(operand)
            return self.prepared(
                hint, f"{self.function('array')}({text}, {self.dtype(operand.dtype)})"
            )
        if isinstance(operand, Variable) and operand.kind == "array":
            return self.array(operand)
        return self.number(operand).text

    def broadcast(self, operand: Operand) -> str:
        """Write an operand for a function that broadcasts: what it was broadcast from will do."""
        equation = self.equation_of.get(operand)
        while equation is not None and equation.primitive == "broadcast_to":
            operand = equation.operands[0]
            equation = self.equation_of.get(operand)
        return self.read(operand)

    def filled(self, literal: Literal, shape: tuple[int, ...]) -> str:
        """Write a number as an array of a shape, or of its last axes where that is large."""
        shape = _last_axes(shape)
        text, hint = self._literal(literal)
        sizes = "x".join(map(str, shape))
        dtype = self.dtype(literal.dtype)
        return self.prepared(
            f"{hint}_{sizes}", f"{self.function('full')}({shape}, {text}, {dtype})"
        )

    def is_short(self, operand: Operand, result: Variable) -> bool:
        """Whether an operand is a row so short that NumPy, adding it to each row of something
        large, is busy with going from row to row.
        """
        is_row = isinstance(operand, Variable) and operand.kind == "array"
        is_row = is_row and operand.shape == result.shape[-1:] and len(_last_axes(result.shape)) > 1
        return is_row and 1 < operand.type.size <= SHORT and result.type.size >= MANY * SHORT

    def repeated(self, operand: Operand, shape: tuple[int, ...]) -> str:
        """Write a row as an array of the last axes of a shape, each row of it the same."""
        name, shape = self.read(operand), _last_axes(shape)
        empty = f"{self.function('empty')}({shape}, {self.dtype(operand.dtype)})"
        rows = self.prepared(f"{name}_rows", empty, ("repeated", operand, shape))
        self.line(f"{rows}[...] = {name}")
        return rows

    def array(self, variable: Variable) -> str:
        """Return the name of a value, and see to it that it exists: first what it is a view of."""
        chain = [self._placed(variable)]
        while chain[-1] not in self.known and (base := self._base(chain[-1])) is not None:
            chain.append(self._placed(base))
        for link in reversed(chain):
            if link not in self.known:
                self.known[link] = self._define(link)
        return self.known[chain[0]]

    def _placed(self, variable: Variable) -> Variable:
        return self.plan.updated.get(variable, variable)

    def _base(self, variable: Variable) -> Variable | None:
        """What a variable is a view of, if it is one."""
        equation = self.equation_of.get(variable)
        if equation is None or kind_of(equation) != "view":
            return None
        (base,) = equation.operands
        return base if isinstance(base, Variable) else None

    def _define(self, variable: Variable) -> str:
        block, equation = self.plan.block_of.get(variable), self.equation_of.get(variable)
        if block is not None:
            return self._define_in_block(variable, block)
        name = self.names(variable)
        if variable in self._constants:
            self.setup.append(f"{name} = constants[{self._constants[variable]}]")
        elif equation is not None and kind_of(equation) == "constant":
            self.setup.append(f"{name} = {self._constant(equation)}")
        elif equation is not None and kind_of(equation) == "view":
            self._bind(equation.operands[0], name, self._view(equation))
        return name

    def _define_in_block(self, variable: Variable, block: int) -> str:
        """Values without a name share one: that of the operand which they are written over, or one
        for each piece of memory.
        """
        expression = self._in_block(block, variable.type, self.plan.offset_of.get(variable, 0))
        if variable.name is not None:
            return self.prepared(variable.name, expression, variable)
        for operand in variables_read(self.equation_of[variable]):
            if operand.type == variable.type and self.share_memory(operand, variable):
                return self.array(operand)
        return self.prepared(None, expression)

    def _in_block(self, block: int, type_: ValueType, offset: int = 0) -> str:
        where = f", {offset}" if offset else ""
        dtype = self.dtype(type_.dtype)
        return f"{self.function('in_block')}(block_{block}, {dtype}, {type_.shape}{where})"

    def _constant(self, equation: Equation) -> str:
        params = equation.params
        if equation.primitive == "full":
            (literal,) = equation.operands
            assert isinstance(literal, Literal)
            value = DTYPES[params["dtype"]].type(literal.value)
            return (
                f"{self.function('broadcast_to')}({self.read(Literal(value))}, {params['shape']})"
            )
        run = ", ".join(str(params[key]) for key in ("start", "stop", "step"))
        return f"{self.function('arange')}({run}, dtype={self.dtype(params['dtype'])})"

    def _view(self, equation: Equation) -> str:
        base, params = self.read(equation.operands[0]), equation.params
        match equation.primitive:
            case "reshape":
                return f"{base}.reshape({params['shape']})"
            case "transpose":
                axes = params["axes"]
                is_reversed = axes == tuple(reversed(range(len(axes))))
                return f"{base}.T" if is_reversed else f"{base}.transpose({axes})"
            case "broadcast_to":
                return f"{self.function('broadcast_to')}({base}, {params['shape']})"
            case "windows":
                windows = self.function("windows")
                return f"{windows}({base}, {params['window']}, {params['axes']})"
        return f"{base}[{bracket_text(brackets(params['index']))}]"

    def _bind(self, base: Operand, name: str, expression: str) -> None:
        """Name a view of `base`: in the set-up, or in `step` if `base` lies elsewhere each time."""
        if isinstance(base, Variable) and not self.is_static(base):
            self.line(f"{name} = {expression}")
        else:
            self.setup.append(f"{name} = {expression}")

    def derived(self, variable: Variable, hint: str, suffix: str) -> str:
        """Return the name of another view of an array: `suffix` makes it."""
        base = self.array(variable)
        if (base, suffix) not in self.known:
            name = self.names(Variable(ValueType("i64"), f"{base}_{hint}"))
            self.known[base, suffix] = name
            self._bind(variable, name, base + suffix)
        return self.known[base, suffix]

    def is_static(self, variable: Variable) -> bool:
        """Whether an array lies at the same place at each run."""
        root = self.plan.root(variable)
        if root in self.plan.block_of or root in self._constants:
            return True
        equation = self.equation_of.get(root)
        return equation is not None and kind_of(equation) == "constant"

    def lies_in_order(self, variable: Variable) -> bool:
        """Whether the elements of an array follow each other in C order: no view, or a reshape."""
        while (base := self._base(variable)) is not None:
            if self.equation_of[variable].primitive != "reshape":
                return False
            variable = base
        equation = self.equation_of.get(variable)
        return equation is None or kind_of(equation) != "constant"

    def share_memory(self, x: Operand, y: Operand) -> bool:
        """Whether two arrays lie at the same place."""
        return (
            isinstance(x, Variable) and isinstance(y, Variable) and self._place(x) == self._place(y)
        )

    def _place(self, variable: Variable) -> Variable | int | tuple[int, int]:
        offset = self.plan.offset_of.get(variable)
        if offset is not None:
            return self.plan.block_of[variable], offset
        root = self.plan.root(variable)
        return self.plan.block_of.get(root, self._placed(root))

    def result(self, equation: Equation) -> str:
        """Return the name of the array that an equation writes to."""
        variable = equation.result
        if variable in self.plan.returned:
            shape, dtype = variable.shape, self.dtype(variable.dtype)
            self.line(f"{self.names(variable)} = {self.function('empty')}({shape}, {dtype})")
        return self.array(variable)

    def scratch(self, equation: Equation, place: int, dtype: str, shape: tuple[int, ...]) -> str:
        """Return the name of an array to work with while an equation runs."""
        block = self.plan.scratch[equation][place]
        return self.prepared("scratch", self._in_block(block, ValueType(dtype, shape)))

    # Operands of matrix products.

    def matrix(self, operand: Operand) -> tuple[str, bool]:
        """Write an operand of a product: the array, or the `Operand` in which it moves, and whether
        it is to be transposed.
        """
        assert isinstance(operand, Variable)
        base, is_transposed = strip_transposes(operand, self.equation_of)
        name = self.array(base)
        return (name if self.is_static(base) else self._operand(base, name)), is_transposed

    def matrix_text(self, operand: Operand) -> str:
        """Write an operand of a product for a comment."""
        assert isinstance(operand, Variable)
        base, is_transposed = strip_transposes(operand, self.equation_of)
        return self.array(base) + ".T" * is_transposed

    def _operand(self, variable: Variable, array: str) -> str:
        key = (array, "moving")
        if key not in self.known:
            dtype = self.dtype(variable.dtype)
            expression = f"{self.function('moving')}({dtype}, {variable.shape})"
            operand = self.prepared(f"{array}_operand", expression, key)
            self.setup_end.append(f"{operand}.release()")
            root = self.plan.root(variable)
            role = self._roles.get(self._placed(root), "returned")
            move = f"{operand}.move({array})"
            if self._placed(variable) not in self._roles:
                self.line(move)
            elif role == "fed":
                self.beginning.append(f"    {move}")
            else:  # a parameter is the same array, most of the time
                self.beginning += [f"    if {operand}.array is not {array}:", f"        {move}"]
            if role in ("fed", "returned"):
                self._callers.append(operand)
        return self.known[key]

    def release(self) -> None:
        """Let no array be kept alive that is the caller's."""
        for operand in self._callers:
            self.line(f"{operand}.release()")


def _last_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """As many of the last axes as `MAX_FILLED` allows; one at least."""
    while prod(shape) > MAX_FILLED and len(shape) > 1:
        shape = shape[1:]
    return shape
