"""What holds for every pass, and for what backends make of a program themselves: it is well formed,
computes the same, and does not depend on labels. Tried on the programs of the conformance kit, with
an optimizer where there are parameters, and on random ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow.backends import MODULES, find
from miniflow.backends.numpy.dialect import prepare as prepare_for_numpy
from miniflow.backends.numpy.primitives import DIALECT
from miniflow.backends.onnx import prepare as prepare_for_onnx
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir import (
    DTYPES,
    Builder,
    Input,
    Literal,
    Output,
    Program,
    ProgramError,
    ValueType,
    Variable,
    check,
    evaluate,
)
from miniflow.passes import stages
from miniflow.passes.operators import OPERATORS

from .random_programs import RandomProgram

PREPARATIONS: dict[str, tuple[Callable[[Program], Program], dict[str, Any]]] = {
    "numpy": (prepare_for_numpy, dict(DIALECT)),
    "onnx": (prepare_for_onnx, dict(OPERATORS)),
}
SEEDS = range(25)


def ran(step: Any, feed: dict[mf.Node, Any]) -> tuple[Program, list[Any]]:
    """The program of a step of the reference, which has no passes; and arguments for it: positive
    numbers, and integers that can be labels.
    """
    step(feed)
    rng = np.random.default_rng(0)
    arguments: list[Any] = []
    for entry in step.program.inputs:
        dtype, shape, kind = entry.variable.type
        value = rng.integers(0, 2, shape) if dtype[0] == "i" else rng.uniform(0.1, 1, shape)
        number = int(value) if dtype[0] == "i" and not shape else value
        array = np.asarray(value, DTYPES[dtype])
        arguments.append({"python": number, "scalar": array[()], "array": array}[kind])
    return step.program, arguments


@cache
def recorded(name: str) -> tuple[Program, list[Any]]:
    """The program of a case of the kit as it was recorded, gradients and all; and its arguments."""
    output, feed, wrt, _ = CASES[name](np.float64)
    needed = {n: value for n, value in feed.items() if n in ancestors_in_order(output)}
    return ran(mf.compile(output, wrt=wrt, backend="reference"), needed)


@cache
def trained() -> tuple[Program, list[Any]]:
    """One step of a small network with Adam, whose update is more than a sum."""
    rng = np.random.default_rng(0)
    x, y = mf.Input("x"), mf.Input("y")
    W, b = mf.Parameter(rng.normal(size=(5, 4)), "W"), mf.Parameter(np.zeros(4), "b")
    V, c = mf.Parameter(rng.normal(size=(4, 3)), "V"), mf.Parameter(np.zeros(3), "c")
    hidden = mf.Sigmoid(mf.Linear(x, W, b))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, V, c), y)
    step = mf.compile(loss, optimizer=mf.Adam(0.01), backend="reference")
    feed = {x: rng.normal(size=(6, 5)), y: rng.integers(0, 3, 6)}
    return ran(step, feed)


@cache
def convolved() -> tuple[Program, list[Any]]:
    """A convolution and its gradients, with SGD and momentum."""
    rng = np.random.default_rng(0)
    x = mf.Input("x")
    K, b = mf.Parameter(rng.normal(size=(3, 3, 1, 4)), "K"), mf.Parameter(np.zeros(4), "b")
    loss = mf.Mean(mf.ReLU(mf.Conv2D(x, K, b)) ** 2)
    step = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.9), backend="reference")
    feed = {x: rng.normal(size=(2, 6, 6, 1))}
    return ran(step, feed)


def drawn(seed: int) -> tuple[Program, list[Any]]:
    program = RandomProgram(seed, length=20)
    return program.program, program.arguments


PROGRAMS: dict[str, Callable[[], tuple[Program, list[Any]]]] = {
    **{name: lambda name=name: recorded(name) for name in CASES},
    "a step of Adam": trained,
    "a step of a convolution": convolved,
    **{f"random {seed}": lambda seed=seed: drawn(seed) for seed in SEEDS},
}
every_program = pytest.mark.parametrize("name", PROGRAMS)


def programs_on_the_way(program: Program) -> Iterator[tuple[str, Program, dict[str, Any]]]:
    """Every program that becomes of one, with where it is and the primitives of its dialect."""
    for backend in MODULES:
        for stage, improved in stages(program, find(backend).passes):
            yield f"{backend}, {stage}", improved, {}
        if backend in PREPARATIONS:
            prepare, also = PREPARATIONS[backend]
            yield f"{backend}, prepared", prepare(improved), also


@every_program
def test_every_pass_and_preparation_is_checked_and_computes_the_same(name: str) -> None:
    program, arguments = PROGRAMS[name]()
    try:
        expected = results(program, arguments)
    except ProgramError:  # an index out of range, say: it may vanish with its value
        return
    for where, improved, also in programs_on_the_way(program):
        try:
            check(improved, also=also)
            for one, other in zip(expected, results(improved, arguments, also), strict=True):
                assert_close(one, other)
        except (ProgramError, AssertionError) as error:
            raise AssertionError(f"{where}: {error}\n{improved}") from error


def results(
    program: Program, arguments: list[Any], also: dict[str, Any] | None = None
) -> list[Any]:
    """What is returned, and then what the inputs are afterwards: new values, or what they were."""
    values = evaluate(program, arguments, also or {})
    pairs = list(zip(program.outputs, values, strict=True))
    new = {output.replaces: value for output, value in pairs if output.replaces is not None}
    after = zip(program.inputs, arguments, strict=True)
    returned = [value for output, value in pairs if output.replaces is None]
    return [*returned, *(new.get(entry.variable, argument) for entry, argument in after)]


def assert_close(expected: Any, seen: Any) -> None:
    a, b = np.asarray(expected), np.asarray(seen)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    if a.dtype.kind == "f":
        rtol = {np.float16: 1e-2, np.float32: 1e-4}.get(a.dtype.type, 1e-9)
        scale = np.max(np.abs(a[np.isfinite(a)]), initial=1.0)
        np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol * scale)
    else:
        np.testing.assert_array_equal(b, a)


@every_program
def test_passes_and_preparations_decide_without_origins(name: str) -> None:
    program, _ = PROGRAMS[name]()
    one, other = programs_on_the_way(program), programs_on_the_way(without_origins(program))
    for (where, improved, _), (_, unlabelled, _) in zip(one, other, strict=True):
        assert anonymous(improved) == anonymous(unlabelled), where


def without_origins(program: Program) -> Program:
    return Program(
        tuple(Input(entry.variable, entry.role) for entry in program.inputs),
        tuple(replace(equation, origin=None) for equation in program.equations),
        program.outputs,
        program.constants,
    )


def anonymous(program: Program) -> list[Any]:
    """A program without labels: values are numbered, names and origins left out."""
    numbers: dict[Variable, int] = {}

    def operand(o: Any) -> Any:
        return repr(o) if isinstance(o, Literal) else numbers[o]

    lines: list[Any] = []
    for entry in (*program.inputs, *program.constants):
        lines.append((numbers.setdefault(entry.variable, len(numbers)), entry.variable.type))
    for e in program.equations:
        read = [operand(o) for o in e.operands]
        result = numbers.setdefault(e.result, len(numbers))
        lines.append((result, e.result.type, e.primitive, read, dict(e.params)))
    for output in program.outputs:
        replaced = None if output.replaces is None else operand(output.replaces)
        lines.append((operand(output.operand), output.role, replaced))
    return lines


def test_a_dialects_primitives_are_known_only_where_they_are_declared() -> None:
    b = Builder()
    x, i = b.input(ValueType("f64", (3, 4))), b.input(ValueType("i64", (5,)))
    program = b.program([b.add("gather", (x, i), {"axes": (0,)})])
    prepared = prepare_for_numpy(program)
    check(prepared, also=DIALECT)
    with pytest.raises(ProgramError, match="there is no primitive 'positions'"):
        check(prepared)
    wrong = replace(prepared.equations[-1], result=Variable(ValueType("f64", (5, 3))))
    broken = Program(prepared.inputs, (prepared.equations[0], wrong), (Output(wrong.result),))
    with pytest.raises(ProgramError, match=r"take.*gives f64\[5,4\], not f64\[5,3\]"):
        check(broken, also=DIALECT)
