"""Nests in languages with braces, C and JavaScript: what these have in common.

An expression is a text, and how tightly it binds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from miniflow.lowering.nest_walk import INFIX, StatementWalk, TermWalk
from miniflow.lowering.nests import ArrayParameter, Loop, Statement, Term, name

ATOM, UNARY, COMPARED, LOOSE = 9, 7, 0, -1
INDENT: Final = "  "
BoundText: TypeAlias = "tuple[str, int]"


class BracePrinter(TermWalk[BoundText], StatementWalk[list[str]]):
    """Prints the statements of one function; `arrays` are its parameters."""

    COUNTER: str  # what is said before the index of a loop

    def __init__(self, arrays: Mapping[str, ArrayParameter]) -> None:
        super().__init__()
        self.arrays = arrays

    # Statements.

    def lines(self, statements: Sequence[Statement], indent: str) -> list[str]:
        """Return the lines of a block."""
        return [indent + line for statement in statements for line in self.statement(statement)]

    @abstractmethod
    def declared(self, word: str, dtype: str, is_constant: bool) -> str:
        """A name as it is declared."""

    @abstractmethod
    def adds_itself(self, dtype: str) -> bool:
        """Whether ``+=`` rounds, or wraps around, as it should."""

    def let(self, word: str, value: Term) -> list[str]:
        """A value gets a name."""
        return [f"{self.declared(word, value.dtype, True)} = {self.text(value)};"]

    def begin(self, word: str, value: Term) -> list[str]:
        """A total begins."""
        return [f"{self.declared(word, value.dtype, False)} = {self.text(value)};"]

    def accumulate(self, word: str, value: Term, by: str) -> list[str]:
        """A total goes on."""
        if by == "add" and self.adds_itself(value.dtype):
            return [f"{word} += {self.text(value)};"]
        dtype = self.totals[word]
        return [f"{word} = {self.text(Term(by, dtype, (name(word, dtype), value)))};"]

    def loop_of(self, loop: Loop) -> list[str]:
        """Statements run again and again."""
        index = loop.index
        turn = f"{index}++" if loop.step == 1 else f"{index} += {loop.step}"
        start, stop = self.text(loop.start), self.text(loop.stop)
        head = f"for ({self.COUNTER} {index} = {start}; {index} < {stop}; {turn}) {{"
        return [head, *self.lines(loop.body, INDENT), "}"]

    def condition(self, condition: Term, body: Sequence[Statement]) -> list[str]:
        """Statements run where a condition holds."""
        return [f"if ({self.text(condition)}) {{", *self.lines(body, INDENT), "}"]

    # Terms.

    def text(self, term: Term) -> str:
        """An expression."""
        return self.term(term)[0]

    def inside(self, term: Term) -> str:
        """An expression, in parentheses unless it is a sign at most."""
        return in_parentheses(self.term(term), UNARY)

    def infix(self, op: str, operands: Sequence[BoundText], sign: str = "") -> BoundText:
        """Two expressions with a sign between them. No sum of floats is another's: what stands on
        the right is computed first. Bits are always told apart by parentheses.
        """
        own, binding = INFIX[op]
        is_of_bits = op.startswith("bitwise") or op.endswith("shift")
        left, right = (
            in_parentheses(operand, UNARY if is_of_bits else binding + place)
            for place, operand in enumerate(operands)
        )
        return f"{left} {sign or own} {right}", binding

    def element(self, array: str, index: Sequence[Term]) -> Term:
        """Where an entry lies: rows follow each other."""
        place = index[0]
        for entry, length in zip(index[1:], self.arrays[array].shape[1:], strict=True):
            place = place * length + entry
        return place


def in_parentheses(expression: BoundText, binding: int) -> str:
    """An expression, in parentheses unless it binds so tightly."""
    text, bound = expression
    return text if bound >= binding else f"({text})"


def literal(text: str) -> BoundText:
    """A number that is written down."""
    return text, UNARY if text[0] == "-" else ATOM
