"""The record of which the table of primitives is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from miniflow.ir.dtypes import ValueType
from miniflow.ir.rules import Form


def _zero(result: ValueType, *operands: object, **params: object) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Primitive:
    """One operation on values.

    - `category`: ``elementwise``, ``reduction``, ``matmul``, ``movement``, ``indexing``,
      ``creation`` or ``loop``;
    - `arity`: the number of operands, None for any number;
    - `compute(*values, **params)`: the meaning, in NumPy; it never changes a value that it is
      given;
    - `infer(*operands, **params)`: the type of what `compute` returns, from the operands' types;
    - `params`: the form of each parameter; all of them are required;
    - `flops(result_type, *operands, **params)`: an estimate of the arithmetic;
    - `is_view`: NumPy may return the first operand's own memory, and moves none.
    """

    name: str
    category: str
    arity: int | None
    compute: Callable[..., Any]
    infer: Callable[..., ValueType]
    params: Mapping[str, Form] = field(default_factory=dict)
    flops: Callable[..., int] = _zero
    is_view: bool = False


def view(
    name: str,
    category: str,
    compute: Callable[..., Any],
    infer: Callable[..., ValueType],
    params: Mapping[str, Form],
) -> Primitive:
    """Make an entry that looks at its only operand's memory in another way."""
    return Primitive(name, category, 1, compute, infer, params, is_view=True)
