"""What the tests of the NumPy backend share: with the library of products, and without it."""

from __future__ import annotations

import pytest

from miniflow.backends import blas

with_and_without_blas = pytest.mark.parametrize(
    "setting",
    [
        pytest.param(
            "auto",
            marks=pytest.mark.skipif(blas.find() is None, reason="NumPy carries no OpenBLAS here"),
        ),
        "off",
    ],
)


REDUCE_ALL = {"axis": (0,), "keepdims": False}
