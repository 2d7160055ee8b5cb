"""*sum_parts*: what is only summed up need not be put together before, nor put in another order.

The gradient of a weight is a sum over all examples and all times, Xᵀ G. That of a layer that goes
through a sequence reads G in the order of the sequences, (n, T, units), where the loop over time
has left it by times, (T, n, units), and where each gate has left its own:

    G  = reshape(transpose(concatenate(g1, g2), (1, 0, 2)), (n T, 2 u))
    dW = transpose(X) @ G                                               (X: n T rows)
    db = sum(G, axis=0)
      =
    X' = the rows of X, by times
    dW = concatenate(transpose(X') @ g1, transpose(X') @ g2)            (g1, g2: T n rows)
    db = concatenate(sum(g1), sum(g2))

So G is never made. X moves in its place, if it is no larger, and that may well be where it has been
moved to already. The terms of a sum come in another order: results agree to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.program import Equation, Operand, Params, Program, Variable
from miniflow.passes.replacing import hand_on_names, replace_operands, replace_outputs


class _SumOfRows(NamedTuple):
    """An equation that sums up the rows of an array, and in which order of its first axes."""

    equation: Equation
    order: tuple[int, ...]


def sum_parts(program: Program) -> Program:
    """Return the program in which sums over rows read their parts where these are.

    >>> from miniflow.ir import ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f64", (6, 1)), name="x")
    >>> g1, g2 = b.input(ValueType("f64", (6, 1))), b.input(ValueType("f64", (6, 2)))
    >>> g = b.add("concatenate", (g1, g2), {"axis": 1})
    >>> dw = b.add("matmul", (b.add("transpose", (x,), {"axes": (1, 0)}), g))
    >>> print(sum_parts(b.program([dw])))
    program(x: f64[6,1], t1: f64[6,1], t2: f64[6,2]):
      t3 = concatenate(t1, t2, axis=1)                          # f64[6,3]
      t4 = transpose(x)                                         # f64[1,6]
      t5 = concatenate(matmul(t4, t1), matmul(t4, t2), axis=1)  # f64[1,3]
      return t5
    """
    search = _SumSearch(program)
    found: dict[Variable, tuple[Equation, _SumOfRows]] = {}
    for equation in program.equations:
        for reader in search.readers_of(equation):
            found.setdefault(reader.equation.result, (equation, reader))
    if not found:
        return program
    written, now = Builder(), dict[Operand, Operand]()
    for equation in program.equations:
        equation = replace_operands(equation, now)
        if equation.result in found:
            root, reader = found[equation.result]
            equation = replace(reader.equation, operands=equation.operands)
            root = replace_operands(root, now)
            now[equation.result] = _SumRewriting(written, root, equation, reader.order).result()
        else:
            written.equations.append(equation)
    outputs = replace_outputs(program.outputs, now)
    changed = replace(program, equations=tuple(written.equations), outputs=outputs)
    return hand_on_names(program, now, changed)


class _SumSearch:
    """Finds what is only summed up."""

    def __init__(self, program: Program) -> None:
        self.made: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self.readers: dict[Operand, list[Equation]] = {}
        self.outputs = {output.operand for output in program.outputs}
        for equation in program.equations:
            for operand in dict.fromkeys(equation.operands):
                self.readers.setdefault(operand, []).append(equation)

    def readers_of(self, root: Equation) -> list[_SumOfRows]:
        """Return all that read what an equation puts together, or in order, if they sum it up."""
        if root.primitive == "concatenate":
            if not _is_of_columns(root):
                return []
        elif not _keeps_columns(root) or self._is_only_summed(root.operands[0]):
            return []
        readers = self._follow(root)
        return readers if readers and all(map(self._is_worth_it, readers)) else []

    def _is_only_summed(self, x: Operand) -> bool:
        """Whether it is a root by itself."""
        made = self.made.get(x)
        return made is not None and _is_of_columns(made) and bool(self.readers_of(made))

    def _follow(self, root: Equation) -> list[_SumOfRows]:
        """All sums of the rows of what is made; none if somebody else reads it."""
        ndim = len(root.result.shape) - 1
        order = tuple(range(ndim))
        if root.primitive == "transpose":
            order = root.params["axes"][:-1]
        found: list[_SumOfRows] = []
        waiting = [(root.result, order)]
        while waiting:
            x, order = waiting.pop()
            if x in self.outputs:
                return []
            for equation in self.readers.get(x, ()):
                if _is_sum_of_rows(equation, x):
                    found.append(_SumOfRows(equation, order))
                elif _keeps_columns(equation) and len(x.shape) - 1 == len(order):
                    is_turn = equation.primitive == "transpose"
                    after = equation.params["axes"][:-1] if is_turn else ()
                    turned = tuple(order[axis] for axis in after) if is_turn else order
                    waiting.append((equation.result, turned))
                elif equation.primitive == "reshape" and _is_of_rows(equation):
                    waiting.append((equation.result, order))
                else:
                    return []
        return found

    def _is_worth_it(self, reader: _SumOfRows) -> bool:
        """Whether it is a sum of many rows; what would have to move is no larger."""
        equation = reader.equation
        if equation.primitive == "sum":
            return True
        (m, k), n = equation.operands[0].shape, equation.operands[1].shape[1]
        is_turned = reader.order != tuple(range(len(reader.order)))
        return k > 2 * m and (m <= n or not is_turned)


def _is_of_columns(equation: Equation) -> bool:
    """Whether matrices, or stacks of them, are put together column by column."""
    arrays = all(isinstance(x, Variable) and x.kind == "array" for x in equation.operands)
    last = len(equation.result.shape) - 1
    return arrays and equation.primitive == "concatenate" and equation.params["axis"] == last > 0


def _keeps_columns(equation: Equation) -> bool:
    """Whether it is a transpose in which the last axis stays the last one."""
    if equation.primitive != "transpose" or len(equation.result.shape) < 3:
        return False
    return bool(equation.params["axes"][-1] == len(equation.result.shape) - 1)


def _is_of_rows(equation: Equation) -> bool:
    """Whether a reshape makes a matrix of a stack of them."""
    x, result = equation.operands[0], equation.result
    return len(result.shape) == 2 and len(x.shape) > 1 and x.shape[-1] == result.shape[-1]


def _is_sum_of_rows(equation: Equation, x: Operand) -> bool:
    if equation.primitive == "sum":
        axes = tuple(range(len(x.shape) - 1))
        return equation.params["axis"] == axes and not equation.params["keepdims"]
    is_product = equation.primitive == "matmul" and equation.operands[0] is not x
    return is_product and len(x.shape) == 2 and len(equation.operands[0].shape) == 2


class _SumRewriting:
    """A sum of the rows of what `root` puts together or in order, written anew."""

    def __init__(
        self, written: Builder, root: Equation, sum_of: Equation, order: tuple[int, ...]
    ) -> None:
        self.written, self.root, self.sum_of, self.order = written, root, sum_of, order

    def result(self) -> Variable:
        """Write it."""
        parts = list(self._parts())
        left = self._left() if self.sum_of.primitive == "matmul" else None
        sums = [self._sum(left, part) for part in parts]
        if len(sums) == 1:
            return sums[0]
        return self._add("concatenate", sums, {"axis": len(sums[0].shape) - 1})

    def _parts(self) -> Iterator[Operand]:
        """The matrices whose rows are summed up."""
        is_whole = self.root.primitive != "concatenate"
        for x in self.root.operands[:1] if is_whole else self.root.operands:
            rows, n = prod(x.shape[:-1]), x.shape[-1]
            yield x if len(x.shape) == 2 else self._add("reshape", [x], {"shape": (rows, n)})

    def _left(self) -> Operand:
        """The first factor, its columns in the order in which the rows are."""
        left, lengths = self.sum_of.operands[0], self.root.operands[0].shape[:-1]
        m, k = left.shape
        if self.order == tuple(range(len(self.order))):
            return left
        turned = self._add("transpose", [left], {"axes": (1, 0)})
        shape = (*(lengths[axis] for axis in self.order), m)
        stack = self._add("reshape", [turned], {"shape": shape})
        back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        moved = self._add("transpose", [stack], {"axes": (*back, len(back))})
        rows = self._add("reshape", [moved], {"shape": (k, m)})
        return self._add("transpose", [rows], {"axes": (1, 0)})

    def _sum(self, left: Operand | None, part: Operand) -> Variable:
        if left is not None:
            return self._add("matmul", [left, part], {})
        return self._add("sum", [part], {"axis": (0,), "keepdims": False})

    def _add(self, primitive: str, operands: Sequence[Operand], params: Params) -> Variable:
        return self.written.add(primitive, operands, params, self.sum_of.origin)
