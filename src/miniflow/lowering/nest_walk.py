"""The walk over the terms and statements of a kernel, once for all who print or compute them.

A printer says what each kind becomes; the walk finds out which kind it is, and hands over its
parts. What terms become is the printer's own: a text, a text and how tightly it binds, a number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from miniflow.lowering.nests import (
    Accumulate,
    Begin,
    Fail,
    If,
    Let,
    Loop,
    Number,
    Statement,
    Store,
    Term,
)

INFIX: Final = {  # of the operations with a sign between two terms: the sign, and how it binds
    "bitwise_or": ("|", 1),
    "bitwise_xor": ("^", 2),
    "bitwise_and": ("&", 3),
    "left_shift": ("<<", 4),
    "right_shift": (">>", 4),
    "add": ("+", 5),
    "subtract": ("-", 5),
    "multiply": ("*", 6),
    "divide": ("/", 6),
}
COMPARISONS: Final = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}

Result = TypeVar("Result")
Written = TypeVar("Written")


class TermWalk(ABC, Generic[Result]):
    """What each kind of term becomes."""

    def term(self, term: Term) -> Result:
        """What a term becomes."""
        match term.op:
            case "const":
                assert not isinstance(term.what, str)
                return self.constant_of(term.what, term.dtype)
            case "name":
                return self.name_of(str(term.what), term.dtype)
            case "load":
                return self.entry_of(str(term.what), term.operands, term.dtype)
            case "cast":
                return self.cast_of(term.operands[0], term.dtype)
            case "bits":
                return self.bits_of(term.operands[0], term.dtype)
            case "where":
                return self.choice_of(*term.operands)
            case "call":
                return self.call_of(str(term.what), term)
        if term.op in COMPARISONS:
            return self.comparison_of(term.op, *term.operands)
        return self.operation_of(term)

    @abstractmethod
    def constant_of(self, number: Number, dtype: str) -> Result:
        """A number."""

    @abstractmethod
    def name_of(self, word: str, dtype: str) -> Result:
        """What has a name."""

    @abstractmethod
    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> Result:
        """An entry of an array."""

    @abstractmethod
    def cast_of(self, x: Term, dtype: str) -> Result:
        """A value in another dtype."""

    @abstractmethod
    def bits_of(self, x: Term, dtype: str) -> Result:
        """What has the bits of a value."""

    @abstractmethod
    def choice_of(self, condition: Term, x: Term, y: Term) -> Result:
        """One of two values."""

    @abstractmethod
    def call_of(self, function: str, term: Term) -> Result:
        """What a function of `functions` gives."""

    @abstractmethod
    def comparison_of(self, op: str, x: Term, y: Term) -> Result:
        """Whether two values compare so."""

    @abstractmethod
    def operation_of(self, term: Term) -> Result:
        """What any other operation gives."""


class StatementWalk(ABC, Generic[Written]):
    """What each kind of statement becomes; names of totals have their dtypes in `totals`."""

    def __init__(self) -> None:
        self.totals: dict[str, str] = {}

    def statement(self, statement: Statement) -> Written:
        """What a statement becomes."""
        match statement:
            case Let(word, value):
                return self.let(word, value)
            case Begin(word, value):
                self.totals[word] = value.dtype
                return self.begin(word, value)
            case Accumulate(word, value, by):
                return self.accumulate(word, value, by)
            case Store(array, index, value, adds):
                return self.store(array, index, value, adds)
            case Loop():
                return self.loop_of(statement)
            case If(condition, body):
                return self.condition(condition, body)
            case Fail():
                return self.fail(statement)

    @abstractmethod
    def let(self, word: str, value: Term) -> Written:
        """A value gets a name."""

    @abstractmethod
    def begin(self, word: str, value: Term) -> Written:
        """A total begins."""

    @abstractmethod
    def accumulate(self, word: str, value: Term, by: str) -> Written:
        """A total goes on."""

    @abstractmethod
    def store(self, array: str, index: Sequence[Term], value: Term, adds: bool) -> Written:
        """A value is put into an array, or added to what is there."""

    @abstractmethod
    def loop_of(self, loop: Loop) -> Written:
        """Statements run again and again."""

    @abstractmethod
    def condition(self, condition: Term, body: Sequence[Statement]) -> Written:
        """Statements run where a condition holds."""

    @abstractmethod
    def fail(self, fail: Fail) -> Written:
        """The kernel ends here."""
