"""Vectors beside the rows, or the columns, of a matrix get new values of it, and of one another:
whatever is written over is read before.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from miniflow.backends.native import lower
from miniflow.ir import Builder, Literal, Output, Program, ValueType, Variable, evaluate

from ..agreement import copies


class Beside:
    """Writes what a vector becomes: of a matrix, itself and another vector of its kind."""

    def __init__(self, axis: int, keepdims: bool) -> None:
        self.b, self.axis, self.keepdims = Builder(), axis, keepdims

    def __call__(self, name: str, *operands: Any) -> Variable:
        return self.b.add(name, operands)

    def total(self, name: str, x: Variable) -> Variable:
        return self.b.add(name, (x,), {"axis": (self.axis,), "keepdims": self.keepdims})

    def laid(self, v: Variable) -> Variable:
        """The vector as it is laid over the matrix."""
        if self.axis == 0 or self.keepdims:
            return v
        return self.b.add("reshape", (v,), {"shape": (*v.shape, 1)})

    def exponentials(self, x: Variable) -> Variable:
        return self("exp", self("subtract", x, self.laid(self.total("max", x))))


NEW: dict[str, Callable[[Beside, Variable, Variable, Variable], Variable]] = {
    "sum x": lambda b, x, w, u: b.total("sum", x),
    "max x": lambda b, x, w, u: b.total("max", x),
    "sum x - w": lambda b, x, w, u: b("subtract", b.total("sum", x), w),
    "max x · w": lambda b, x, w, u: b("multiply", b.total("max", x), w),
    "tanh(min x - u)": lambda b, x, w, u: b("tanh", b("subtract", b.total("min", x), u)),
    "w + u": lambda b, x, w, u: b("add", w, u),
    "2 w": lambda b, x, w, u: b("multiply", w, Literal(2.0)),
    "u": lambda b, x, w, u: u,
    "sum(x w)": lambda b, x, w, u: b.total("sum", b("multiply", x, b.laid(w))),
    "max(x - u)": lambda b, x, w, u: b.total("max", b("subtract", x, b.laid(u))),
    "sum(x - w) · u": lambda b, x, w, u: b(
        "multiply", b.total("sum", b("subtract", x, b.laid(w))), u
    ),
    "sum exp(x - max x)": lambda b, x, w, u: b.total("sum", b.exponentials(x)),
}
EVERY = (pytest.mark.slow, pytest.mark.rare)  # for `make test-every`
FEW = ["sum x", "max x", "tanh(min x - u)", "sum(x - w) · u", "w + u"]
SHAPES = [(5, 4), (6, 19), (1, 6), (6, 1), (20, 3)]


def step(kinds: tuple[str, ...], axis: int, keepdims: bool, shape: tuple[int, int]) -> Any:
    """A program in which vector k becomes what kind k makes of it and of the next one."""
    write = Beside(axis, keepdims)
    x = write.b.input(ValueType("f64", shape), "parameter", "x")
    kept = [1 if k == axis else n for k, n in enumerate(shape)]
    type_ = ValueType("f64", tuple(kept) if keepdims else (shape[1 - axis],))
    vectors = [write.b.input(type_, "parameter", f"v{k}") for k in range(len(kinds))]
    following = [*vectors[1:], vectors[0]]
    new = [
        NEW[kind](write, x, *pair) for kind, *pair in zip(kinds, vectors, following, strict=True)
    ]
    outputs = [Output(n, "parameter", replaces=v) for n, v in zip(new, vectors, strict=True)]
    if len(kinds) == 2 and kinds[0] < kinds[1]:  # in some programs of two
        outputs.append(Output(write("subtract", x, write.laid(vectors[0])), replaces=x))
    return write.b.program([*outputs, Output(write("subtract", vectors[0], vectors[-1]))])


def run(program: Program, arguments: list[Any]) -> list[Any]:
    """What native code gives, new values in their places."""
    results = iter(lower(program).run(arguments))
    places = {entry.variable: k for k, entry in enumerate(program.inputs)}
    return [
        next(results) if o.replaces is None else arguments[places[o.replaces]]
        for o in program.outputs
    ]


@pytest.mark.parametrize("names", [FEW, pytest.param(list(NEW), marks=EVERY)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [1, 0], ids=["rows", "columns"])
def test_what_is_written_over_is_read_before(axis: int, keepdims: bool, names: list[str]) -> None:
    """In all pairs, and in some triples."""
    chosen, pairs = random.Random(1), list(itertools.product(names, names))
    triples = [tuple(chosen.choices(names, k=3)) for _ in pairs[::2]]
    for kinds in [*pairs, *triples]:
        program = step(kinds, axis, keepdims, chosen.choice(SHAPES))
        rng = np.random.default_rng(len(kinds))
        arguments = [rng.standard_normal(e.variable.shape) for e in program.inputs]
        wanted = evaluate(program, copies(arguments))
        for ours, theirs in zip(run(program, copies(arguments)), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=str(kinds))
