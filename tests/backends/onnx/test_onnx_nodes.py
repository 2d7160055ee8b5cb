"""Every built-in node's forward and every conformance graph's training step, in onnxruntime, are
the interpreter's.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conformance import CASES
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.backends.onnx import BACKEND, to_onnx
from miniflow.backends.onnx.printing import names_in_file
from miniflow.compiler.recorded import recorded_step
from miniflow.exports.onnx_files import onnx_of_step
from miniflow.graph.plans import ancestors_in_order
from miniflow.passes import optimize

from .judge import assert_close, checked, evaluated, run

DTYPES = [np.float64, np.float32]


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("name", sorted(n for n in EVERY_NODE if not mf.states(graph_of(n)[0])))
@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_of_every_built_in_node(name: str, dtype: type) -> None:
    node, feed = graph_of(name, dtype)
    compiled = mf.compile(node, backend="reference")
    wanted = mf.value(node, feed)
    np.testing.assert_array_equal(compiled(feed), wanted)
    data = to_onnx(optimize(compiled.program, BACKEND.passes))
    checked(data)
    given = {source.name or "DummyGrad": np.asarray(value) for source, value in feed.items()}
    given = {name: given[name] for name in names_in_file(compiled.program)[0]}
    (found,) = run(data, given).values()
    assert_close(found, np.asarray(wanted), ulps=64, floor=16, of=dtype)
    (found,) = evaluated(data, given).values()
    assert_close(found, np.asarray(wanted), ulps=64, floor=16, of=dtype)


def with_parameters(output: mf.Node, wrt: list[mf.Node], feed: dict[mf.Node, Any]) -> Any:
    """Put a parameter in the place of each node of `wrt`; return what is still to be fed."""
    new = {node: mf.Parameter(feed[node], node.name or f"p{i}") for i, node in enumerate(wrt)}
    for node in ancestors_in_order(output):
        node.inbound_nodes = [new.get(inbound, inbound) for inbound in node.inbound_nodes]
        for name, value in list(vars(node).items()):
            if isinstance(value, mf.Node) and value in new:
                setattr(node, name, new[value])
    return {node: value for node, value in feed.items() if node not in new}


def assert_step_agrees(step: Any, feed: dict[Any, Any], steps: int = 2, **accuracy: Any) -> bytes:
    """A compiled step, exported after its first call, goes on as the step itself does."""
    step(feed)
    data = onnx_of_step(step)
    message = checked(data)
    state = json.loads({p.key: p.value for p in message.metadata_props}["state"])
    program, values = recorded_step(step)  # arrays that the step updates in place
    names, results = names_in_file(program)
    own = step._own_values(feed)
    fed = {
        name: {**own, **feed}[step._order[entry.origin.index]]
        for name, entry in zip(names, program.inputs, strict=True)
        if entry.role == "fed" and entry.origin is not None
    }
    for number in range(steps):
        found = run(data, fed)
        if number == 0 and b"scan_input_directions" not in data:  # which onnx does not evaluate
            for name, value in evaluated(data, fed).items():
                assert_close(found[name], value, **accuracy)
        fed |= {name: found[new] for name, new in state.items()}
        assert_close(found[results[0]], np.asarray(step.run(feed)[0]), **accuracy)
        now = dict(zip(names, values, strict=True))
        for name in state:
            assert_close(fed[name], now[name], **accuracy)
    return data


SOME = ("cross_entropy_eye", "lab_two_layers", "linear_by_columns", "softmax_jacobian")


@pytest.mark.parametrize("name", SOME)
def test_training_step_of_some_conformance_graphs(name: str) -> None:
    assert_training_agrees(name, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_step_of_every_conformance_graph(name: str, dtype: type) -> None:
    assert_training_agrees(name, dtype)


def assert_training_agrees(name: str, dtype: type) -> None:
    output, feed, wrt, _ = CASES[name](dtype)
    feed = with_parameters(output, wrt, feed)
    is_loss = np.size(mf.value(output, feed)) == 1
    loss = output if is_loss else mf.Sum(output)
    step = mf.compile(loss, optimizer=mf.SGD(0.01), backend="reference")
    assert_step_agrees(step, feed, steps=1, ulps=1024, floor=256, of=dtype)
