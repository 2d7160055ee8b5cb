"""The backends that the compiler's tests run on."""

from importlib.util import find_spec

import pytest


@pytest.fixture(params=["reference", "numpy", "native"])
def backend(request):
    """Each backend in turn; native where llvmlite is installed."""
    if request.param == "native" and find_spec("llvmlite") is None:
        pytest.skip("needs llvmlite (the extra `native`)")
    return request.param
