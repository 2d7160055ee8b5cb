"""Every built-in node's forward, and the training steps of every conformance graph, have in C the
bits of the native backend.
"""

from __future__ import annotations

import numpy as np
import pytest
from breadth import one_in_three
from conformance import CASES
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from backends.onnx.test_onnx_nodes import with_parameters
from miniflow.backends import find
from miniflow.backends.c import PASSES, to_c
from miniflow.ir import Program
from miniflow.passes import optimize

from .judge import (
    COMPILERS,
    Argument,
    assert_step_has_natives_bits,
    call,
    compiled,
    needs_compiler,
    needs_fma,
    outputs_of,
    same_bits,
)

pytestmark = [needs_compiler, needs_fma]
pytest.importorskip("llvmlite")


def recorded(name: str, dtype: type) -> tuple[Program, list[Argument]]:
    """The program of a node, and what it is fed."""
    node, feed = graph_of(name, dtype)
    compiled_node = mf.compile(node, backend="reference")
    compiled_node(feed)
    program = optimize(compiled_node.program, PASSES)
    known = {**compiled_node._own_values(feed), **feed}
    arguments = []
    for entry in program.inputs:
        assert entry.origin is not None
        variable = entry.variable
        owner = compiled_node._order[entry.origin.index]
        array = np.asarray(known.get(owner, owner.value))
        given = array if variable.kind == "array" else array.item()
        arguments.append(Argument(given, variable.dtype, variable.kind))
    return program, arguments


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_forward_of_every_built_in_node_has_natives_bits(dtype: type) -> None:
    """All of them compiled as one file, as files of several models can be."""
    names = HALVES if dtype is np.float16 else EVERY_NODE
    programs = {name: recorded(name, dtype) for name in sorted(names)}
    updating = {n for n, (p, _) in programs.items() if any(o.replaces for o in p.outputs)}
    assert len(updating) < 5
    for name in updating:  # these are steps, which tests/exports has
        del programs[name]
    text = "\n".join(to_c(p, f"f{number}") for number, (p, _) in enumerate(programs.values()))
    compiler = COMPILERS[(dtype is np.float64) % len(COMPILERS)]
    library = compiled(text, compiler=compiler)
    for number, (name, (program, arguments)) in enumerate(programs.items()):
        outputs = outputs_of(program)
        assert call(library[f"f{number}_run"], *arguments, outputs=outputs) == 0
        wanted = find("native").lower(program).run([a.value for a in arguments])
        for found, value in zip(outputs, wanted, strict=True):
            assert same_bits(found, value), name


HALVES = ("Add", "Clip", "Conv2D", "Linear", "MaxPool", "ReLU", "Sigmoid", "Softmax", "Sum of rows")
OF_THE_LAB = ["lab_two_layers"]  # the seed lab's own classes


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize(
    "name", one_in_three(CASES.keys() - OF_THE_LAB, others="rare") + OF_THE_LAB
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_step_of_conformance_graphs_has_natives_bits(name: str, dtype: type) -> None:
    output, feed, wrt, _ = CASES[name](dtype)
    feed = with_parameters(output, wrt, feed)
    loss = output if np.size(mf.value(output, feed)) == 1 else mf.Sum(output)
    step = mf.compile(loss, optimizer=mf.SGD(0.01), backend="native")
    assert_step_has_natives_bits(step, feed)


X, K, INT64 = mf.Input("x"), mf.Input("k"), mf.Input("int64_t")
BYTES = np.array([1, 2, 200, 0], np.uint8)
MATRIX = np.linspace(-1, 1, 12).reshape(4, 3)
RARE: dict[str, tuple[mf.Node, dict[mf.Node, object]]] = {
    "an int beside floats": (X - K, {X: MATRIX.astype("f4"), K: 3}),
    "an int that fits no byte": (mf.Less(X, K), {X: BYTES, K: 300}),
    "an int below all bytes": (mf.Less(X, K), {X: BYTES, K: -1}),
    "an int beside wide whole numbers": (mf.Less(X, K), {X: BYTES.astype("u8"), K: 2}),
    "bytes shifted by bytes": (mf.nodes.RightShift(X, K), {X: BYTES, K: BYTES}),
    "bytes shifted to the left": (mf.nodes.LeftShift(X, K), {X: BYTES.astype("i8"), K: BYTES}),
    "a product over nothing": (
        mf.MatMul(X, mf.Transpose(K)), {X: np.zeros((4, 0)), K: np.zeros((20, 0))},
    ),
    "what is not read": (mf.Where(K, X, X), {X: MATRIX, K: True}),
    "factors of two dtypes": (
        X @ K, {X: np.linspace(-1, 1, 90).reshape(10, 9).astype("f4"), K: np.ones((9, 8)) / 3},
    ),
    "numbers near the end of the dtype": (
        mf.nodes.Minimum(X, 1.7e308) * np.array(-1e308), {X: np.linspace(0, 1.7, 5)},
    ),
    "what C calls a type": (
        mf.Sum(INT64 + X, axis=0), {INT64: np.ones((3, 2)), X: np.ones((3, 2))},
    ),
}  # fmt: skip


def test_what_is_rare_is_c_without_a_warning() -> None:
    texts, asked = [], []
    for number, (node, feed) in enumerate(RARE.values()):
        made = mf.compile(node, backend="reference")
        made(feed)
        program = optimize(made.program, PASSES)
        given = [
            Argument(feed[made._order[e.origin.index]], e.variable.dtype, e.variable.kind)
            for e in program.inputs
            if e.origin is not None
        ]
        texts.append(to_c(program, f"f{number}"))
        asked.append((program, given, mf.value(node, feed)))
    library = compiled("\n".join(texts))
    for number, (name, (program, given, wanted)) in enumerate(zip(RARE, asked, strict=True)):
        outputs = outputs_of(program)
        assert call(library[f"f{number}_run"], *given, outputs=outputs) == 0
        np.testing.assert_allclose(outputs[0], wanted, rtol=1e-12, err_msg=name)
        (natives,) = find("native").lower(program).run([argument.value for argument in given])
        assert same_bits(outputs[0], natives), name


def test_an_int_that_may_not_fit_is_refused() -> None:
    made = mf.compile(mf.nodes.BitwiseXor(X, K), backend="reference")
    made({X: BYTES, K: 3})
    with pytest.raises(mf.CompileError, match="might be no u8; feed an array of that dtype"):
        to_c(optimize(made.program, PASSES))
