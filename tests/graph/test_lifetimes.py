"""Graphs come and go: what nobody holds is freed at once, without the cycle collector.

A training program may build a graph for every batch, on the same parameters. So a head must die
with its last outside reference, and its inputs must not remember it.
"""

import gc
import sys
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conformance import printed
from conformance.elementwise import Mul as RawMul
from conformance.losses import CrossEntropyWithSoftmax as RawCrossEntropy

import miniflow as mf
from miniflow.errors import GraphError


@pytest.fixture(autouse=True)
def no_cycle_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.breadth("mul")
@pytest.mark.parametrize("run", ["built only", "value", "value_and_grad", "check_gradients"])
@pytest.mark.parametrize("mul", [mf.Mul, RawMul], ids=["built in", "raw"])
def test_head_is_freed_with_its_last_reference(run: str, mul: type) -> None:
    x, y = mf.Input(), mf.Parameter(3.0)
    inner = mul(x, y)
    head = mul(inner, x)
    if run == "value":
        mf.value(head, {x: 2.0})
    elif run == "value_and_grad":
        mf.value_and_grad(head, {x: 2.0}, [x, y, inner])
    elif run == "check_gradients":
        mf.check_gradients(head, {x: 2.0})
    dying = [weakref.ref(head), weakref.ref(inner)]
    del head
    assert dying[0]() is None
    assert x.outbound_nodes == [inner]
    del inner
    assert dying[1]() is None
    assert x.outbound_nodes == y.outbound_nodes == []


def test_values_of_a_dropped_head_are_freed_with_it() -> None:
    x = mf.Input()
    head = mf.Exp(x * 1.0)
    value, _ = mf.value_and_grad(head, {x: np.zeros(10)}, [x])
    dying = weakref.ref(value)
    del value
    assert dying() is head.value
    del head
    assert dying() is None


def test_loss_with_a_cache_is_freed_with_its_last_reference() -> None:
    x, y = mf.Input(), mf.Input()
    for cls in (mf.CrossEntropyWithSoftmax, RawCrossEntropy):
        loss = cls(x, y)
        mf.value_and_grad(loss, {x: np.zeros((2, 3)), y: np.array([0, 1])}, [x])
        dying = weakref.ref(loss)
        del loss
        assert dying() is None


def test_built_in_inputs_hold_no_cycle_of_their_own() -> None:
    x, c = mf.Input(), mf.Constant(np.ones(3))
    head = x * c
    mf.value_and_grad(head, {x: np.ones(3)}, [x, c])
    dying = [weakref.ref(x), weakref.ref(c)]
    del x, c, head
    assert [ref() for ref in dying] == [None, None]


def test_head_whose_pass_failed_is_freed_once_the_error_is_forgotten() -> None:
    x = mf.Input()
    head = mf.Reshape(x * 2.0, (7,))
    with pytest.raises(GraphError) as caught:
        mf.value_and_grad(head, {x: np.ones(3)}, [x])
    dying = weakref.ref(head)
    del head, caught
    assert dying() is None


def test_chain_of_100_000_nodes_is_built_run_and_freed() -> None:
    x = mf.Input()
    a: mf.Node = x
    for _ in range(100_000):
        a = -a
    assert mf.value_and_grad(a, {x: 3.0}, [x]) == (3.0, [1.0])
    middle = weakref.ref(x.outbound_nodes[0])
    del a
    assert middle() is None
    assert x.outbound_nodes == []


@pytest.mark.slow
def test_chain_of_100_000_nodes_that_never_ran_is_freed() -> None:
    x = mf.Input()
    a: mf.Node = x
    for _ in range(100_000):
        a = -a
    first = weakref.ref(x.outbound_nodes[0])
    del a
    assert first() is None


def test_chain_of_raw_nodes_is_built_run_and_freed() -> None:
    x, one = printed.Input(), mf.Constant(1.0)
    a: mf.Node = x
    for _ in range(5_000):
        a = RawMul(a, one)
    assert mf.value_and_grad(a, {x: 3.0}, [x]) == (3.0, [1.0])
    first = weakref.ref(x.outbound_nodes[0])
    del a
    assert first() is None


def grown_by(rounds: Callable[[int], None], times: int) -> int:
    """How many blocks of memory that many rounds leave behind, with no garbage to collect.

    Python's allocator counts the blocks that it has given out: exact, unlike the size of the
    process. A full collection also empties Python's free lists, which would look like growth.
    """
    rounds(100)
    gc.collect()
    before = sys.getallocatedblocks()
    rounds(times)
    assert gc.collect() == 0, "reference cycles were left"
    return sys.getallocatedblocks() - before


@pytest.mark.slow
def test_graph_rebuilt_100_000_times_on_the_same_inputs_does_not_grow() -> None:
    x, W, b = mf.Input(), mf.Parameter(np.zeros(3)), mf.Parameter(0.0)

    def rebuild(times: int) -> None:
        for _ in range(times):
            mf.Add(mf.Mul(x, W), b)

    assert grown_by(rebuild, 100_000) < 5_000  # blocks; one object a round would be 100,000
    assert max(len(node._consumers) for node in (x, W, b)) < 50


def test_graph_rebuilt_and_run_on_the_same_inputs_does_not_grow() -> None:
    x, W = mf.Input(), mf.Parameter(np.ones(3))
    feed = {x: np.ones(3)}

    def rebuild_and_run(times: int) -> None:
        for _ in range(times):
            mf.value_and_grad(mf.Sum(x * W + 1.0), feed, [W])

    assert grown_by(rebuild_and_run, 2_000) < 1_000


def test_raw_nodes_rebuilt_and_run_on_the_same_inputs_do_not_grow() -> None:
    x, y = printed.Input(), printed.Input()

    def rebuild_and_run(times: int) -> None:
        for _ in range(times):
            mf.value_and_grad(printed.Add(RawMul(x, y), y), {x: 2.0, y: 3.0}, [x])

    assert grown_by(rebuild_and_run, 2_000) < 1_000


def test_many_passes_over_one_graph_do_not_grow() -> None:
    x, W = mf.Input(), mf.Parameter(np.ones(3))
    loss = mf.Sum(x * W)

    def run(times: int) -> None:
        for i in range(times):
            mf.value_and_grad(loss, {x: np.ones(3)}, [W] if i % 2 else [x, W])

    assert grown_by(run, 2_000) < 1_000  # blocks; one object a pass would be 2,000


def test_consumers_that_live_stay_while_those_around_them_die() -> None:
    x = mf.Input()
    alive = [x * float(i) for i in range(100)]
    for i in range(10_000):
        x * float(i)
    assert x.outbound_nodes == alive
    assert len(x._consumers) < 500
