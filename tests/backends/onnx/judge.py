"""Who judges the files: the package onnx, its checker and its evaluator, and onnxruntime.

What is written must pass the checker with full shape inference; onnxruntime must compute what the
reference evaluator does, and, where asked, so must onnx's own evaluator.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from miniflow.backends.onnx import to_onnx
from miniflow.backends.onnx.printing import names_in_file
from miniflow.ir import Program, evaluate, type_of

onnx = pytest.importorskip("onnx", reason="the package onnx judges the files")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime runs the files")

QUIET = runtime.SessionOptions()
QUIET.log_severity_level = 4
QUIET.intra_op_num_threads = 1


def checked(data: bytes) -> Any:
    """The message of a file, if it is one with the shapes and dtypes that it says."""
    message = onnx.load_from_string(data)
    onnx.checker.check_model(message, full_check=True)
    return message


def session(data: bytes) -> Any:
    return runtime.InferenceSession(data, QUIET, providers=["CPUExecutionProvider"])


def run(data: bytes, feed: Mapping[str, Any]) -> dict[str, Any]:
    """What onnxruntime computes: output → array."""
    made = session(data)
    wanted = {entry.name for entry in (*made.get_inputs(), *made.get_overridable_initializers())}
    given = {name: np.asarray(value) for name, value in feed.items() if name in wanted}
    return dict(zip([o.name for o in made.get_outputs()], made.run(None, given), strict=True))


def evaluated(data: bytes, feed: Mapping[str, Any]) -> dict[str, Any]:
    """What onnx's own evaluator computes."""
    from onnx.reference import ReferenceEvaluator

    message = onnx.load_from_string(data)
    inputs = {entry.name for entry in message.graph.input}
    first = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in message.graph.initializer
        if tensor.name in inputs
    }
    given = {name: np.asarray(value) for name, value in feed.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results = ReferenceEvaluator(message).run(None, first | given)
    return dict(zip([o.name for o in message.graph.output], results, strict=True))


def operators(data: bytes) -> list[str]:
    """The operators of a file, in order; those of loops not among them."""
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


def assert_close(
    ours: Any, theirs: Any, ulps: float = 64, floor: float = 4, of: Any = None
) -> None:
    """The same dtype and shape, and the same numbers to so many units of rounding, of their own
    dtype or of a narrower one in which they were computed.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs)
        return
    eps = float(np.finfo(of or ours.dtype).eps)
    np.testing.assert_allclose(ours, theirs, rtol=ulps * eps, atol=floor * eps)


def assert_agrees(program: Program, arguments: Sequence[Any], **accuracy: Any) -> bytes:
    """Write a program, have it judged, and compare its outputs with the reference evaluator's."""
    data = to_onnx(program)
    checked(data)
    names, _ = names_in_file(program)
    found = run(data, dict(zip(names, arguments, strict=True)))
    with np.errstate(all="ignore"):
        wanted = evaluate(program, list(arguments))
    assert [type_of(a).dtype for a in found.values()] == [o.operand.dtype for o in program.outputs]
    for ours, theirs in zip(found.values(), wanted, strict=True):
        assert_close(ours, theirs, **accuracy)
    return data
