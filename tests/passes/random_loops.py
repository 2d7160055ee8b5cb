"""Random scans: the body of each is a random program."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from miniflow.ir import DTYPES, Builder, Program, ValueType, Variable

from .random_programs import RandomProgram

COUNT = 3


class RandomLoop:
    """A program of one scan, whose body is a random program and what makes a state of its outputs;
    and arguments for it. Some of what the body reads differs from turn to turn.
    """

    def __init__(self, seed: int, length: int = 10) -> None:
        self.random = random.Random(seed)
        inner = RandomProgram(seed, length)
        dtype = self.random.choice(["f32", "f64"])
        shape = self.random.choice([(), (inner.m, inner.n), (inner.n,), (2, inner.m, inner.n)])
        body = Builder()
        state = body.input(ValueType(dtype, shape, "array" if shape else "scalar"), name="state")
        picked = [e.variable for e in inner.program.inputs if self.random.random() < 0.4]
        items = [v for v in picked if v.kind == "array" and v.shape][:2]
        if not items:
            items = [next(e.variable for e in inner.program.inputs if e.variable.shape)]
        outside = [e.variable for e in inner.program.inputs if e.variable not in items]
        for variable in (*items, *outside):
            body.inputs.append(next(e for e in inner.program.inputs if e.variable is variable))
        body.equations += inner.program.equations
        values = [o.operand for o in inner.program.outputs]
        program = body.program([self._new_state(body, state, values)])
        given = dict(zip((e.variable for e in inner.program.inputs), inner.arguments, strict=True))
        self.arguments: list[Any] = [
            np.asarray(0.5, DTYPES[dtype])[()] * np.ones(shape, DTYPES[dtype])
        ]
        self.arguments += [self._stack(given[v]) for v in items]
        self.arguments += [given[v] for v in outside]
        b = Builder()
        first = b.input(ValueType(dtype, shape, "array" if shape else "scalar"), name="first")
        rows = [b.input(ValueType(v.dtype, (COUNT, *v.shape)), name=v.name) for v in items]
        others = [b.input(v.type, name=v.name) for v in outside]
        params = {
            "body": program,
            "sequences": len(rows),
            "reverse": self.random.random() < 0.5,
        }
        history = b.add("scan", (first, *rows, *others), params)
        self.program: Program = b.program([b.add("negative", (history,)), history])

    def _new_state(self, body: Builder, state: Variable, values: list[Any]) -> Any:
        """The state, moved by a bounded number for each value."""
        new: Any = body.add("multiply", (state, 0.5))
        for value in values:
            number = body.add("cast", (value,), {"dtype": "f64"})
            if number.shape:
                axes = tuple(range(len(number.shape)))
                number = body.add("sum", (number,), {"axis": axes, "keepdims": False})
            both = body.add("add", (body.add("sin", (number,)), body.add("tanh", (state,))))
            new = body.add("add", (new, both))
        return body.add("cast", (new,), {"dtype": state.dtype})

    def _stack(self, value: np.ndarray) -> np.ndarray:
        return np.stack([np.roll(value.reshape(-1), t).reshape(value.shape) for t in range(COUNT)])
