"""The lines of `run`: for each group of a plan a call of its kernel, or of `multiply`.

What has no nest of its own, because elements are only moved, is a conversion from one view of
memory to another: a part that is written, the operands of a concatenation, an array in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from miniflow.backends.javascript.numbers import number_of
from miniflow.backends.javascript.print_js import place_of
from miniflow.backends.javascript.scan import write_scan
from miniflow.backends.javascript.source import KernelCall, ScriptSource
from miniflow.backends.javascript.values import (
    TYPED_ARRAYS,
    converted_int,
    entry_text,
    in_comment,
    literal_text,
    own_text,
    where_text,
)
from miniflow.ir import PRIMITIVES, Builder, Equation, Literal, Operand, Program, Variable
from miniflow.ir.dtypes import Array, ValueType
from miniflow.ir.program import Output, is_number
from miniflow.lowering.alone import write_alone
from miniflow.lowering.arrangements import arrangement_of, step_of, with_rows
from miniflow.lowering.fuse import fuse
from miniflow.lowering.groups import CALL, CONSTANT, LOOP, NUMBER, ONE, PRODUCT, EquationGroup
from miniflow.lowering.kernels import GroupKernel, write_kernel
from miniflow.lowering.nests import Fail, NumberParameter
from miniflow.lowering.parameters import BY_ROWS, Argument, Converted, Number, Scratch, Size
from miniflow.lowering.plan import StepPlan
from miniflow.lowering.views import Region, c_strides, sliced, view_of, whole_view

FunctionText = Callable[[Program, str], str]


class StepWriter:
    """Writes the groups of a plan into a source, in order."""

    def __init__(self, source: ScriptSource, plan: StepPlan, function_text: FunctionText) -> None:
        self.source, self.plan, self.function_text = source, plan, function_text
        self.layouts: dict[Variable, Region] = dict(plan.layouts)
        self.made = {e.result for group in plan.schedule.groups for e in group.equations}

    def write(self) -> None:
        """Write all groups whose results anybody needs."""
        for group in self.plan.schedule.groups:
            if not any(equation.result in self.plan.needed for equation in group.equations):
                continue
            equation = group.equations[0]
            if group.kind == CONSTANT:
                self._write_constant(equation)
            elif group.kind == NUMBER:
                name = self.source.names(equation.result)
                text = number_of(equation, self.number)
                self.source.lines.append(f"const {name} = {text};")
            elif group.kind in (LOOP, PRODUCT, CALL):
                self.source.label(group.equations)
                self._write_group(group)

    def _write_group(self, group: EquationGroup) -> None:
        if group.kind == LOOP:
            stored = self.plan.schedule.stored
            results = [equation.result for equation in group.equations]
            self._write_loop(group, [v for v in results if v in stored and v in self.plan.needed])
        elif group.kind == PRODUCT:
            self._write_product(group.equations[0])
        else:
            self._write_call(group.equations[0])

    # Where values are.

    def home(self, variable: Variable) -> Variable:
        """The variable in whose memory one lies."""
        return self.plan.homes.get(variable, variable)

    def layout(self, variable: Variable) -> Region:
        """Where the elements of an array are."""
        region = self.layouts.get(variable) or whole_view(variable)
        return region._replace(base=self.home(region.base))

    def array_of(self, operand: Operand) -> str:
        """The name of the memory of an array that lies in order, and is all of it."""
        assert isinstance(operand, Variable)
        return self.source.array(self.layout(operand).base)

    def number(self, operand: Operand) -> str:
        """The text of a single number, as it is."""
        if isinstance(operand, Literal):
            return own_text(operand)
        if operand.kind == "python" or (operand.kind == "scalar" and operand not in self.made):
            return self.source.names(operand)
        region = self.layout(operand)
        return self.entry(self.source.array(region.base), str(region.offset), operand.dtype)

    @staticmethod
    def entry(array: str, index: str, dtype: str) -> str:
        """The text of an element of an array."""
        return f"{array}[{index}]" + (" !== 0" if dtype == "bool" else "")

    def whole(self, operand: Operand) -> Operand:
        """An array in order that is all of its memory; what is not, is copied."""
        if operand.kind != "array" or not isinstance(operand, Variable):
            return operand
        is_whole = self.layout(operand).is_whole
        return operand if is_whole else self.copy(operand, operand.dtype)

    def copy(self, operand: Operand, dtype: str) -> Variable:
        """A copy of an array, in a dtype."""
        copy = Variable(ValueType(dtype, operand.shape), getattr(operand, "name", None))
        self._convert(operand, copy)
        return copy

    def own_array(self, output: Output) -> str:
        """The name of an array that has an output; one that is not the output's own is copied."""
        operand = output.operand
        assert isinstance(operand, Variable)
        if operand is output.replaces:
            return self.source.names(operand)
        is_own = operand in self.made and operand not in self.layouts
        return self.array_of(operand if is_own else self.copy(operand, operand.dtype))

    # Kernels.

    def _write_loop(self, group: EquationGroup, wanted: Iterable[Variable]) -> None:
        wanted = list(wanted)
        group = with_rows(group, self.layout)
        layouts = {}
        for variable, domain in group.reads.items():
            layouts[variable] = self._lay(variable, domain, group)
        homes = ((v, self.home(v)) for v in wanted)
        in_place = {v: home for v, home in homes if home in group.reads}
        written = write_kernel(group, frozenset(wanted), layouts, in_place)
        self._call_kernel(written, group)

    def _lay(self, variable: Variable, domain: str, group: EquationGroup) -> str:
        """Return how an array lies; copy it, if it lies in a way that kernels do not know."""
        if domain == ONE:
            return BY_ROWS
        found = arrangement_of(self.layout(variable), domain, group)
        if found is None:
            self.layouts[variable] = whole_view(self.copy(variable, variable.dtype))
        return found or BY_ROWS

    def _write_alone(self, equation: Equation) -> None:
        x, *rest = equation.operands
        if equation.primitive in _OF_ARRAYS and x.kind != "array":
            operands = (self.copy(x, x.dtype), *rest)
            equation = Equation(
                equation.primitive, operands, equation.params, equation.result, equation.origin
            )
        written = write_alone(equation, lambda v: self.layout(v).strides, without_python=True)
        assert written is not None, f"{equation.primitive} has a nest"
        self._call_kernel(written, EquationGroup(CALL, (equation,)))

    def _call_kernel(self, written: GroupKernel, group: EquationGroup) -> None:
        kernel = written.kernel
        moved, texts = set[str](), dict[str, str]()
        for parameter in kernel.parameters:
            argument = written.arguments[parameter.name]
            if isinstance(parameter, NumberParameter):
                number = self._number_argument(argument, written.converted, parameter.dtype)
                texts[parameter.name] = number
                continue
            texts[parameter.name], offset = self._argument(argument, group)
            if offset:
                moved.add(parameter.name)
                texts[place_of(parameter.name)] = str(offset)
        failing = ""
        if any(isinstance(statement, Fail) for statement in kernel.statements()):
            failing = where_text(next(e for e in group.equations if e.primitive in _FAILING))
        self.source.call(KernelCall(kernel, frozenset(moved), texts, failing))

    def _argument(self, argument: Argument, group: EquationGroup) -> tuple[str, int]:
        """The text of a size or an array, and where it begins in its memory."""
        if isinstance(argument, int):
            return str(argument), 0
        if isinstance(argument, Size):
            return str(self._size(argument, group)), 0
        if isinstance(argument, Scratch):
            scratch = Variable(ValueType(argument.dtype, (max(group.columns, 1),)))
            return self.source.array(scratch), 0
        assert isinstance(argument, Variable)
        region = self.layout(argument)
        return self.source.array(region.base), region.offset

    def _size(self, size: Size, group: EquationGroup) -> int:
        if size.array is None:
            return group.rows if size.what == "rows" else group.columns
        layout = self.layout(size.array)
        if size.what == "length":
            return layout.shape[0]
        return step_of(layout, group.reads[size.array], group)

    def _number_argument(
        self, argument: Argument, converted: Mapping[Variable, Converted], dtype: str
    ) -> str:
        if isinstance(argument, Number):
            return literal_text(Literal(argument.value), dtype)
        assert isinstance(argument, Variable)
        whole = converted.get(argument)
        if whole is not None:
            return converted_int(self.number(whole.operand), whole.dtype, whole.how)
        return self.number(argument)

    # Products.

    def _write_product(self, equation: Equation) -> None:
        if equation.primitive == "gemm":
            self._write_sum_of_products(equation)
            return
        a, b = equation.operands
        result = equation.result
        if result.kind != "array" or result.dtype not in ("f32", "f64"):
            self._write_alone(equation)
        else:
            self._multiply(a, b, result)

    def _write_sum_of_products(self, equation: Equation) -> None:
        """Beta * c + alpha * (a @ b); c that is all zeros, and was not written, is left out."""
        c, a, b, alpha, beta = equation.operands
        result = equation.result
        has_c = c in self.plan.needed or c not in self.made
        if not has_c and is_number(alpha, 1):
            self._multiply(a, b, result)
            return
        product = Variable(result.type)
        self._multiply(a, b, product)
        self._combine(result, product, alpha, c if has_c else None, beta)

    def _combine(
        self, result: Variable, product: Variable, alpha: Operand, c: Operand | None, beta: Operand
    ) -> None:
        """One loop over what is added up: of the product, and of what it is added to."""
        builder = Builder()
        total: Operand = product
        if not is_number(alpha, 1):
            total = builder.add("multiply", (product, alpha))
        if c is not None:
            before = c if is_number(beta, 1) else builder.add("multiply", (c, beta))
            total = builder.add("add", (before, total))
        *first, last = builder.equations
        last = Equation(last.primitive, last.operands, last.params, result, last.origin)
        program = Program((), (*first, last), (Output(result),), ())
        (group,) = fuse(program).groups
        self._write_loop(group, [result])

    def _multiply(self, a: Operand, b: Operand, result: Variable) -> None:
        """A product of floats, or a stack of them."""
        factors = [self._factor(x, result.dtype) for x in (a, b)]
        left, right = (self.layout(x) for x in factors)
        names = " @ ".join(self._called(x) for x in factors)
        batch = result.shape[: len(result.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)]
        if len(a.shape) == 1:
            left = left._replace(shape=(1, *left.shape), strides=(0, *left.strides))
        if len(b.shape) == 1:
            right = right._replace(shape=(*right.shape, 1), strides=(*right.strides, 0))
        (m, k), n = left.shape[-2:], right.shape[-1]
        out = self.layout(result)
        steps = [
            tuple(m * n * step for step in c_strides(batch)),
            *(
                x._replace(shape=x.shape[:-2], strides=x.strides[:-2]).laid_over(batch)
                for x in (left, right)
            ),
        ]
        lines, close, index = list[str](), list[str](), list[tuple[int, str]]()
        for axis, length in enumerate(batch):
            if length != 1:
                i = f"i{axis}"
                index.append((axis, i))
                lines.append(f"{'  ' * len(close)}for (let {i} = 0; {i} < {length}; {i}++) {{")
                close.insert(0, "  " * len(close) + "}")
        arguments = []
        for region, step in zip((out, left, right), steps, strict=True):
            terms = [f"{step[axis]} * {i}" for axis, i in index if step[axis]]
            if region.offset or not terms:
                terms.append(str(region.offset))
            arguments += [self.source.array(region.base), " + ".join(terms)]
            if region is not out:
                arguments += map(str, region.strides[-2:])
        call = f"multiply({', '.join(arguments)}, {m}, {k}, {n});  // {in_comment(names)}"
        self.source.lines += [*lines, "  " * len(close) + call, *close]

    def _factor(self, x: Operand, dtype: str) -> Variable:
        assert isinstance(x, Variable)
        return x if x.dtype == dtype else self.copy(x, dtype)

    def _called(self, factor: Variable) -> str:
        """What a reader would call a factor."""
        view = self.layout(factor)
        turned = view._replace(shape=view.shape[::-1], strides=view.strides[::-1])
        part = "" if view.is_whole else ".T" if turned.is_whole else "[...]"
        return f"{self.source.names(view.base)}{part}"

    # What stands alone.

    def _write_call(self, equation: Equation) -> None:
        primitive, result, operands = equation.primitive, equation.result, equation.operands
        if primitive == "scan":
            write_scan(self, equation)
        elif primitive in ("slice_update", "slice_add"):
            self._write_part(equation)
        elif primitive == "concatenate":
            self._write_parts(equation)
        elif PRIMITIVES[primitive].is_view and primitive != "broadcast_to":
            self._write_view(equation)
        elif primitive == "full" and result.kind == "array":
            self._convert(operands[0], result)
        else:
            self._write_alone(equation)

    def _convert(self, x: Operand, target: Variable) -> None:
        """Put a value, broadcast, into what a variable lies in."""
        params = {"dtype": target.dtype}
        self._write_alone(Equation("cast", (x,), params, target))

    def _part(self, region: Region) -> Variable:
        """A variable for a part of memory."""
        part = Variable(ValueType(region.base.dtype, region.shape))
        self.layouts[part] = region
        return part

    def _write_part(self, equation: Equation) -> None:
        x, value = equation.operands
        result = equation.result
        if not isinstance(x, Variable) or self.home(x) is not self.home(result):
            self._convert(x, result)
        part = self._part(sliced(self.layout(result), equation.params["index"]))
        extra = max(len(value.shape) - len(part.shape), 0)
        if extra and isinstance(value, Variable):  # axes of length one in front
            region = self.layout(value)
            value = self._part(
                region._replace(shape=region.shape[extra:], strides=region.strides[extra:])
            )
        if equation.primitive == "slice_add":
            self._write_alone(Equation("add", (part, value), {}, part, equation.origin))
        else:
            self._convert(value, part)

    def _write_parts(self, equation: Equation) -> None:
        result, axis, at = equation.result, equation.params["axis"], 0
        for x in equation.operands:
            index = [(0, n, 1) for n in result.shape]
            index[axis] = (at, x.shape[axis], 1)
            at += x.shape[axis]
            self._convert(x, self._part(sliced(self.layout(result), tuple(index))))

    def _write_view(self, equation: Equation) -> None:
        """A view that NumPy would copy, or of a number, or that is one."""
        x, result = equation.operands[0], equation.result
        if not isinstance(x, Variable) or x.kind != "array":
            self._convert(x, result)
            return
        seen = view_of(self.layout(x), equation)
        if seen is not None:
            self._convert(self._part(seen), result)
        else:  # in the order of its elements
            region = self.layout(result)
            self._convert(x, self._part(region._replace(shape=x.shape, strides=c_strides(x.shape))))

    def _write_constant(self, equation: Equation) -> None:
        """An array that depends on nothing is made in the set-up."""
        values = [o.value for o in equation.operands if isinstance(o, Literal)]
        try:
            with np.errstate(all="ignore"):
                found = PRIMITIVES[equation.primitive].compute(*values, **equation.params)
        except (ArithmeticError, ValueError):  # it shall be thrown when the step runs
            self._write_call(equation)
            return
        value: Array = np.asarray(found)
        name, dtype = self.source.own(equation.result), value.dtype
        kind = TYPED_ARRAYS[equation.result.dtype]
        flat = value.ravel()
        text = f"const {name} = new {kind}({value.size})"
        if flat.size and np.array_equal(
            flat, np.full_like(flat, flat[0]), equal_nan=dtype.kind == "f"
        ):
            first = entry_text(flat[0], equation.result.dtype)
            text += (
                "" if flat[0] == 0 and not np.signbit(np.float64(flat[0])) else f".fill({first})"
            )
        elif flat.size:
            entries = ", ".join(entry_text(entry, equation.result.dtype) for entry in flat)
            text = f"const {name} = {kind}.of({entries})"
        self.source.setup.append(f"{text};")


_OF_ARRAYS = tuple(
    name for name, p in PRIMITIVES.items() if p.category == "reduction" or name.startswith("gather")
)
_FAILING = ("gather", "gather_update", "scatter_add", "power")
