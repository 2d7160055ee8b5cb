"""The lines of `run`: for each step of a loop program a call of its kernel, or of `multiply`; a
`for` for each loop of steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from miniflow.backends.braces import ATOM, INDENT
from miniflow.backends.javascript.conversions import converted
from miniflow.backends.javascript.memory import memory_lines
from miniflow.backends.javascript.numbers import number_of
from miniflow.backends.javascript.print_js import place_of
from miniflow.backends.javascript.source import KernelCall, ScriptSource
from miniflow.backends.javascript.values import (
    TYPED_ARRAYS,
    converted_int,
    in_comment,
    literal_text,
    own_text,
    quoted,
    where_text,
)
from miniflow.errors import CompileError
from miniflow.ir.program import Literal, Operand, Program, Variable
from miniflow.lowering.copies import copy_nest
from miniflow.lowering.expressions import is_python_int
from miniflow.lowering.loop_program import (
    ARGUMENT,
    NUMBER,
    RESULT,
    BufferView,
    ConvertedInt,
    Copy,
    Nest,
    NestArgument,
    NumpyCall,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.loop_program import Number as LoopNumber
from miniflow.lowering.nests import Fail, NumberParameter

_SET = 256  # elements: so many are copied by `set`, fewer in a loop
_FAILING = ("gather", "gather_update", "scatter_add", "power")


class StepPrinter:
    """Prints the steps of a loop program into a source, in order; `for_any_rows`: by nothing that
    depends on sizes.
    """

    def __init__(self, source: ScriptSource, program: Program, for_any_rows: bool) -> None:
        self.source, self.program, self.for_any_rows = source, program, for_any_rows
        self.loop_program, self.name_of = source.loop_program, source.name_of
        self.buffers = self.loop_program.buffers
        self.assigned: list[Copy] = []  # what is put where the caller handed it in, at the end

    def read_arguments(self) -> None:
        """Name the constants and the arguments, checked, and all memory."""
        source, program = self.source, self.program
        given = {
            self.name_of.get(c.variable) or source.fresh(c.variable.name): array_text(
                c.variable, f"constants[{place}]"
            )
            for place, c in enumerate(program.constants)
        }
        source.setup += memory_lines(self.buffers, given)
        replaced = {output.replaces for output in program.outputs}
        for place, entry in enumerate(program.inputs):
            variable, argument = entry.variable, f"args[{place}]"
            if variable.kind == "array":
                function = "owned" if variable in replaced else "fed"
                value = array_text(variable, argument, function)
            else:
                value = _number_text(variable.dtype, argument)
            source.lines.append(f"const {self.name_of[variable]} = {value};")
        for name, buffer in self.buffers.items():
            if buffer.role == RESULT:
                kind = TYPED_ARRAYS[buffer.dtype]
                source.lines.append(f"const {name} = new {kind}({buffer.size});")

    def write_steps(self) -> None:
        """Print all steps but those that put new values where the caller shall find them."""
        for step in self.loop_program.steps:
            if isinstance(step, Copy) and self.buffers[step.target.buffer].role == ARGUMENT:
                self.assigned.append(step)
            else:
                self._write(step, "")

    def _write(self, step: Step, indent: str) -> None:
        self.source.label(step.equations, indent)
        match step:
            case Repeat(index, count, steps):
                head = f"for (let {index} = 0; {index} < {count}; {index}++) {{"
                self.source.lines.append(indent + head)
                for inner in steps:
                    self._write(inner, indent + INDENT)
                self.source.lines.append(f"{indent}}}")
            case Nest():
                self._write_nest(step, indent)
            case Product():
                self.source.lines += (indent + line for line in self._product_lines(step))
            case Copy():
                self._write_copy(step, indent)
            case NumpyCall():
                self.source.lines.append(indent + self._number_line(step))

    # Numbers.

    def number(self, number: LoopNumber) -> str:
        """The text of a single number, as it is."""
        if isinstance(number, Literal):
            return own_text(number)
        if self.buffers[number.buffer].role == NUMBER:
            return number.buffer
        entry = f"{number.buffer}[{place_text(number)}]"
        return f"{entry} !== 0" if number.dtype == "bool" else entry

    def _number_line(self, call: NumpyCall) -> str:
        """Arithmetic of Python's numbers; or one of them is put into memory."""
        equation, target = call.equation, call.target
        texts = dict(zip(equation.operands, map(self.number, call.operands), strict=True))
        if self.buffers[target.buffer].role == NUMBER:
            return f"const {target.buffer} = {number_of(equation, texts.__getitem__)};"
        (operand,) = equation.operands
        text = self._converted(operand, texts[operand], target.dtype)
        return f"{target.buffer}[{place_text(target)}] = {text};"

    def _converted(self, operand: Operand, text: str, dtype: str) -> str:
        if is_python_int(operand):
            return converted_int(text, dtype, "wraps")
        if operand.dtype == "bool":
            return f"{'BigInt' if dtype in ('i64', 'u64') else 'Number'}({text})"
        if dtype == "bool":
            return f"Number({text} != 0)"
        return converted(text, ATOM, operand.dtype, dtype)[0]

    # Nests.

    def _write_nest(self, nest: Nest, indent: str) -> None:
        kernel, moved, texts = nest.kernel, set[str](), dict[str, str]()
        for parameter, argument in zip(kernel.parameters, nest.arguments, strict=True):
            if isinstance(parameter, NumberParameter):
                texts[parameter.name] = self._number_argument(argument, parameter.dtype)
            elif isinstance(argument, BufferView):
                texts[parameter.name] = argument.buffer
                if argument.offset or argument.moves:
                    moved.add(parameter.name)
                    texts[place_of(parameter.name)] = place_text(argument)
            else:
                texts[parameter.name] = str(argument)
        failing = ""
        if any(isinstance(statement, Fail) for statement in kernel.statements()):
            failing = where_text(next(e for e in nest.equations if e.primitive in _FAILING))
        self.source.call(KernelCall(kernel, frozenset(moved), texts, failing, indent))

    def _number_argument(self, argument: NestArgument, dtype: str) -> str:
        if isinstance(argument, ConvertedInt):
            return converted_int(self.number(argument.operand), argument.dtype, argument.how)
        if isinstance(argument, Literal):
            return literal_text(argument, dtype)
        assert isinstance(argument, BufferView)
        return self.number(argument)

    # Copies.

    def _write_copy(self, copy: Copy, indent: str) -> None:
        target, source = copy.target, copy.source
        is_in_one_piece = target.is_contiguous and source.is_contiguous and not copy.adds
        if is_in_one_piece and target.size >= _SET and not self.for_any_rows:
            at = "" if place_text(target) == "0" else f", {place_text(target)}"
            line = f"{target.buffer}.set({self.array(source)}{at});"
            self.source.lines.append(indent + line)
            return
        nest = copy_nest(copy)
        if nest is None:
            raise CompileError(f"There is no loop over {len(target.shape)} axes in JavaScript.")
        self._write_nest(nest, indent)

    def array(self, view: BufferView) -> str:
        """The text of an array that lies in one piece."""
        start, all_of_it = place_text(view), self.buffers[view.buffer].size
        if start == "0" and view.size == all_of_it:
            return view.buffer
        end = place_text(view._replace(offset=view.offset + view.size))
        return f"{view.buffer}.subarray({start}, {end})"

    # Products.

    def _product_lines(self, product: Product) -> Iterator[str]:
        """A product of matrices, in a loop for each axis of a stack of them."""
        c, a, b = product.c, product.left, product.b
        rank = len(c.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)
        called = f"{self._called(a)} @ {self._called(b)}"
        if len(a.shape) == 1:
            a = a._replace(shape=(1, *a.shape), strides=(0, *a.strides))
        if len(b.shape) == 1:
            b = b._replace(shape=(*b.shape, 1), strides=(*b.strides, 0))
        (m, k), n = a.shape[-2:], b.shape[-1]
        steps = [c.strides[:rank], *(_over_stack(x, rank) for x in (a, b))]
        close = list[str]()
        moves: list[tuple[tuple[str, int], ...]] = [(), (), ()]
        for axis, length in enumerate(c.shape[:rank]):
            if length != 1:
                i = f"i{axis}"
                yield f"{INDENT * len(close)}for (let {i} = 0; {i} < {length}; {i}++) {{"
                close.insert(0, INDENT * len(close) + "}")
                moves = [
                    (*each, (i, step[axis])) if step[axis] else each
                    for each, step in zip(moves, steps, strict=True)
                ]
        arguments = []
        for view, more in zip((c, a, b), moves, strict=True):
            arguments += [view.buffer, place_text(view._replace(moves=(*view.moves, *more)))]
            if view is not c:
                arguments += map(str, view.strides[-2:])
        word = "multiply" if self.for_any_rows else _multiply_word(m, n)
        call = f"{word}({', '.join([*arguments, *map(str, (m, k, n))])});  // {in_comment(called)}"
        yield INDENT * len(close) + call
        yield from close

    def _called(self, factor: BufferView) -> str:
        """What a reader would call a factor."""
        turned = factor._replace(shape=factor.shape[::-1], strides=factor.strides[::-1])
        is_all = factor.size == self.buffers[factor.buffer].size and not factor.moves
        part = "[...]"
        if is_all and (factor.is_contiguous or turned.is_contiguous):
            part = "" if factor.is_contiguous else ".T"
        return f"{factor.buffer}{part}"


