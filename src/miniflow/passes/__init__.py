"""The passes: each takes a program and returns one that computes the same with less work.

- `simplify`: rules about one equation and its operands (×1, +0, double negation, two views in a
  row, what is known beforehand); its rules are in `constants` and `movement`, the machinery in
  `rewriting` and `patterns`;
- `dedupe`: what is computed twice is computed once;
- `prune`: what no output needs is not computed;
- `batch`: many small matrix products that could be one large one become that;
- `contract`: a matrix product and what is added to it become one `gemm`.

`optimize` runs them in a fixed order, and contracting is followed by tidying up. Every pass is
linear in the number of equations, and a program that was optimized stays as it is.
"""

from __future__ import annotations

from typing import Final

from miniflow.ir.program import Program
from miniflow.passes.batch import batch
from miniflow.passes.contract import contract
from miniflow.passes.dedupe import dedupe
from miniflow.passes.prune import prune
from miniflow.passes.simplify import simplify

PASSES: Final = (simplify, dedupe, prune, batch, contract, simplify, dedupe, prune)
"""What `optimize` runs, in order."""

__all__ = ["PASSES", "batch", "contract", "dedupe", "optimize", "prune", "simplify", "stages"]


def optimize(program: Program) -> Program:
    """Return a program that computes the same with less work, to rounding.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> e = b.add("exp", (b.add("negative", (b.add("negative", (x,)),)),), name="e")
    >>> print(optimize(b.program([b.add("multiply", (1.0, e))])))
    program(x: f32[3]):
      e = exp(x)  # f32[3]
      return e
    """
    for improve in PASSES:
        program = improve(program)
    return program


def stages(program: Program) -> list[tuple[str, Program]]:
    """Return the program before the first pass ("traced") and after each, by the pass's name.

    >>> from miniflow.ir import Builder
    >>> [name for name, _ in stages(Builder().program([1.0]))]
    ['traced', 'simplify', 'dedupe', 'prune', 'batch', 'contract', 'simplify', 'dedupe', 'prune']
    """
    seen = [("traced", program)]
    for improve in PASSES:
        seen.append((improve.__name__, improve(seen[-1][1])))
    return seen
