"""The three nets under a recording: it is made twice, compared, and state is put back."""

import numpy as np
import pytest

import miniflow as mf


class Noise(mf.Node):
    def __init__(self, x):
        mf.Node.__init__(self, [x])

    def forward(self):
        self.value = self.inbound_nodes[0].value + np.random.rand()

    def backward(self):
        self.gradients = {
            self.inbound_nodes[0]: sum(n.gradients[self] for n in self.outbound_nodes)
        }


class Keeping(Noise):
    """Keeps things, the same ones in every pass."""

    def forward(self):
        self.cache["seen"] = [self.value is None]
        self.history[:] = [len(self.history)]
        self.arrays[0][...] = 1
        self.value = self.inbound_nodes[0].value * self.arrays[0]


class Sneaky(Noise):
    """Writes to an array of its own with the real NumPy, which the recording does not see."""

    def __init__(self, x):
        Noise.__init__(self, x)
        self.scale = np.ones(1)

    def forward(self):
        real = (
            isinstance(self.inbound_nodes[0].value, np.ndarray)
            and type(self.inbound_nodes[0].value) is np.ndarray
        )
        self.value = self.inbound_nodes[0].value * (2.0 if real else 3.0)


def test_code_that_does_something_else_the_second_time_is_refused():
    x = mf.Input("x")
    node = Noise(x)
    node.name = "noise"
    compiled = mf.compile(node * 2.0)
    with pytest.raises(
        mf.CompileError, match=r"Noise 'noise' \(.*\): forward does not do the same"
    ):
        compiled({x: np.ones(2)})


def test_a_nodes_own_state_is_put_back_after_recording():
    x = mf.Input("x")
    node = Keeping(x)
    node.history = history = [5]
    node.arrays = [mean := np.zeros(2)]
    kept = dict(node.__dict__)
    mf.compile(node)({x: np.ones(2)})
    assert node.__dict__.keys() == kept.keys()
    assert all(node.__dict__[name] is kept[name] for name in kept if name not in ("cache", "_plan"))
    assert (node.cache, history, mean.tolist()) == ({}, [5], [0, 0])


def test_code_that_treats_tracers_otherwise_than_arrays_is_found_by_the_comparison():
    x = mf.Input("x")
    node = Sneaky(x)
    with pytest.raises(
        mf.CompileError,
        match=r"Sneaky \(.*\): its value is 3\.0 compiled and 2\.0 interpreted at index \(0,\)",
    ):
        mf.compile(node * 2.0)({x: np.ones(2)})


class Choosing(Noise):
    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = x if x.sum() > 0 else -x


def test_a_refusal_names_the_node_the_line_the_reason_and_the_way_out():
    x = mf.Input("x")
    node = Choosing(x)
    node.name = "choice"
    with pytest.raises(mf.CompileError) as error:
        mf.compile(node)({x: np.ones(2)})
    message = str(error.value)
    assert message.startswith(f"Choosing 'choice' ({node.where}): forward (test_three_nets.py:")
    assert "self.value = x if x.sum() > 0 else -x" in message
    assert (
        "asks for the number in an array (a condition), which differs from call to call" in message
    )
    assert "np.where(condition, a, b)" in message
    assert "The interpreter (mf.value_and_grad) runs it as it is." in message
    assert mf.value(node, {x: np.ones(2)}).tolist() == [1, 1]
