"""Answers of learners: what is one, whether it is the right one, and how it is shown to them."""

import ast
import contextlib
from typing import Any

import numpy as np

from miniflow.lab.comparing import agree, numbers_in


def same_answer(given: Any, expected: Any, tolerance: float) -> bool:
    """Whether two answers are the same, in the sense in which a teacher would say so: a number, a
    tuple or a list of numbers may be in quotation marks.

    >>> same_answer("  Chain Rule", "chain rule", 0), same_answer((1, 2), [1, 2.0], 0)
    (True, True)
    >>> same_answer("-4", -4.0, 0), same_answer("(3,4)", (3, 4), 0), same_answer("minus 4", -4, 0)
    (True, True, False)
    """
    if isinstance(given, str) and numbers_in(expected) is not None:
        with contextlib.suppress(ValueError, SyntaxError):
            given = ast.literal_eval(given.strip())
    if isinstance(given, str) or isinstance(expected, str):
        return " ".join(str(given).lower().split()) == " ".join(str(expected).lower().split())
    if isinstance(given, bool) != isinstance(expected, bool):
        return False
    if numbers_in(given) is not None and numbers_in(expected) is not None:
        return agree(given, expected, tolerance)
    try:
        return bool(given == expected)
    except Exception:  # whatever the learner's object does when it is compared
        return False


def is_left_open(value: Any) -> bool:
    """Whether a value is, or holds, the `...` of a hand-out."""
    if isinstance(value, (list, tuple)):
        return any(is_left_open(item) for item in value)
    return value is ...


def is_two_numbers_for_one(given: Any, expected: Any) -> bool:
    """Whether an answer is what `-4,0` gives where one number is expected.

    >>> is_two_numbers_for_one((-4, 0), -4.0), is_two_numbers_for_one((3, 4), (3, 4))
    (True, False)
    """
    if np.shape(expected) != () or not isinstance(given, tuple) or len(given) != 2:
        return False
    return all(type(number) is int for number in given) and given[1] >= 0


def short_repr(value: Any) -> str:
    """A value in at most eighty characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
