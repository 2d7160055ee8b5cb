"""`np.einsum` in a node of somebody's own: sums of small integers stay small, as NumPy has it."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf

DTYPES = [np.uint8, np.int8, np.int32, np.int64, np.bool_, np.float32, np.float64]
BACKENDS = ["numpy", "reference", *(["native"] if find_spec("llvmlite") else [])]


class Einsum(mf.Op):
    def __init__(self, subscripts: str, *operands: mf.Node) -> None:
        mf.Op.__init__(self, *operands)
        self.subscripts = subscripts

    def compute(self, *operands: Any) -> Any:
        return np.einsum(self.subscripts, *operands)


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "subscripts", ["ij->i", "ij->", "ij->ji", "ii->i", "ii", "ij,jk->ik", "ij,ij->", "ij,kl->"]
)
def test_einsum_has_the_dtype_of_its_operands(subscripts: str, dtype: Any, backend: str) -> None:
    inputs = [mf.Input() for _ in subscripts.split("->")[0].split(",")]
    values = [np.arange(9).reshape(3, 3).astype(dtype) * dtype(7 - i) for i in range(len(inputs))]
    node, feed = Einsum(subscripts, *inputs), dict(zip(inputs, values, strict=True))
    right, ours = np.einsum(subscripts, *values), mf.compile(node, backend=backend)(feed)
    assert np.asarray(ours).dtype == right.dtype
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(right, float), rtol=1e-6)
