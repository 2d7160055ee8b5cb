"""*simplify*: the same values from less work, by rules that look at one equation and its operands.

The table below holds all rules. A rule applies only where it keeps the type (see `rewriting`), and
keeps what NumPy computes to the bit, NaN and infinities included, with these exceptions:

- adding or subtracting a zero may keep or change the sign of a zero: ``-0.0 + 0.0`` is 0.0, and
  becomes -0.0;
- ``x ** 2``, ``x ** 0.5`` and ``x ** -1`` become what NumPy's own ``**`` makes of them (x·x, √x,
  1/x), and ``x ** 3`` becomes x·x·x: `np.power` may differ from these in the last bit, and at
  ``(-inf) ** 0.5``;
- numbers that are known beforehand are computed by NumPy one at a time, and a stack of matrices
  times one matrix is one product: both may differ from NumPy's loops over arrays in the last bits.

An equation that would have raised (an index out of range) may vanish with its value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Program
from miniflow.passes import constants, movement
from miniflow.passes.patterns import Bindings, algebra
from miniflow.passes.rewriting import Rewriter, Rule


def simplify(program: Program) -> Program:
    """Return the program with every rule of the table applied, as often as it fits.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> total = b.add("add", (b.add("full", (0,), {"shape": (3,), "dtype": "f32"}), x))
    >>> print(simplify(b.program([b.add("multiply", (total, 1.0))])))
    program(x: f32[3]):
      t1 = full((3,), 0, f32)  # f32[3]
      return x
    """
    return Rewriter(program, RULES).rewrite()


def _is_array(equation: Equation, bound: Bindings) -> bool:
    return bound["x"].kind == "array"  # Python's power of a Python number may raise


def _has_signs(equation: Equation, bound: Bindings) -> bool:
    return bound["x"].dtype[0] != "u"  # the negative of an unsigned 1 is a large number


def _negated_in_the_result(equation: Equation, bound: Bindings) -> bool:
    """An integer must not be negated before it is promoted: -uint8(1) is 255."""
    dtype = bound["y"].dtype
    return dtype[0] == "f" or dtype == equation.result.dtype


_TABLE: Final = (
    # Numbers that change nothing.
    algebra("add(x, 0)", "x"),
    algebra("subtract(x, 0)", "x"),
    algebra("multiply(x, 1)", "x"),
    algebra("divide(x, 1)", "x"),
    algebra("power(x, 1)", "x"),
    algebra("bitwise_or(x, 0)", "x"),
    algebra("bitwise_xor(x, 0)", "x"),
    algebra("left_shift(x, 0)", "x"),
    algebra("right_shift(x, 0)", "x"),
    # Signs.
    algebra("subtract(0, x)", "negative(x)"),
    algebra("multiply(x, -1)", "negative(x)"),
    algebra("divide(x, -1)", "negative(x)"),
    algebra("negative(negative(x))", "x"),
    algebra("absolute(negative(x))", "absolute(x)", _has_signs),
    algebra("absolute(absolute(x))", "absolute(x)"),
    algebra("add(x, negative(y))", "subtract(x, y)", _negated_in_the_result),
    algebra("subtract(x, negative(y))", "add(x, y)", _negated_in_the_result),
    # Powers.
    algebra("power(x, 2)", "multiply(x, x)", _is_array),
    algebra("power(x, 3)", "multiply(multiply(x, x), x)", _is_array),
    algebra("power(x, 0.5)", "sqrt(x)", _is_array),
    algebra("power(x, -1)", "divide(1, x)", _is_array),
    # Choices.
    algebra("logical_and(x, True)", "x"),
    algebra("logical_or(x, False)", "x"),
    algebra("where(True, x, y)", "x"),
    algebra("where(False, x, y)", "y"),
    algebra("where(c, x, x)", "x"),
    algebra("where(logical_not(c), x, y)", "where(c, y, x)"),
    algebra("logical_not(logical_not(x))", "x"),
    algebra("logical_not(equal(x, y))", "not_equal(x, y)"),
    algebra("logical_not(not_equal(x, y))", "equal(x, y)"),
    # Casts, shapes, and parts of arrays.
    ("cast", movement.cast),
    ("reshape", movement.reshape),
    ("transpose", movement.transpose),
    ("broadcast_to", movement.broadcast_to),
    ("slice", movement.slice_of_slice),
    ("slice", movement.slice_of_update),
    ("slice_update", movement.update_of_all),
    ("slice_update", movement.update_of_update),
    ("slice_update", movement.update_by_what_is_there),
    ("gather", movement.gather_of_run),
    ("gather", movement.gather_of_update),
    ("gather_update", movement.update_of_update),
    ("concatenate", movement.concatenate),
    *((name, movement.reduction) for name in ("sum", "prod", "max", "min", "any", "all")),
    ("matmul", movement.matmul_of_stack),
    # Arrays that hold one number, and values that are known.
    *((name, constants.part) for name in constants.MOVEMENTS),
    *((name, constants.written) for name in ("slice_update", "gather_update", "scatter_add")),
    *((p.name, constants.spread) for p in PRIMITIVES.values() if p.category == "elementwise"),
    *((name, constants.known) for name in PRIMITIVES),
)


def _by_primitive(table: Sequence[tuple[str, Rule]]) -> Mapping[str, Sequence[Rule]]:
    rules: dict[str, list[Rule]] = defaultdict(list)
    for name, rule in table:
        rules[name].append(rule)
    return dict(rules)


RULES: Final = _by_primitive(_TABLE)
"""The rules by the primitive of the equation that they look at, in the order of the table."""
