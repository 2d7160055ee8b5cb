"""Convolutions as NumPy computes them fast: with long runs in memory.

A call of NumPy on arrays of several axes is a loop around an inner loop over one run of memory, and
where the runs are as short as the channels of an image, or a row of a kernel, there is little but
the loop around. Two places of a convolution are written in another way.

*What windows see* of images with one channel is a row of kh · kw numbers for each place, copied kw
at a time. Copied entry by entry of the window, as columns, it comes in runs of a whole row of the
image; the product takes it transposed.

    rows = reshape(windows(x), (places, kh * kw))      columns = reshape(transpose(windows(x)), ...)
                                                       rows = transpose(columns)

*The gradients of what was seen* are one product, G @ W^T, of which each entry of the window takes
the part that it adds to the image, c numbers here and c there. As many smaller products, each for
one entry, have their parts in one piece, which is also still in the processor's cache.

    all = reshape(G @ W^T, (n, oh, ow, kh, kw, c))     part = reshape(G @ W[i, j]^T, (n, oh, ow, c))
    part = all[:, :, :, i, j, :]
"""

from __future__ import annotations

from math import prod
from typing import Final

from miniflow.ir.build import Builder
from miniflow.ir.program import Equation, Operand, Program, Variable
from miniflow.passes.replacing import replace_operands

LONGEST_ROW: Final = 16  # of a window that is copied entry by entry
FEWEST_CHANNELS: Final = 4  # of which a product of its own is worth it


def prefer_long_runs(program: Program) -> Program:
    """Return the program with its convolutions in the order that suits NumPy.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (2, 6, 6, 1)), name="x")
    >>> params = {"axes": (1, 2), "window": (3, 3)}
    >>> seen = b.add("reshape", (b.add("windows", (x,), params),), {"shape": (32, 9)})
    >>> print(prefer_long_runs(b.program([seen])))
    program(x: f32[2,6,6,1]):
      t1 = windows(x, axes=(1, 2), window=(3, 3))               # f32[2,4,4,1,3,3]
      t2 = reshape(transpose(t1, (3, 4, 5, 0, 1, 2)), (9, 32))  # f32[9,32]
      t3 = transpose(t2)                                        # f32[32,9]
      return t3
    """
    patterns = _Convolutions(program)
    equations: list[Equation] = []
    columns: dict[Operand, Variable] = {}  # by the rows that they are the transpose of
    now: dict[Operand, Operand] = {}
    for old in program.equations:
        equation = replace_operands(old, now)
        if equation in patterns.rows:
            new = _as_columns(equation, patterns.rows[equation])
            columns[equation.result] = new[-1].operands[0]  # type: ignore[assignment]
            equations += new
        elif _is_turned(equation) and equation.operands[0] in columns:
            now[equation.result] = columns[equation.operands[0]]
            equations.append(equation)
        elif old in patterns.parts:
            equations += _own_product(old, *patterns.parts[old])
        elif old not in patterns.unneeded:
            equations.append(equation)
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


class _Convolutions:
    """Where these places are: `rows` of what windows see, each with the number of axes that count
    them, and `parts` of a product, each with that product and the first of its columns. The product
    as a whole is `unneeded` then.
    """

    def __init__(self, program: Program) -> None:
        self._definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self._readers: dict[Operand, list[Equation]] = {}
        for equation in program.equations:
            for operand in dict.fromkeys(equation.operands):
                self._readers.setdefault(operand, []).append(equation)
        self._returned = {output.operand for output in program.outputs}
        found = ((e, self._axes_of_rows(e)) for e in program.equations)
        self.rows = {equation: axes for equation, axes in found if axes is not None}
        self.parts: dict[Equation, tuple[Equation, int]] = {}
        self.unneeded: set[Equation] = set()
        for equation in program.equations:
            if equation.primitive == "matmul":
                self._divide(equation)

    def _axes_of_rows(self, equation: Equation) -> int | None:
        """How many axes count the rows of what windows see; None if these rows are something else,
        or no short runs.
        """
        made = self._definitions.get(equation.operands[0]) if equation.operands else None
        if equation.primitive != "reshape" or made is None or made.primitive != "windows":
            return None
        (x,), window, seen = made.operands, made.params["window"], made.result.shape
        split = len(x.shape) - 1
        rows = prod(seen[:split]), prod(seen[split:])
        is_short = x.shape[-1] == 1 and window[-1] <= LONGEST_ROW
        return split if is_short and equation.result.shape == rows else None

    def _divide(self, product: Equation) -> None:
        """Note the parts of a product of which only parts are read, each a block of columns."""
        readers = self._readers.get(product.result, [])
        is_matrix = all(len(o.shape) == 2 for o in (*product.operands, product.result))
        if len(readers) != 1 or readers[0].primitive != "reshape" or not is_matrix:
            return
        unfolded = readers[0].result
        if {product.result, unfolded} & self._returned:
            return
        found = [
            (part, _first_column(part, product.result.shape))
            for part in self._readers.get(unfolded, [])
        ]
        divided = {part: (product, first) for part, first in found if first is not None}
        if 1 < len(divided) == len(found):
            self.parts |= divided
            self.unneeded |= {product, readers[0]}


def _first_column(part: Equation, matrix: tuple[int, ...]) -> int | None:
    """Return where a part of an unfolded matrix begins in each of its rows, if it is a block of
    columns: some numbers, then all of the last axis.
    """
    shape = part.operands[0].shape
    if part.primitive != "slice" or not shape:
        return None
    index = part.params["index"]
    split = next((axis for axis, entry in enumerate(index) if isinstance(entry, int)), 0)
    channels = shape[-1]
    whole = tuple((0, length, 1) for length in shape)
    is_block = all(isinstance(entry, int) for entry in index[split:-1]) and (
        index[:split] == whole[:split] and index[-1] == whole[-1]
    )
    if not is_block or prod(shape[:split]) != matrix[0] or channels < FEWEST_CHANNELS:
        return None
    first = 0
    for entry, length in zip(index[split:-1], shape[split:-1], strict=True):
        first = first * length + entry
    return int(first * channels)


def _is_turned(equation: Equation) -> bool:
    return equation.primitive == "transpose" and equation.params["axes"] == (1, 0)


def _as_columns(rows: Equation, split: int) -> list[Equation]:
    """Return the equations of the transpose of `rows`, and `rows` as the transpose of that."""
    (seen,) = rows.operands
    axes, origin = (*range(split, len(seen.shape)), *range(split)), rows.origin
    b = Builder()
    turned = b.add("transpose", (seen,), {"axes": axes}, origin)
    columns = b.add("reshape", (turned,), {"shape": rows.result.shape[::-1]}, origin)
    b.add("transpose", (columns,), {"axes": (1, 0)}, origin, result=rows.result)
    return b.equations


def _own_product(part: Equation, product: Equation, first: int) -> list[Equation]:
    """Return the equations of a part of a product as a product with some columns."""
    left, right = product.operands
    channels, origin = part.result.shape[-1], product.origin
    index = ((0, right.shape[0], 1), (first, channels, 1))
    b = Builder()
    columns = b.add("slice", (right,), {"index": index}, origin)
    own = b.add("matmul", (left, columns), origin=origin)
    b.add("reshape", (own,), {"shape": part.result.shape}, origin, result=part.result)
    return b.equations
