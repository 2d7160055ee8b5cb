"""What recording leaves behind: nothing traced, and everything as it was."""

import functools

import numpy as np
import pytest

import miniflow as mf
from compiler.doing import FEEDS, Doing, outcome

TABLE = np.array([1.0, 2.0, 3.0])
SEEN = []


class Logging(mf.Node):
    """Writes to a global list, a global name and its class."""

    last = None

    def __init__(self, x):
        mf.Node.__init__(self, [x])

    def forward(self):
        global latest
        x = self.inbound_nodes[0].value
        self.value = x * 2
        SEEN.append(self.value)
        latest = self.value
        Logging.last = self.value

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 2.0 * np.ones_like(self.value)}


latest = None


def test_nothing_traced_is_left_in_classes_and_global_variables():
    x = mf.Input("x")
    SEEN.clear()
    assert mf.compile(Logging(x), backend="numpy")({x: np.ones(2)}).tolist() == [2, 2]
    assert [type(array) for array in SEEN] == [np.ndarray]  # the interpreter's, which compares
    assert type(latest) is np.ndarray
    assert Logging.last is None


def test_random_generators_go_on_where_they_were():
    x = mf.Input("x")
    node = Doing(x, lambda node, v: v * node.rng.normal(size=2))
    node.rng, twin = np.random.default_rng(7), np.random.default_rng(7)
    with pytest.raises(mf.CompileError, match="does not do the same twice"):
        mf.compile(node, backend="numpy")({x: np.ones(2)})
    assert node.rng.normal() == twin.normal()


def test_what_a_helper_has_cached_while_recording_is_an_array_to_the_interpreter():
    @functools.lru_cache
    def mask(n):
        return np.tril(np.ones((n, n)))

    x = mf.Input("x")
    node = Doing(x, lambda node, v: v @ mask(3) + mask(3)[0] + mask(3).sum())
    fed = {x: FEEDS[0]}
    compiled = mf.compile(node, backend="numpy")(fed)
    np.testing.assert_allclose(mf.value(node, fed), compiled)
    np.testing.assert_array_equal(np.asarray(mask(3)), np.tril(np.ones((3, 3))))
    np.testing.assert_allclose(mf.compile(node * 2.0, backend="numpy")(fed), 2 * compiled)


def test_what_a_helper_has_cached_of_the_data_is_an_error_that_says_so():
    kept = []

    def code(node, x):
        kept.append(x.mean())
        return x * 2

    x = mf.Input("x")
    mf.compile(Doing(x, code), backend="numpy")({x: FEEDS[0]})
    for use in (lambda v: v + 1, np.sum, float, lambda v: np.asarray(v)):
        with pytest.raises(mf.MiniflowError, match="there are no numbers in it"):
            use(kept[0])


def test_a_constant_that_a_node_writes_to_is_left_alone_and_the_node_refused():
    def scaled(node, x):
        table = node.inbound_nodes[0].inbound_nodes[1].value
        table /= 2.0
        return x * 1

    x, array = mf.Input("x"), np.array([2.0, 4.0])
    node = Doing(x * mf.Constant(array), scaled)
    with pytest.raises(mf.CompileError, match="that array was made before this pass"):
        mf.compile(node, backend="numpy")({x: np.ones(2)})
    with pytest.raises(mf.MiniflowError, match="changes the value of an input in place"):
        mf.value(node, {x: np.ones(2)})
    assert array.tolist() == [2, 4]


def test_a_recording_within_a_recording():
    """A node's forward may compile and run another graph, of real numbers."""
    inner = mf.Input("inner")
    square = mf.compile(mf.Sum(inner * inner), backend="numpy")

    def code(node, x):
        factor = square({inner: TABLE})
        grown = np.zeros((4, 3))
        grown[:2] = x[:2] * factor
        return grown

    assert outcome(code) is None
