"""What NumPy computes faster all at once: one equation, on every part of what is concatenated.

The states of an unrolled network are needed one by one on the way forward, and together at the end,
where `passes.batch` has concatenated them for the gradient of the weights. What the way back
computes from each state alone, say `1 - h * h`, is computed from all of them in one call:

    whole = concatenate(h1, h2, ...)             whole = concatenate(h1, h2, ...)
    s1 = multiply(h1, h1)                        squares = multiply(whole, whole)
    s2 = multiply(h2, h2)                        s1 = squares[0:16]
    ...                                          s2 = squares[16:32]

A call of NumPy costs half a microsecond however small its arrays are, and the slices, which lie
still, cost nothing. The native backend has loops for this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from miniflow.ir.primitives import PRIMITIVES, infer
from miniflow.ir.program import Equation, Literal, Operand, Program, Variable

MOST_WHOLES: Final = 16  # each is a walk through the program


def batch_parts(program: Program) -> Program:
    """Return the program with one equation for all parts of a concatenation, where it has the same
    equation for each.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x, y = (b.input(ValueType("f32", (2,)), name=name) for name in "xy")
    >>> whole = b.add("concatenate", (x, y), {"axis": 0}, name="whole")
    >>> print(batch_parts(b.program([whole, b.add("exp", (x,)), b.add("exp", (y,))])))
    program(x: f32[2], y: f32[2]):
      whole = concatenate(x, y, axis=0)  # f32[4]
      t1 = exp(whole)                    # f32[4]
      t2 = t1[:2]                        # f32[2]
      t3 = t1[2:]                        # f32[2]
      return whole, t2, t3
    """
    wholes = [
        (e.result, e.operands)
        for e in program.equations
        if e.primitive == "concatenate" and e.params["axis"] == 0
        if len({o for o in e.operands if isinstance(o, Variable)}) == len(e.operands)
    ]
    if not 0 < len(wholes) <= MOST_WHOLES:
        return program
    definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
    readers: dict[Operand, list[Equation]] = {}
    for equation in program.equations:
        for operand in dict.fromkeys(equation.operands):
            readers.setdefault(operand, []).append(equation)
    while wholes:
        whole, parts = wholes.pop()
        leading_to_whole = _ancestors(whole, definitions)
        for group in _alike(parts, readers):
            results = [equation.result for equation in group]
            if leading_to_whole.isdisjoint(results):
                batched = _on_whole(group[0], parts[0], whole)
                definitions[batched.result] = batched
                definitions |= zip(results, _slices(batched, group), strict=True)
                wholes.append((batched.result, tuple(results)))
    outputs = (output.operand for output in program.outputs)
    equations = _in_order([*(e.result for e in program.equations), *outputs], definitions)
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


def _alike(
    parts: tuple[Operand, ...], readers: Mapping[Operand, list[Equation]]
) -> Iterable[list[Equation]]:
    """Groups of one elementwise equation for each part, which reads nothing but that."""
    groups: dict[Any, list[Equation]] = {}
    for number, part in enumerate(parts):
        for equation in readers.get(part, ()):
            others = [o for o in equation.operands if o is not part]
            is_elementwise = PRIMITIVES[equation.primitive].category == "elementwise"
            same_shape = equation.result.kind == "array" and equation.result.shape == part.shape
            if is_elementwise and same_shape and all(isinstance(o, Literal) for o in others):
                pattern = tuple("part" if o is part else repr(o) for o in equation.operands)
                key = (equation.primitive, pattern, tuple(equation.params.items()))
                group = groups.setdefault(key, [])
                if len(group) == number:
                    group.append(equation)
    return [group for group in groups.values() if len(group) == len(parts)]


def _on_whole(equation: Equation, part: Operand, whole: Variable) -> Equation:
    operands = tuple(whole if o is part else o for o in equation.operands)
    result = Variable(infer(equation.primitive, operands, equation.params))
    return Equation(equation.primitive, operands, equation.params, result, equation.origin)


def _slices(batched: Equation, group: list[Equation]) -> Iterable[Equation]:
    """The parts of the result, each under the variable that it had."""
    start = 0
    for equation in group:
        rows, *rest = equation.result.shape
        index = ((start, rows, 1), *((0, n, 1) for n in rest))
        start += rows
        operands, params = (batched.result,), {"index": index}
        yield Equation("slice", operands, params, equation.result, equation.origin)


def _ancestors(variable: Operand, definitions: Mapping[Operand, Equation]) -> set[Operand]:
    """What a variable is computed from."""
    found: set[Operand] = set()
    waiting = [variable]
    while waiting:
        equation = definitions.get(waiting.pop())
        new = [o for o in (equation.operands if equation else ()) if o not in found]
        found.update(new)
        waiting += new
    return found


def _in_order(
    wanted: Iterable[Operand], definitions: Mapping[Operand, Equation]
) -> Iterable[Equation]:
    """The equations of what is wanted, each after those that it needs, else in that order."""
    written: set[Operand] = set()
    stack = list(wanted)[::-1]
    while stack:
        equation = definitions.get(stack[-1])
        if equation is None or equation.result in written:
            stack.pop()
            continue
        missing = [o for o in equation.operands if o in definitions and o not in written]
        if missing:
            stack += reversed(missing)
        else:
            stack.pop()
            written.add(equation.result)
            yield equation
