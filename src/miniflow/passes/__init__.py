"""The passes: each takes a program and returns one that computes the same with less work.

For everybody, one after the other (`TIDY`):

- `simplify`: rules about one equation and its operands (×1, +0, double negation, two views in a
  row, what is known beforehand); its rules are in `constants` and `movement`, the machinery in
  `rewriting` and `patterns`;
- `dedupe`: what is computed twice is computed once;
- `prune`: what no output needs is not computed.

For backends that ask for them:

- `convert_factors`: both factors of a product have the dtype of the product;
- `hoist`, `hoist_costly`: what a loop need not compute in each turn is computed before it, for all
  at once; or what of that takes more than a few cycles;
- `keep`: what a loop computes is kept, where it would be computed once more after it;
- `sum_parts`: what is only summed up is not put together, or in another order, before;
- `batch`: many small matrix products that could be one large one become that;
- `contract`, `contract_in_place`: a matrix product and what is added to it become one `gemm`;
- `touch_rows`: a table of which rows are looked up is updated in these alone;
- `share_exponentials`: of the two exponentials of a sigmoid, one is computed;
- `compare_bounded`: on which side of its bound a product is, is seen once it is bounded;
- `batch_parts`: one equation on each part of a concatenation becomes one on the whole;
- `prefer_long_runs`: convolutions read and write long runs of memory.

For backends that have larger operators than primitives, after all others: `recognise`, which finds
convolutions, pools, softmax and the like.

For files that are to be small: `int8_weights`, which rounds.

For programs that update something, before all others: `finite`, which adds the check that nothing
is written unless all of it is finite, with the help of `ranges`.

Which of them a backend wants, and in which order, it says in its record; `optimize` runs them, on
the bodies of loops first (`bodies`). A
pass decides by what is computed alone: neither by where an equation comes from, nor by a clock.
Every pass is linear in the number of equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from miniflow.ir.program import Program
from miniflow.passes.batch import batch
from miniflow.passes.batch_parts import batch_parts
from miniflow.passes.bodies import with_bodies
from miniflow.passes.compare_bounded import compare_bounded
from miniflow.passes.contract import contract, contract_in_place
from miniflow.passes.convert_factors import convert_factors
from miniflow.passes.dedupe import dedupe
from miniflow.passes.hoist import hoist, hoist_costly
from miniflow.passes.keep import keep
from miniflow.passes.prefer_long_runs import prefer_long_runs
from miniflow.passes.prune import prune
from miniflow.passes.share_exponentials import share_exponentials
from miniflow.passes.simplify import simplify
from miniflow.passes.sum_parts import sum_parts
from miniflow.passes.touch_rows import touch_rows

Pass: TypeAlias = "Callable[[Program], Program]"

TIDY: Final = (simplify, dedupe, prune)
"""What is good for every program, and what other passes are followed by."""

FOR_LOOPS: Final = (
    *(*TIDY, convert_factors, hoist_costly, sum_parts, *TIDY, batch, touch_rows),
    *(contract_in_place, *TIDY, share_exponentials, compare_bounded, keep),
)
"""For compiled loops and products: of the native backend, and of C, which has its bits."""

__all__ = [
    "FOR_LOOPS", "TIDY", "Pass", "batch", "batch_parts", "compare_bounded", "contract",
    "contract_in_place", "convert_factors", "dedupe", "hoist", "hoist_costly", "keep", "optimize",
    "prefer_long_runs", "prune", "share_exponentials", "simplify", "stages", "sum_parts",
    "touch_rows",
]  # fmt: skip


def optimize(program: Program, passes: Sequence[Pass] = TIDY) -> Program:
    """Return a program that computes the same with less work, to rounding.

    Args:
        program: what was recorded, say.
        passes: what it goes through, in order; `TIDY` by default. `backends.find(name).passes` are
            those of a backend.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> e = b.add("exp", (b.add("negative", (b.add("negative", (x,)),)),), name="e")
    >>> print(optimize(b.program([b.add("multiply", (1.0, e))])))
    program(x: f32[3]):
      e = exp(x)  # f32[3]
      return e
    """
    for improve in passes:
        program = with_bodies(improve, program)
    return program


def stages(program: Program, passes: Sequence[Pass] = TIDY) -> list[tuple[str, Program]]:
    """Return the program before the first pass ("traced") and after each, by the pass's name.

    >>> from miniflow.ir import Builder
    >>> [name for name, _ in stages(Builder().program([1.0]))]
    ['traced', 'simplify', 'dedupe', 'prune']
    """
    seen = [("traced", program)]
    for improve in passes:
        name = getattr(improve, "func", improve).__name__  # of a partial, that of its function
        seen.append((name, with_bodies(improve, seen[-1][1])))
    return seen
