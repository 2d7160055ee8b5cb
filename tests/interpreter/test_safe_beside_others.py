"""Passes from several threads, passes within passes, and passes after a fork."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul

import miniflow as mf


def test_two_threads_that_share_inputs_each_get_their_own_results() -> None:
    x, W = mf.Input(), mf.Parameter(np.full(50, 2.0))
    graphs = [mf.Sum(x * W), mf.Sum(RawMul(x, x) + W)]
    derivative = [lambda a: np.full(50, 2.0), lambda a: np.full(50, 2.0 * a)]
    together = threading.Barrier(2)

    def work(which: int) -> int:
        together.wait()
        wrong = 0
        for i in range(300):
            a = float(which * 1000 + i)
            _, [dx] = mf.value_and_grad(graphs[which], {x: np.full(50, a)}, [x])
            wrong += not np.array_equal(dx, derivative[which](a))
        return wrong

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [0, 1])) == [0, 0]


def test_threads_may_build_graphs_on_the_same_inputs_at_once() -> None:
    x = mf.Input()
    alive: list[mf.Node] = []

    def build(_: int) -> None:
        for i in range(2000):
            node = x * 2.0
            if i % 100 == 0:
                alive.append(node)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(4)))
    assert set(x.outbound_nodes) == set(alive)
    assert len(alive) == 80


def test_a_node_may_run_a_pass_of_another_graph_in_its_forward() -> None:
    u = mf.Input()
    square = u * u

    class ByAnotherGraph(mf.Op):
        def compute(self, x):
            return mf.value(square, {u: x})

        def gradient(self, grad, x):
            _, [du] = mf.value_and_grad(square, {u: x}, [u])
            return (grad * du,)

    x = mf.Input()
    g = ByAnotherGraph(x)
    assert mf.value_and_grad(g * g, {x: 3.0}, [x]) == (81.0, [108.0])


AFTER_A_FORK = """
import os, signal, threading, warnings
import miniflow as mf

warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads: they are the point
inside, leave = threading.Event(), threading.Event()

class Slow(mf.Op):
    def compute(self, x):
        inside.set()
        leave.wait()
        return x

x = mf.Input()
slow = Slow(x)
thread = threading.Thread(target=mf.value, args=(slow, {x: 1.0}))
thread.start()
inside.wait()  # the thread is in the middle of a pass, and holds the lock

child = os.fork()
if child == 0:
    signal.alarm(20)  # should it wait for the lock, it is not to wait for ever
    y = mf.Input()
    other = y * 3.0
    print(mf.value_and_grad(other, {y: 2.0}, [y]), flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
leave.set()
thread.join()
print(mf.value(slow, {x: 5.0}), os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_child_forked_while_another_thread_was_in_a_pass_runs_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", AFTER_A_FORK],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout.splitlines() == ["(6.0, [3.0])", "5.0 0"], ended.stderr