def _multiply_word(m: int, n: int) -> str:
    """The function that `multiply` calls for a product of m x n."""
    if n < 4:
        return "multiplyFew"
    return "multiplyRow" if m == 1 else "multiplyRows" if m < 16 else "multiplyPanels"


def place_text(view: BufferView) -> str:
    """Where a view begins: ``28 * t + 3``."""
    terms = [f"{step} * {index}" for index, step in view.moves]
    if view.offset or not terms:
        terms.append(str(view.offset))
    return " + ".join(terms).replace("+ -", "- ")


def array_text(variable: Variable, given: str, function: str = "fed") -> str:
    """An array that is handed in, once it has been looked at."""
    kind, name = TYPED_ARRAYS[variable.dtype], quoted(variable.name or "an array")
    return f"{function}({given}, {kind}, {variable.type.size}, {name})"


def _number_text(dtype: str, given: str) -> str:
    """A number as it is computed with; a Boolean or a bigint may be given as a number."""
    if dtype == "bool":
        return f"Boolean({given})"
    if dtype in ("i64", "u64"):
        return f"BigInt({given})"
    return f"fround({given})" if dtype == "f32" else f"Number({given})"


def _over_stack(x: BufferView, rank: int) -> tuple[int, ...]:
    """The strides along the axes of a stack, to which a factor is broadcast."""
    pairs = zip(x.shape[:-2], x.strides[:-2], strict=True)
    steps = tuple(0 if length == 1 else step for length, step in pairs)
    return (0,) * (rank - len(steps)) + steps
