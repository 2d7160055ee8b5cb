"""Every built-in node, compiled, gives what the interpreter gives: value and gradients, in either
floating dtype, on every backend and in JavaScript.
"""

from typing import Any

import numpy as np
import pytest
from backends.javascript.engine import Job, needs_engine
from backends.javascript.engine import run as run_javascript
from backends.javascript.test_javascript_programs import arguments_of
from properties.every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names

BACKENDS = sorted(names(RUN, COMPARE))
TOLERANCE = {np.float64: 1e-11, np.float32: 2e-4}


def floating(feed: dict[mf.Node, Any]) -> list[mf.Node]:
    return [n for n, value in feed.items() if np.asarray(value).dtype.kind == "f"]


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", sorted(EVERY_NODE))
def test_compiled_node_is_the_interpreted_one(name: str, dtype: type, backend: str) -> None:
    node, feed = graph_of(name, dtype)
    wrt = [n for n in floating(feed) if n is not node]
    value, gradients = mf.value_and_grad(node, feed, wrt)
    seen, ours = mf.compile(node, wrt, backend=backend)(feed)
    for a, b in zip((seen, *ours), (value, *gradients), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@needs_engine
@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
def test_nodes_in_javascript_are_the_interpreted_ones(dtype: type) -> None:
    jobs, expected = [], []
    for name in sorted(EVERY_NODE):
        node, feed = graph_of(name, dtype)
        wrt = [n for n in floating(feed) if n is not node]
        compiled = mf.compile(node, wrt, backend="reference")
        compiled(feed)
        jobs.append(Job(compiled.program, [arguments_of(compiled, feed)]))
        value, gradients = mf.value_and_grad(node, feed, wrt)
        expected.append((name, [value, *gradients]))
    for (told,), (name, wanted) in zip(run_javascript(jobs), expected, strict=True):
        assert told.error is None, f"{name}: {told.error}"
        results = told.results[: len(wanted)]  # without new values of states
        for a, b in zip(results, wanted, strict=True):
            limit = TOLERANCE[dtype]
            np.testing.assert_allclose(a, np.asarray(b), rtol=limit, atol=limit, err_msg=name)
