"""Each primitive of programs has a node that says so, and computes what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from backends import cases
from backends.agreement import Case
from every_backend import every_backend
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.graph import Op
from miniflow.graph.equations import NODE_OF
from miniflow.ir.primitives import PRIMITIVES
from miniflow.models.lifting import Meaning
from miniflow.nodes import equations

FLOATS = [np.array([0.5, -1.25, 3.0]), np.float32([[0.5], [2.0]]), np.float64(0.75)]
IN_WHOLE_NUMBERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"}


def test_every_primitive_has_a_node() -> None:
    assert NODE_OF.keys() == PRIMITIVES.keys()
    assert all(cls.primitive == name for name, cls in NODE_OF.items())
    assert all(cls.__doc__ for cls in NODE_OF.values())


def test_every_node_of_an_equation_is_in_the_table_or_has_no_gradient() -> None:
    in_table = {type(graph_of(name)[0]).__name__ for name in EVERY_NODE}
    x = np.array([1.0, 2.0])
    for name in equations.__all__:
        cls = getattr(equations, name)
        if name in in_table or not issubclass(cls, Op):
            continue
        count = PRIMITIVES[cls.primitive].arity
        node = cls(*[mf.Constant(x)] * (count or 1))
        assert set(node.gradient(x, *[x] * (count or 1))) == {None}, name


def samples() -> Iterator[Case]:
    """Cases of every primitive but the loop, which `test_lifting` has."""
    for name, primitive in sorted(PRIMITIVES.items()):
        if primitive.category == "elementwise" and not primitive.params:
            numbers = [np.array([6, 3]), np.array([1, 0])] if name in IN_WHOLE_NUMBERS else FLOATS
            for i in range(len(numbers)):
                yield (
                    name,
                    tuple(numbers[(i + k) % len(numbers)] for k in range(primitive.arity)),
                    {},
                )
    for name in ("sum", "prod", "max", "min", "any", "all"):
        yield from cases.reductions(name)[::7]
    for name in ("argmax", "argmin"):
        yield from cases.arg_reductions(name)[::7]
    yield from cases.cumsum()[::3]
    yield from cases.cast("f32", FLOATS)
    yield from cases.gemm(np.float64)[::5]
    yield from cases.matmul_in_every_rank()[::9]
    yield from cases.movements()[::4]
    yield from cases.creations()[::11]
    yield from cases.slices()[::5]
    yield from cases.gathers_and_scatters("f64")[::3]


SAMPLES = [case for case in samples() if all(np.size(x) for x in case[1])]


def node_of(case: Case) -> tuple[mf.Node, list[mf.Node]]:
    from miniflow.models.lifting import _as_written

    name, operands, params = case
    inputs: list[mf.Node] = [mf.Input() for _ in operands]
    options = {key: _as_written(key, value) for key, value in params.items()}
    return NODE_OF[name](*inputs, **options), inputs


def is_fitting(name: str, operands: tuple[Any, ...]) -> bool:
    """Whether node classes and NumPy have the same rule of dtypes for such operands."""
    dtypes = {np.asarray(x).dtype for x in operands if isinstance(x, (np.ndarray, np.generic))}
    has_own = name in {cls.primitive for cls in map(NODE_OF.get, NODE_OF) if cls is not None} and (
        NODE_OF[name].__module__.startswith("miniflow.nodes.equations")
    )
    return has_own or dtypes <= {np.dtype("f4"), np.dtype("f8")}


@pytest.mark.parametrize("name", sorted(PRIMITIVES.keys() - {"scan"}))
def test_a_node_computes_what_its_primitive_computes(name: str) -> None:
    own = [case for case in SAMPLES if case[0] == name]
    assert own, "no sample"
    for case in own:
        _, operands, params = case
        try:
            with np.errstate(all="ignore"):
                expected = PRIMITIVES[name].compute(*operands, **params)
        except (TypeError, ValueError, OverflowError):
            continue
        node, inputs = node_of(case)
        feed = dict(zip(inputs, operands, strict=True))
        with np.errstate(all="ignore"):
            if is_fitting(name, operands):
                same(mf.value(node, feed), expected)
            if isinstance(node, Op):
                node.meaning = Meaning(name, params)
                same(mf.value(node, feed), expected)


def same(value: Any, expected: Any) -> None:
    assert np.asarray(value).dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(value, expected)


@every_backend
def test_length_of_infinity_and_nan_is_infinite(backend: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    length = mf.nodes.Hypot(x, y)
    for dtype in (np.float32, np.float64):
        ends = np.array([np.nan, -np.inf, np.nan, 3.0], dtype)
        feed = {x: ends, y: np.array([np.inf, np.nan, 1.0, 4.0], dtype)}
        found = (
            mf.value(length, feed)
            if backend == "interpreter"
            else mf.compile(length, backend=backend)(feed)
        )
        np.testing.assert_array_equal(found, np.array([np.inf, np.inf, np.nan, 5.0], dtype))
