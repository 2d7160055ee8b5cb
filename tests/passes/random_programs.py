"""Random programs: what passes and backends are tried on where examples are too tame."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from miniflow.ir import (
    DTYPES,
    Builder,
    Literal,
    Output,
    Program,
    ProgramError,
    ValueType,
    Variable,
    slice_index,
)

SIZES = [(4, 3), (1, 5), (5, 1), (3, 3), (7, 10), (2, 0), (0, 3), (1, 1)]
UNARY = ["negative", "absolute", "sign", "sqrt", "exp", "log1p", "tanh", "sin", "isnan"]
BINARY = ["add", "add", "subtract", "multiply", "divide", "maximum", "greater", "equal", "power"]
REDUCTIONS = ["sum", "sum", "max", "min", "any"]
LITERALS = [0, 1, 2, 0.5, -1.5, 3.0]


class RandomProgram:
    """A program of about `length` equations, and arguments for it."""

    def __init__(self, seed: int, length: int = 14) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.m, self.n = self.random.choice(SIZES)
        self.b = Builder()
        self.values: list[Variable] = []
        self.arguments: list[Any] = []
        self._add_inputs()
        for _ in range(length):
            try:
                result = self._equation()
            except (ProgramError, IndexError):  # NumPy refuses it too
                continue
            if result.type.size <= 2000:
                self.values.append(result)
        self.program = pruned(self.b.program(self._outputs()))

    def _add_inputs(self) -> None:
        m, n, pick = self.m, self.n, self.random.choice
        for k in range(self.random.randint(2, 4)):
            shape = pick([(m, n), (m, n), (n,), (m, 1), (m,), (1, n), (), (2, m, n)])
            dtype = pick(["f32", "f32", "f32", "f64", "i64", "bool", "u8"])
            role = pick(["fed", "parameter"])
            self._add_input(ValueType(dtype, shape), role, f"x{k}", self._array(shape, dtype))
        self._add_input(ValueType("f64", (), "python"), "hyper", "lr", 0.37)
        self._add_input(ValueType("f32", (), "scalar"), "hyper", "scale", np.float32(1.5))
        labels = self.numbers.integers(-n, n, m) if n else np.zeros(m, np.int64)
        self._add_input(ValueType("i64", (m,)), "fed", "y", labels)
        params = {"start": 0, "stop": m, "step": 1, "dtype": "i64"}
        self.rows = self.b.add("arange", (), params)

    def _add_input(self, type_: ValueType, role: str, name: str, argument: Any) -> None:
        self.values.append(self.b.input(type_, role, name))
        self.arguments.append(argument)

    def _array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        x = np.array(self.numbers.standard_normal(shape) * 2)
        if dtype[0] == "f" and x.size and self.random.random() < 0.2:
            odd = [np.nan, np.inf, -np.inf, -0.0]
            x.flat[self.random.randrange(x.size)] = self.random.choice(odd)
        return np.array(
            x > 0 if dtype == "bool" else np.abs(x) if dtype == "u8" else x, DTYPES[dtype]
        )

    def _any(self) -> Any:
        """A value, more often a recent one; now and then a number."""
        if self.random.random() < 0.1:
            return Literal(self.random.choice(LITERALS))
        recent = self.random.random() < 0.6
        return self.random.choice(self.values[-6:] if recent else self.values)

    def _equation(self) -> Variable:
        pick, add = self.random.choice, self.b.add
        kind = self.random.random()
        if kind < 0.45:
            return add(pick(BINARY), (self._any(), self._any()))
        if kind < 0.6:
            return add(pick(UNARY), (self._any(),))
        arrays = [v for v in self.values if v.kind == "array"]
        x = pick(arrays)
        ndim = x.type.ndim
        if kind < 0.75:
            axis = pick([tuple(range(ndim)), (0,), (ndim - 1,), tuple(range(1, ndim)) or (0,)])
            return add(pick(REDUCTIONS), (x,), {"axis": axis, "keepdims": pick([True, False])})
        if kind < 0.8:
            axes = tuple(self.random.sample(range(ndim), ndim))
            return add("transpose", (x,), {"axes": axes})
        if kind < 0.84:
            return add("reshape", (x,), {"shape": pick([(x.type.size,), (*x.shape, 1)])})
        if kind < 0.88:
            runs = [slice(None), slice(None, None, -1), slice(1, None), slice(None, None, 2), 0]
            index = slice_index([pick(runs) for _ in range(ndim)], x.shape)
            return add("slice", (x,), {"index": index})
        if kind < 0.93:
            return self._product([v for v in arrays if v.type.ndim == 2 and v.dtype[0] == "f"])
        if kind < 0.97:
            return self._of_rows([v for v in arrays if v.shape == (self.m, self.n)])
        if kind < 0.98:
            like = {"shape": (self.m, self.n), "dtype": "f32"}
            return add("full", (Literal(pick(LITERALS)),), like)
        return add("where", (self._any(), self._any(), self._any()))

    def _product(self, matrices: list[Variable]) -> Variable:
        a, b = self.random.choice(matrices), self.random.choice(matrices)
        product = self.b.add("matmul", (a, b))
        same = [v for v in matrices if v.type == product.type]
        if not same or self.random.random() < 0.4:
            return product
        scales = [Literal(1.0), Literal(-0.5), *(v for v in self.values if v.kind == "python")]
        alpha, beta = self.random.choice(scales), self.random.choice(scales)
        return self.b.add("gemm", (self.random.choice(same), a, b, alpha, beta))

    def _of_rows(self, matrices: list[Variable]) -> Variable:
        x, y = self.random.choice(matrices), next(v for v in self.values if v.name == "y")
        at_label = {"axes": (0, 1)}
        picked = self.b.add("gather", (x, self.rows, y), at_label)
        self.values.append(picked)
        name = self.random.choice(["gather_update", "scatter_add"])
        return self.b.add(
            name, (x, self.random.choice([picked, Literal(1)]), self.rows, y), at_label
        )

    def _outputs(self) -> list[Output]:
        computed = [e.result for e in self.b.equations if e.result is not self.rows]
        outputs = []
        for entry in self.b.inputs:
            same = [v for v in computed if v.type == entry.variable.type]
            if entry.role == "parameter" and same and self.random.random() < 0.7:
                new = self.random.choice(same)
                outputs.append(Output(new, "parameter", replaces=entry.variable))
        chosen = self.random.sample(computed, min(len(computed), self.random.randint(1, 4)))
        return [*outputs, *map(Output, chosen)] or [Output(self.values[0])]


def pruned(program: Program) -> Program:
    """The program without equations that no output needs."""
    needed: set[Any] = {output.operand for output in program.outputs}
    kept = []
    for equation in reversed(program.equations):
        if equation.result in needed:
            needed.update(equation.operands)
            kept.append(equation)
    return Program(program.inputs, tuple(kept[::-1]), program.outputs, program.constants)
