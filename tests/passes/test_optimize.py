"""All passes together: values stay the same, growth is linear, and nothing is left to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from ir.programs import two_layers

from miniflow.backends import MODULES, find
from miniflow.ir import Program, ProgramError, ValueType, check, evaluate
from miniflow.passes import TIDY, batch, contract, contract_in_place, optimize, stages

from .writing import Writer, assert_same_values, write

SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3), (3, 2)]
TYPES = [
    *(ValueType(dtype, shape) for dtype in ("f32", "f64", "i64") for shape in ((2, 3), (3,), ())),
    ValueType("u8", (2, 3)),
    ValueType("bool", (2, 3)),
    *(ValueType(dtype, (), "scalar") for dtype in ("f32", "i64", "bool")),
    *(ValueType(dtype, (), "python") for dtype in ("f64", "i64", "bool")),
]
NUMBERS = [0, 1, -1, 2, 0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), True, np.float32(1), np.float64(0)]
UNARY = ["negative", "absolute", "sign", "logical_not", "isnan"]
BINARY = ["add", "subtract", "multiply", "maximum", "equal", "greater", "logical_and"]


class RandomProgram:
    """Adds equations of all kinds that have rules, drawn among the values that there are."""

    def __init__(self, draw: Callable[[Any], Any], writer: Writer, values: list[Any]) -> None:
        self.draw, self.w, self.values = draw, writer, values

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def any(self) -> Any:
        return self.pick(*self.values[-6:], *self.values[:6], *NUMBERS)

    def array(self) -> Any:
        return self.pick(*[v for v in self.values if v.kind == "array"])

    def step(self) -> None:
        """Add an equation; one that NumPy refuses is left out."""
        kinds = [self.unary, self.binary, self.binary, self.divide, self.where, self.cast]
        kinds += [self.full, self.reshape, self.transpose, self.broadcast, self.slice]
        kinds += [self.update, self.gather, self.reduce, self.constant]
        with suppress(ProgramError):
            self.values.append(self.pick(*kinds)())

    def unary(self) -> Any:
        return getattr(self.w, self.pick(*UNARY))(self.any())

    def binary(self) -> Any:
        return getattr(self.w, self.pick(*BINARY))(self.any(), self.any())

    def divide(self) -> Any:  # a power of two, so that sums are exact; no zero, whose sign may vary
        return self.w.divide(self.any(), self.pick(1, -1, 2, 1.0, -0.5))

    def where(self) -> Any:
        return self.w.where(self.any(), self.any(), self.any())

    def cast(self) -> Any:
        return self.w.cast(self.any(), dtype=self.pick("f32", "f64", "bool"))

    def full(self) -> Any:
        return self.w.full(self.pick(*NUMBERS[:9]), self.pick(*SHAPES), self.pick("f32", "f64"))

    def reshape(self) -> Any:
        x = self.any_array_or_number()
        return self.w.reshape(x, shape=self.pick(*self.shapes_of_size(x)))

    def any_array_or_number(self) -> Any:
        return self.pick(self.array(), *self.values)

    def shapes_of_size(self, x: Any) -> list[tuple[int, ...]]:
        return [s for s in (*SHAPES, (6,), (1, 1, 3)) if prod(s) == x.type.size] or [x.shape]

    def transpose(self) -> Any:
        x = self.array()
        return self.w.transpose(x, axes=tuple(self.draw(st.permutations(range(len(x.shape))))))

    def broadcast(self) -> Any:
        return self.w.broadcast_to(self.any_array_or_number(), shape=self.pick(*SHAPES, (2, 2, 3)))

    def index(self, x: Any) -> tuple[Any, ...]:
        whole = [(0, n, 1) if n else (0, 0, 1) for n in x.shape]
        return tuple(
            self.pick(entry, entry, 0, n - 1, (n - 1, n, -1), (0, 1, 1))
            for entry, n in zip(whole, x.shape, strict=True)
        )

    def slice(self) -> Any:
        x = self.array()
        return self.w.slice(x, index=self.index(x))

    def update(self) -> Any:
        x = self.array()
        index = self.index(x)
        updated = self.w.slice_update(x, self.any(), index=index)
        self.values.append(updated)
        return self.w.slice(updated, index=self.pick(index, self.index(x)))

    def gather(self) -> Any:
        x = self.pick(*[v for v in self.values if len(v.shape) == 2])
        n, k = x.shape
        rows = self.w.arange(self.pick(n, n, n - 1))
        columns = self.w.constant(np.arange(rows.shape[0]) % k)
        if self.draw(st.booleans()):
            return self.w.gather(x, rows, axes=(0,))
        value = self.pick(1, *[v for v in self.values if v.shape == rows.shape])
        written = self.w.gather_update(x, value, rows, columns, axes=(0, 1))
        self.values.append(written)
        return self.w.gather(written, rows, columns, axes=(0, 1))

    def reduce(self) -> Any:
        x = self.any_array_or_number()
        axes = [a for a in range(len(x.shape)) if self.draw(st.booleans())]
        params = {"axis": tuple(axes), "keepdims": self.draw(st.booleans())}
        return self.w.builder.add(self.pick("sum", "max", "any"), (x,), params)

    def constant(self) -> Any:
        return self.w.constant(np.array(self.pick([1.0, 2.0, 3.0], [[0.5]], [1, 0, 1])))


@st.composite
def random_programs(draw):
    """Return a program, and arguments for it."""
    writer = Writer()
    types = draw(st.lists(st.sampled_from(TYPES), min_size=2, max_size=4))
    types.append(ValueType("f32", (2, 3)))
    values = [
        writer.builder.input(type_, name=name) for type_, name in zip(types, "vwxyz", strict=False)
    ]
    program = RandomProgram(draw, writer, list(values))
    for _ in range(draw(st.integers(3, 14))):
        program.step()
    outputs = tuple(program.values[-3:])
    return writer.builder.program(outputs), [draw(values_of(type_)) for type_ in types]


def values_of(type_: ValueType) -> Any:
    numbers = {"f": [0.0, 1.0, -2.0, 3.0, np.inf, np.nan], "i": [-2, 0, 1, 3]}
    element = st.sampled_from(numbers.get(type_.dtype[0], [False, True]))
    if type_.kind == "python":
        return element.map({"f64": float, "i64": int, "bool": bool}[type_.dtype])
    dtype = {"f32": "f4", "f64": "f8", "i64": "i8", "u8": "u1", "bool": "?"}[type_.dtype]
    elements = st.lists(element, min_size=type_.size, max_size=type_.size)
    array = elements.map(lambda e: np.array(e).reshape(type_.shape).astype(dtype))
    return array.map(lambda a: a[()]) if type_.kind == "scalar" else array


LISTS = {name: find(name).passes for name in MODULES}
EVERY = dict.fromkeys(improve for passes in LISTS.values() for improve in passes)
EVERY_PASS = pytest.mark.parametrize("improve", EVERY, ids=[improve.__name__ for improve in EVERY])


@settings(max_examples=13 * settings.default.max_examples, deadline=None)
@given(random_programs(), st.sampled_from([passes for passes in LISTS.values() if passes]))
def test_random_programs_keep_their_values_through_every_pass(case, passes):
    program, arguments = case
    note(f"{program}\n{arguments}")
    try:
        evaluate(program, arguments)
    except ProgramError:  # a negative Python int meets uint8
        assume(False)
    check(program)
    for name, improved in stages(program, passes):
        note(f"{name}: {improved}")
        check(improved)
        assert_same_values(program, improved, arguments)
    again = optimize(improved, passes)  # what is found to be the same may be simplified once more
    assert_same_values(program, again, arguments)
    assert str(optimize(again, passes)) == str(again)


def test_two_layers_shrink_to_what_a_person_would_write():
    program = two_layers()
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=e.variable.shape).astype("f4") for e in program.inputs]
    arguments[1], arguments[-1] = np.array([0, 1, 1, 0]), 0.1
    small = optimize(program, [*TIDY, contract, *TIDY])
    check(small)
    assert_same_values(program, small, arguments, rtol=1e-5)
    primitives = [equation.primitive for equation in small.equations]
    assert primitives.count("matmul") == 1  # the gradient of the hidden layer: nothing is added
    assert primitives.count("gemm") == 4
    assert primitives.count("gather") == 2


@pytest.mark.parametrize("backend", LISTS)
def test_optimized_programs_stay_as_they_are(backend):
    passes = LISTS[backend]
    once = optimize(two_layers(), passes)
    again = optimize(once, passes)
    assert [e.primitive for e in again.equations] == [e.primitive for e in once.equations]
    assert str(again) == str(once)


@pytest.mark.parametrize("backend", LISTS)
def test_stages_show_the_program_after_each_pass(backend):
    program, passes = two_layers(), LISTS[backend]
    shown = stages(program, passes)
    assert shown[0] == ("traced", program)
    assert [name for name, _ in shown[1:]] == [improve.__name__ for improve in passes]
    assert str(shown[-1][1]) == str(optimize(program, passes))


def test_products_are_joined_only_for_backends_that_add_them_to_something():
    joining = {batch, contract, contract_in_place}
    found = {name for name, passes in LISTS.items() if joining & {*passes}}
    assert found == {"numpy", "native", "c"}
    assert LISTS["c"] == LISTS["native"]  # whose bits it has
    assert not joining & {*TIDY}


@EVERY_PASS
def test_passes_leave_the_program_that_they_are_given_alone(improve):
    program = two_layers()
    before = str(program), program.equations, program.constants
    improve(program)
    assert (str(program), program.equations, program.constants) == before


def chain(n: int) -> Program:
    """Return n additions of zero, negations and multiplications by one."""

    def function(w: Writer, x: Any) -> Any:
        for i in range(n):
            x = [w.add(x, 0), w.negative(x), w.multiply(x, 2.0), w.exp(x)][i % 4]
        return x

    return write(function, ValueType("f64", (3,)))


def sums(n: int) -> Program:
    """Return a sum of n products of matrices, taken from a weight; and one of no products."""

    def function(w: Writer, x: Any, lr: Any) -> Any:
        total, other = w.matmul(x, x), x
        for _ in range(n // 3):
            total = w.add(total, w.matmul(w.transpose(x, axes=(1, 0)), x))
            other = w.add(other, x)
        return w.subtract(x, w.multiply(lr, total)), other

    return write(function, ValueType("f64", (3, 3)), ValueType("f64", (), "python"))


def writes(n: int) -> Program:
    """Return a loop that writes the rows of an array, and reads the first one each time."""

    def function(w: Writer, x: Any) -> Any:
        whole = w.full(0, (n, 3), "f64")
        for i in range(1, n // 2):
            row = w.slice(whole, index=(0, (0, 3, 1)))
            whole = w.slice_update(whole, w.add(row, x), index=(i, (0, 3, 1)))
        return whole

    return write(function, ValueType("f64", (3,)))


def views(n: int) -> Program:
    """Return a tower of views."""

    def function(w: Writer, x: Any) -> Any:
        for i in range(n):
            flat = w.reshape(x, shape=(6,))
            x = (
                flat
                if i % 2
                else w.reshape(w.transpose(w.reshape(x, shape=(2, 3)), axes=(1, 0)), shape=(6,))
            )
        return x

    return write(function, ValueType("f64", (6,)))


@pytest.mark.breadth("family")
@pytest.mark.parametrize("family", [chain, sums, writes, views])
def test_work_grows_in_proportion_to_the_program(family):
    passes = [*EVERY]
    small, large = (calls(lambda p: optimize(p, passes), family(n)) for n in (500, 2000))
    assert large < 4.4 * small


def calls(function: Callable[[Program], Any], program: Program) -> int:
    """Return how many calls of Python functions `function(program)` makes."""
    function(program)  # types that NumPy is asked for are remembered from now on
    counted = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function(program)
    finally:
        sys.setprofile(before)
    return counted
