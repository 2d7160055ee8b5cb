"""Random programs whose inputs get new values: of themselves, of each other, of views of both.

Every input but one is a matrix that is replaced; all are small and of the same shape, so that
whatever may lie in the memory of something else does. What a backend writes too early, or reads
too late, comes out wrong.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from miniflow.ir import Builder, Literal, Output, ValueType, Variable, slice_index

N = 4  # every matrix is N × N, so that products and transposes go wherever anything goes
SCALES = (Literal(1.0), Literal(-1.0), Literal(0.0), Literal(0.5))


class MovingProgram:
    """A program of about `length` equations, and arguments for it."""

    def __init__(self, seed: int, length: int = 12, dtype: str = "f32") -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.dtype = dtype
        self.b = Builder()
        self.arguments: list[Any] = []
        count = self.random.randint(2, 4)
        self.parameters = [self._input("parameter", f"W{k}", (N, N)) for k in range(count)]
        self.rows = [self._input("parameter", f"b{k}", (N,)) for k in range(2)]
        self.values = [*self.parameters, self._input("fed", "X", (N, N))]
        for _ in range(length):
            self.values.append(self._matrix())
        self.vectors = [*self.rows]
        for _ in range(length // 3):
            self.vectors.append(self._vector())
        self.program = self.b.program(self._outputs())

    def _input(self, role: str, name: str, shape: tuple[int, ...]) -> Variable:
        self.arguments.append(self.numbers.standard_normal(shape).astype(self._numpy_dtype()))
        return self.b.input(ValueType(self.dtype, shape), role, name)

    def _numpy_dtype(self) -> Any:
        return {"f32": np.float32, "f64": np.float64}[self.dtype]

    def _any(self) -> Variable:
        """A matrix; parameters and what was computed last more often."""
        pick = self.random.random()
        if pick < 0.4:
            return self.random.choice(self.parameters)
        return self.random.choice(self.values[-3:] if pick < 0.7 else self.values)

    def _matrix(self) -> Variable:
        add, kind = self.b.add, self.random.random()
        if kind < 0.3:
            name = self.random.choice(["add", "subtract", "multiply", "maximum"])
            return add(name, (self._any(), self._any()))
        if kind < 0.38:
            return add(self.random.choice(["negative", "tanh", "absolute"]), (self._any(),))
        if kind < 0.46:
            row = self.random.choice(self.rows)
            return add("add", (self._any(), row))
        if kind < 0.68:
            return self._view(self._any())
        if kind < 0.84:
            return self._part_of(self._any())
        if kind < 0.96:
            c, a, b = self._any(), self._any(), self._any()
            if self.random.random() < 0.3:
                return add("matmul", (a, b))
            return add("gemm", (c, a, b, self.random.choice(SCALES), self.random.choice(SCALES)))
        return add("concatenate", (self._half(), self._half()), {"axis": 0})

    def _view(self, x: Variable) -> Variable:
        kind = self.random.random()
        if kind < 0.4:
            return self.b.add("transpose", (x,), {"axes": (1, 0)})
        if kind < 0.7:
            runs = [slice(None), slice(None, None, -1)]
            index = slice_index([self.random.choice(runs) for _ in range(2)], (N, N))
            return self.b.add("slice", (x,), {"index": index})
        flat = self.b.add("reshape", (x,), {"shape": (N * N,)})
        if self.random.random() < 0.5:
            index = slice_index([slice(None, None, -1)], (N * N,))
            flat = self.b.add("slice", (flat,), {"index": index})
        return self.b.add("reshape", (flat,), {"shape": (N, N)})

    def _half(self) -> Variable:
        start = self.random.choice([0, 1, 2])
        index = slice_index([slice(start, start + 2), slice(None)], (N, N))
        return self.b.add("slice", (self._any(),), {"index": index})

    def _part_of(self, x: Variable) -> Variable:
        """A matrix a part of which is written or added to, perhaps from the same matrix."""
        rows = self.random.choice([slice(0, 2), slice(2, 4), slice(1, 3), slice(0, 4, 2)])
        index = slice_index([rows, slice(None)], (N, N))
        source = x if self.random.random() < 0.5 else self._any()
        taken = self.random.choice([slice(0, 2), slice(2, 4), slice(3, 1, -1)])
        part = self.b.add("slice", (source,), {"index": slice_index([taken, slice(None)], (N, N))})
        name = self.random.choice(["slice_update", "slice_add"])
        return self.b.add(name, (x, part), {"index": index})

    def _vector(self) -> Variable:
        add, kind = self.b.add, self.random.random()
        if kind < 0.4:
            axis = self.random.choice([0, 1])
            total = self.random.choice(["sum", "max"])
            return add(total, (self._any(),), {"axis": (axis,), "keepdims": False})
        if kind < 0.6:
            index = slice_index([self.random.randrange(N), slice(None)], (N, N))
            return add("slice", (self._any(),), {"index": index})
        if kind < 0.7:
            flipped = slice_index([slice(None, None, -1)], (N,))
            return add("slice", (self.random.choice(self.vectors),), {"index": flipped})
        return add("subtract", (self.random.choice(self.vectors), self.random.choice(self.vectors)))

    def _outputs(self) -> list[Output]:
        outputs = []
        for parameter in (*self.parameters, *self.rows):
            if self.random.random() < 0.85:  # its new value may be another's old one, or a view
                values = self.values if len(parameter.shape) == 2 else self.vectors
                new = self.random.choice(values[-5:] if self.random.random() < 0.6 else values)
                outputs.append(Output(new, "parameter", replaces=parameter))
        more = self.random.sample(self.values, self.random.randint(0, 2))
        return [*outputs, *map(Output, more)] or [Output(self.values[-1])]
