"""Rewrite rules about arithmetic, written as they are read.

    algebra("add(x, negative(y))", "subtract(x, y)")

Both sides are Python expressions, parsed once, when the module is imported: a name stands for any
operand (the same one wherever it occurs), a number for a literal of that value, whatever its type.
That the two sides have the same type is seen to by the `Rewriter`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final, TypeAlias

from miniflow.ir.program import Equation, Literal, Operand, is_number
from miniflow.passes.rewriting import Call, Expression, Rewriter, Rule

COMMUTATIVE: Final = frozenset(
    (
        *("add", "multiply", "equal", "not_equal", "logical_and", "logical_or"),
        *("bitwise_and", "bitwise_or", "bitwise_xor"),
    )
)
"""Primitives whose two operands may change places, to the bit (but for the payload of a NaN)."""

Bindings: TypeAlias = "dict[str, Operand]"
Condition: TypeAlias = "Callable[[Equation, Bindings], bool]"
_Matcher: TypeAlias = "Callable[[Operand, Rewriter, Bindings], bool]"


def algebra(left: str, right: str, when: Condition | None = None) -> tuple[str, Rule]:
    """Return a primitive and a rule for it: what looks like `left` becomes `right`.

    Both are written as Python: a name stands for any operand (the same one wherever it occurs), a
    number for a literal of that value. The operands of a commutative primitive match either way
    round. `when` is a further condition on the equation and on what the names stand for.
    """
    pattern = _parsed(left)
    if not isinstance(pattern, ast.Call):
        raise ValueError(f"{left!r} is not a primitive with operands")
    name = _name(pattern)
    orders = [_matchers(pattern.args)]
    if name in COMMUTATIVE:
        orders.append(_matchers(pattern.args[::-1]))
    make = _maker(_parsed(right))

    def rule(equation: Equation, look: Rewriter) -> Expression | None:
        for order in orders:
            bound: Bindings = {}
            if _match(order, equation.operands, look, bound) and (
                when is None or when(equation, bound)
            ):
                return make(bound)
        return None

    return name, rule


def _match(
    order: list[tuple[int, _Matcher]],
    operands: tuple[Operand, ...],
    look: Rewriter,
    bound: Bindings,
) -> bool:
    return all(matches(operands[position], look, bound) for position, matches in order)


def _matchers(patterns: list[ast.expr]) -> list[tuple[int, _Matcher]]:
    """Return the tests of some operands, the ones that fail most often first."""
    numbered = sorted(enumerate(patterns), key=lambda entry: isinstance(entry[1], ast.Name))
    return [(position, _matcher(pattern)) for position, pattern in numbered]


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _name(pattern: ast.Call) -> str:
    assert isinstance(pattern.func, ast.Name)
    return pattern.func.id


def _matcher(pattern: ast.expr) -> _Matcher:
    """Make the test of one operand; it notes in the bindings what each name stands for."""
    if isinstance(pattern, ast.Call):
        return _call_matcher(_name(pattern), _matchers(pattern.args))
    if isinstance(pattern, ast.Name):
        name = pattern.id
        return lambda operand, look, bound: bound.setdefault(name, operand) == operand
    number = ast.literal_eval(pattern)
    return lambda operand, look, bound: is_number(operand, number)


def _call_matcher(name: str, inner: list[tuple[int, _Matcher]]) -> _Matcher:
    def matches(operand: Operand, look: Rewriter, bound: Bindings) -> bool:
        found = look.definition(operand, name)
        return found is not None and _match(inner, found.operands, look, bound)

    return matches


def _maker(pattern: ast.expr) -> Callable[[Bindings], Expression]:
    if isinstance(pattern, ast.Call):
        name, parts = _name(pattern), [_maker(operand) for operand in pattern.args]
        return lambda bound: Call(name, tuple(part(bound) for part in parts))
    if isinstance(pattern, ast.Name):
        letter = pattern.id
        return lambda bound: bound[letter]
    literal = Literal(ast.literal_eval(pattern))
    return lambda bound: literal
