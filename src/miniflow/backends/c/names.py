"""Names in C: what a user calls something, as an identifier that C, C++ and nobody else has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while
    alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl
    concept const_cast consteval constexpr constinit co_await co_return co_yield decltype delete
    dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public reinterpret_cast requires static_assert static_cast
    template this thread_local throw true try typeid typename typeof using virtual wchar_t xor
    xor_eq main errno math_errhandling linux unix
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())
_MACRO: Final = re.compile(  # of the headers that a file includes
    r"(FP|MATH|HUGE|M|U?INT\w*|SIZE|PTRDIFF|WCHAR|SIG)_[A-Z0-9_]+|INFINITY|NAN|NULL"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_identifier(word: str) -> bool:
    """Whether a file can be called so in C and C++.

    >>> is_identifier("digits"), is_identifier("my-model"), is_identifier("union")
    (True, False, False)
    """
    return _IDENTIFIER.fullmatch(word) is not None and word not in KEYWORDS


class CNames:
    """Identifiers, each once.

    >>> names = CNames(["out"])
    >>> [names(word) for word in ("X", "out", "X", "learning rate", "int", "1st")]
    ['X', 'out_1', 'X_1', 'learning_rate', 'int_1', 'x1st']
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*KEYWORDS, *taken}

    def __call__(self, word: str | None) -> str:
        """An identifier that looks like `word`."""
        text = re.sub(r"[^A-Za-z0-9_]+", "_", word or "x").strip("_") or "x"
        text = text if text[0].isalpha() else f"x{text}"
        found, number = text, 0
        while found in self._taken or _MACRO.fullmatch(found):
            number += 1
            found = f"{text}_{number}"
        self._taken.add(found)
        return found


def comment(text: str) -> str:
    """What stands in a comment, without what would end it, or be something else to a compiler."""
    for pair in ("*/", "/*", "??", "\\\n"):
        text = text.replace(pair, f"{pair[0]} {pair[1]}")
    return text.rstrip("\\")
