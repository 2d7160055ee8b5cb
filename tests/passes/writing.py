"""Writing programs for tests, reading them, and comparing what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from miniflow.ir import (
    Builder,
    Literal,
    Operand,
    Program,
    ValueType,
    Variable,
    check,
    evaluate,
    type_of,
)
from miniflow.passes import prune

F32 = ValueType("f32", (2, 3))
EDGES = [0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 3e-45, 1e30]


class Writer:
    """`w.add(x, 0)` is an equation of the program under way."""

    def __init__(self) -> None:
        self.builder = Builder()

    def __getattr__(self, primitive: str) -> Callable[..., Variable]:
        return lambda *operands, **params: self.builder.add(primitive, operands, params)

    def full(self, value: Any, shape: tuple[int, ...], dtype: str = "f32") -> Variable:
        return self.builder.add("full", (value,), {"shape": shape, "dtype": dtype})

    def arange(self, stop: int, start: int = 0, step: int = 1) -> Variable:
        params = {"start": start, "stop": stop, "step": step, "dtype": "i64"}
        return self.builder.add("arange", (), params)

    def constant(self, value: Any) -> Variable:
        return self.builder.constant(np.asarray(value))

    def sum(self, x: Operand, *axis: int, keepdims: bool = False) -> Variable:
        return self.builder.add("sum", (x,), {"axis": axis, "keepdims": keepdims})


def write(function: Callable[..., Any], *types: ValueType) -> Program:
    """Return the program of `function(writer, x, y, z)`, whose inputs have these types."""
    writer = Writer()
    inputs = [writer.builder.input(t, name=name) for t, name in zip(types, "xyzuvw", strict=False)]
    outputs = function(writer, *inputs)
    return writer.builder.program(outputs if isinstance(outputs, tuple) else (outputs,))


def shown(program: Program) -> str:
    """Return what the first output computes, as one expression."""
    definitions = {equation.result: equation for equation in program.equations}
    constants = {constant.variable: constant.value for constant in program.constants}

    def text(operand: Operand) -> str:
        if isinstance(operand, Literal):
            return repr(operand)
        if operand in constants:
            return f"{operand.type}{constants[operand].tolist()}"
        equation = definitions.get(operand)
        if equation is None:
            return str(operand.name)
        shown = [text(inner) for inner in equation.operands]
        shown += [f"{name}={value}" for name, value in equation.params.items()]
        return f"{equation.primitive}({', '.join(shown)})"

    return text(program.outputs[0].operand)


def improved(improve: Callable[[Program], Program], program: Program) -> Program:
    """Return what a pass makes of a program, checked, without what is left over."""
    result = improve(program)
    check(result)
    return prune(result)


def edge_value(type_: ValueType) -> Any:
    """Return a value of a type, with NaN, infinities and both zeros in it if it can hold them."""
    rng = np.random.default_rng(0)
    if type_.dtype[0] == "f":
        values = rng.choice(EDGES, type_.shape)
    elif type_.dtype == "bool":
        values = rng.integers(0, 2, type_.shape)
    else:
        values = rng.integers(-3 if type_.dtype[0] == "i" else 250, 256, type_.shape)
    if type_.kind == "python":
        return {"f64": float, "i64": int, "bool": bool}[type_.dtype](values)
    dtype = {"bool": "bool"}.get(type_.dtype, f"{type_.dtype[0]}{type_.dtype[1:]}")
    dtype = dtype if dtype == "bool" else f"{dtype[0]}{int(dtype[1:]) // 8}"
    array = np.asarray(values).astype(dtype)
    return array[()] if type_.kind == "scalar" else array


def assert_same_values(one: Program, other: Program, arguments: list[Any], rtol: float = 0) -> None:
    """Assert that two programs return the same types and numbers; 0.0 and -0.0 are the same."""
    for a, b in zip(evaluate(one, arguments), evaluate(other, arguments), strict=True):
        assert type(a) is type(b)
        assert type_of(a) == type_of(b)
        if rtol:
            np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(np.asarray(b), np.asarray(a), strict=True)
