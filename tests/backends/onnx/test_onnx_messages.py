"""The messages that miniflow writes are those that the package onnx reads."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.backends.onnx import protobuf
from miniflow.ir import DTYPES

from .judge import onnx


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_tensors_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(DTYPES[dtype])
    message = onnx.TensorProto.FromString(protobuf.tensor(array, "a"))
    back = onnx.numpy_helper.to_array(message)
    assert message.name == "a"
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_tensors_of_other_orders_come_back() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    back = onnx.numpy_helper.to_array(onnx.TensorProto.FromString(protobuf.tensor(array)))
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, -1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, ""), (-1.5, "aä∂𝔘\n"), (np.inf, "x" * 200), (np.nan, "n")]
)
def test_attributes_come_back(number: int, fraction: float, text: str) -> None:
    values = {"i": number, "f": fraction, "s": text, "ints": (number, 1, -1), "none": ()}
    written = protobuf.node("Op", ["x", ""], ["y"], "n", values)
    message = onnx.NodeProto.FromString(written)
    assert (message.op_type, list(message.input), list(message.output)) == ("Op", ["x", ""], ["y"])
    back = {a.name: onnx.helper.get_attribute_value(a) for a in message.attribute}
    assert back["i"] == number
    np.testing.assert_equal(back["f"], fraction)
    assert back["s"].decode() == text
    assert tuple(back["ints"]) == (number, 1, -1)
    assert tuple(back["none"]) == ()


def test_inputs_come_back_with_their_shapes() -> None:
    written = protobuf.value_info("x", "f32", [3, "n", 0], "pixels")
    message = onnx.ValueInfoProto.FromString(written)
    dims = message.type.tensor_type.shape.dim
    assert (message.name, message.doc_string) == ("x", "pixels")
    assert [d.dim_param if d.HasField("dim_param") else d.dim_value for d in dims] == [3, "n", 0]
    scalar = onnx.ValueInfoProto.FromString(protobuf.value_info("s", "f64", []))
    assert scalar.type.tensor_type.HasField("shape")


def test_a_model_says_its_versions_and_who_wrote_it() -> None:
    written = protobuf.model(b"", "1.2.3", "about ä", {"b": "2", "a": "1"})
    message = onnx.ModelProto.FromString(written)
    assert (message.ir_version, message.opset_import[0].version) == (8, 18)
    assert (message.producer_name, message.producer_version) == ("miniflow", "1.2.3")
    assert message.doc_string == "about ä"
    assert [(p.key, p.value) for p in message.metadata_props] == [("a", "1"), ("b", "2")]
