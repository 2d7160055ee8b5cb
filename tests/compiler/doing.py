"""A node whose `forward` is any piece of code: compiled and interpreted, over several calls.

`outcome(code, feeds)` runs the code in a node of its own class, compiled on one graph and
interpreted on another of the same kind, call after call. It returns the `CompileError` with which
the code was refused; else the two have agreed at every call, in value, gradient, shape, dtype and
kind.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import miniflow as mf

Code = Callable[[Any, Any], Any]  # (the node, the value of its input) -> the value of the node

RNG = np.random.default_rng(8)
FEEDS = [RNG.normal(size=(4, 3)) + shift for shift in (0.0, 2.0, -2.0, 0.5)]


class Doing(mf.Node):
    """Its value is what the code of its class makes of its input; so is its gradient, if the code
    says how.
    """

    def __init__(self, x: mf.Node, code: Code, backward: Code | None = None) -> None:
        mf.Node.__init__(self, [x])
        self.code, self.gradient_code = code, backward
        self.count, self.kept, self.mean = 0, [], None
        self.table = np.arange(9.0).reshape(3, 3)

    def forward(self) -> None:
        self.value = self.code(self, self.inbound_nodes[0].value)

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        grad = sum(consumer.gradients[self] for consumer in self.outbound_nodes)
        if self.gradient_code is not None:
            grad = self.gradient_code(self, grad)
        elif np.shape(grad) != np.shape(x.value):
            grad = np.zeros_like(x.value)
        self.gradients = {x: grad}


def do(*values: Any) -> Any:
    """The last of several values: for code of several steps in one lambda."""
    return values[-1]


def outcome(
    code: Code,
    feeds: Sequence[Any] = FEEDS,
    backward: Code | None = None,
    backend: str = "numpy",
) -> mf.CompileError | None:
    """None if compiled and interpreted agree at every call; the error if the code is refused."""
    x, other = mf.Input("x"), mf.Input("x")
    node, twin = Doing(x * 1.0, code, backward), Doing(other * 1.0, code, backward)
    step = mf.compile(node, wrt=[x], backend=backend)
    for fed in feeds:
        wanted = mf.value_and_grad(twin, {other: np.copy(fed)}, [other])
        try:
            seen = step({x: np.copy(fed)})
        except mf.CompileError as error:
            # The interpreter still runs the same node, on real arrays.
            assert isinstance(mf.value(node, {x: np.copy(fed)}), (np.ndarray, np.generic, float))
            return error
        assert_same(seen[0], wanted[0])
        assert_same(seen[1][0], wanted[1][0])
    return None


def assert_same(seen: Any, wanted: Any) -> None:
    """Same numbers to rounding, same shape, dtype and kind."""
    assert type(seen) is type(wanted)
    assert getattr(seen, "dtype", None) == getattr(wanted, "dtype", None)
    relative = {np.dtype(np.float16): 5e-3, np.dtype(np.float32): 2e-5}.get(
        getattr(wanted, "dtype", None), 1e-9
    )
    np.testing.assert_allclose(seen, wanted, rtol=relative, atol=relative)
