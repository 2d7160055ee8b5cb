"""Marks of tests that every backend, or every dtype of fractions, has to pass."""

from importlib.util import find_spec

import numpy as np
import pytest

BACKENDS = [
    "interpreter",
    "reference",
    "numpy",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite"),
    ),
]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_dtype = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
