"""`np.einsum` on traced values, said with transposes, sums and matrix products."""

from math import prod
from typing import Any

import numpy as np

from miniflow.tracing.trace import Refused


def einsum(subscripts: Any, *operands: Any, out: Any = None, optimize: Any = False) -> Any:
    """`np.einsum("ik,kj->ij", a, b)`: sums of products over the letters that the result does
    not have.
    """
    from miniflow.tracing.arrays import as_traced

    if not isinstance(subscripts, str) or "." in subscripts or out is not None:
        raise Refused("it calls np.einsum with `...`, out= or lists.", "Write the letters out.")
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        letters = left.replace(",", "")
        result = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    arrays = [as_traced(operand) for operand in operands]
    if len(terms) != len(arrays) or any(
        len(t) != np.ndim(a) for t, a in zip(terms, arrays, strict=True)
    ):
        raise ValueError(f"einsum: {subscripts!r} does not fit {[np.shape(a) for a in arrays]}")
    term, array = _without_repeats(terms[0], arrays[0])
    for i, (next_term, next_array) in enumerate(zip(terms[1:], arrays[1:], strict=True)):
        wanted = result + "".join(terms[i + 2 :])
        term, array = _product(term, array, *_without_repeats(next_term, next_array), wanted)
    gone = tuple(i for i, letter in enumerate(term) if letter not in result)
    array = np.sum(array, axis=gone) if gone else array
    # NumPy adds up in the dtype of the operands, where a sum of small integers is int64.
    array = array.astype(np.result_type(*(operand.dtype for operand in arrays)))
    kept = [letter for letter in term if letter in result]
    if not kept:
        return array[()]
    laid_out: Any = np.transpose(array, [kept.index(letter) for letter in result]).copy()
    laid_out.contiguous = False  # the order in memory is NumPy's affair
    return laid_out


def _without_repeats(term: str, array: Any) -> tuple[str, Any]:
    """A letter that stands twice in one term means the diagonal."""
    for letter in term:
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            n = array.shape[i]
            mask = np.eye(n, dtype=bool).reshape(
                [n if k in (i, j) else 1 for k in range(len(term))]
            )
            array = np.sum(np.where(mask, array, 0), axis=j)
            term = term[:j] + term[j + 1 :]
    return term, array


def _product(a_term: str, a: Any, b_term: str, b: Any, wanted: str) -> tuple[str, Any]:
    """Two terms as one stack of matrix products."""
    a_term, a = _sum_unneeded(a_term, a, b_term + wanted)
    b_term, b = _sum_unneeded(b_term, b, a_term + wanted)
    stack = [letter for letter in a_term if letter in b_term and letter in wanted]
    inner = [letter for letter in a_term if letter in b_term and letter not in wanted]
    rows = [letter for letter in a_term if letter not in b_term]
    columns = [letter for letter in b_term if letter not in a_term]
    sizes = {**dict(zip(b_term, b.shape, strict=True)), **dict(zip(a_term, a.shape, strict=True))}

    def matrix(term: str, array: Any, first: list[str], second: list[str]) -> Any:
        order = [term.index(letter) for letter in (*stack, *first, *second)]
        shape = [sizes[letter] for letter in stack]
        shape += [prod(sizes[letter] for letter in first), prod(sizes[letter] for letter in second)]
        return np.reshape(np.transpose(array, order), shape)

    product = np.matmul(matrix(a_term, a, rows, inner), matrix(b_term, b, inner, columns))
    letters = [*stack, *rows, *columns]
    return "".join(letters), np.reshape(product, [sizes[letter] for letter in letters])


def _sum_unneeded(term: str, array: Any, needed: str) -> tuple[str, Any]:
    gone = tuple(i for i, letter in enumerate(term) if letter not in needed)
    return "".join(letter for letter in term if letter in needed), np.sum(
        array, axis=gone
    ) if gone else array
