"""The lab's solutions, as foreign node classes, on every backend: compiled they compute what they
do interpreted. (The rest of the conformance kit asks the same of the interpreter.)
"""

from importlib.util import find_spec

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.graph.plans import ancestors_in_order
from miniflow.lab.folder import SOLUTIONS

SOLVED = sorted(name for name in CASES if name.startswith("lab_"))
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", names(RUN, COMPARE))
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", SOLVED)
def test_solution_compiled_equals_interpreted(name: str, dtype: type, backend: str) -> None:
    if backend == "native" and find_spec("llvmlite") is None:
        pytest.skip("needs llvmlite (the extra `native`)")
    output, feed, wrt, _ = CASES[name](dtype)
    value, gradients = mf.value_and_grad(output, feed, wrt)
    seen, seen_gradients = mf.compile(output, wrt=wrt, backend=backend)(feed)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(seen, value, **tolerance)
    for compiled, interpreted in zip(seen_gradients, gradients, strict=True):
        np.testing.assert_allclose(compiled, interpreted, **tolerance)


def test_classes_of_these_cases_are_those_of_the_solutions_files() -> None:
    files = {
        type(node).forward.__code__.co_filename
        for name in SOLVED
        for node in ancestors_in_order(CASES[name](np.float64).output)
        if not type(node).__module__.startswith("miniflow")
    }
    expected = {"mul.py", "linear.py", "sigmoid.py", "cross_entropy.py", "elementwise.py"}
    assert {path.rpartition("/")[2].rpartition("\\")[2] for path in files} <= expected | {
        "printed.py"
    }
    assert {
        str(SOLUTIONS.resolve() / name) for name in ("mul.py", "linear.py", "sigmoid.py")
    } <= files
