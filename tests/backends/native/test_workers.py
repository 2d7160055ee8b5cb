"""Steps that several threads do in pieces: the same bits, whoever does what."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from forked import in_a_child, needs_fork

import miniflow as mf
from backends.native import trainings
from miniflow.backends import native
from miniflow.backends.native import filling, sharing, workers
from miniflow.ir import Builder, ValueType
from miniflow.lowering import pieces, shared_rows, tiling

pytestmark = pytest.mark.skipif(not workers.can_share(), reason="there are no workers here")


@pytest.fixture(autouse=True)
def small_steps_are_cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps of a few nanoseconds are shared out, always."""
    monkeypatch.setattr(pieces, "FEWEST", 50)
    monkeypatch.setattr(pieces, "_A_PIECE", 20)
    monkeypatch.setattr(pieces, "_A_PIECE_OF_A_PRODUCT", 20)
    monkeypatch.setattr(shared_rows, "_A_PIECE", 20)
    monkeypatch.setattr(shared_rows, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(filling, "WORTH_WAKING", 0)
    pool = workers.pool().address
    patience, until = (
        ctypes.c_int64.from_address(pool + x) for x in (sharing.PATIENCE, sharing.UNTIL)
    )
    patience.value, until.value = 2**60, 0  # beside a busy machine, too, nobody is late
    yield
    patience.value = sharing.SHORT_WAIT
    mf.set_threads(None)


def trained(make=trainings.mlp, dtype=np.float32) -> list[bytes]:
    return [array.tobytes() for array in trainings.numbers(make, dtype)]


def jobs() -> int:
    """How many steps have been shared out so far."""
    return ctypes.c_int32.from_address(workers.pool().address + sharing.JOB).value


@pytest.mark.parametrize(
    "make", [trainings.mlp, trainings.cnn, trainings.rnn, trainings.scans], ids=lambda f: f.__name__
)
def test_any_number_of_threads_gives_the_same_bits(make):
    mf.set_threads(1)
    alone, before = trained(make), jobs()
    for count in (2, 3, 4):
        mf.set_threads(count)
        assert trained(make) == alone
        assert workers.pool().count == count - 1
    assert jobs() > before + 50


@pytest.mark.parametrize("make", [trainings.cnn, trainings.attention])
def test_tiles_by_any_number_of_threads_give_the_same_bits(make, monkeypatch):
    monkeypatch.setattr(tiling, "CACHE", 1)  # a tile is one item
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 1)
    mf.set_threads(1)
    alone, before = trained(make), jobs()
    for count in (2, 3, 5):
        mf.set_threads(count)
        assert trained(make) == alone
    assert jobs() > before


def test_several_python_threads_at_once_have_the_same_bits():
    mf.set_threads(1)
    alone = trained()
    mf.set_threads(3)
    found: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(trained())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 3


def test_thousands_of_small_jobs_are_each_done_once():
    mf.set_threads(3)
    x, W = mf.Input("x"), mf.Parameter(np.zeros(1024), "W")
    step = mf.compile(mf.Mean((W - x) ** 2), optimizer=mf.SGD(512.0), backend="native")
    target, before = np.arange(1024.0), jobs()
    for turn in range(1000):
        step({x: target * turn})
        assert W.value[-1] == 1023.0 * turn
    assert np.array_equal(W.value, target * 999)
    assert jobs() >= before + 1000


def test_a_worker_who_is_late_is_borne_once_in_a_while_and_left_alone_if_it_is_usual():
    mf.set_threads(2)
    x = mf.Input("x")
    step, feed = mf.compile(mf.Exp(x), backend="native"), {x: np.ones((64, 256), np.float32)}
    step(feed)
    pool, long_ago = workers.pool().address, -(2**62)
    until, patience, well = (
        ctypes.c_int64.from_address(pool + where)
        for where in (sharing.UNTIL, sharing.PATIENCE, sharing.WELL)
    )
    patience.value = -(2**60)  # whoever is waited for is late
    for went_well_since, goes_alone in ((long_ago, False), (-long_ago, True)):
        for _ in range(5000):
            until.value, well.value = 0, went_well_since
            before = jobs()
            step(feed)
            assert jobs() <= before + 2
            if well.value != went_well_since:
                break
        assert well.value != went_well_since
        assert (until.value > 0) == goes_alone


def test_workers_are_where_the_program_is_not():
    mf.set_threads(3)
    trained()
    pool = workers.pool().address
    allowed = os.sched_getaffinity(0)
    here = ctypes.c_int32.from_address(pool + sharing.HERE).value
    others = [ctypes.c_int32.from_address(pool + sharing.THREADS + 4 * i).value for i in range(2)]
    assert all(others)
    if here >= 0:  # a worker who has begun since then has not been told yet
        assert {frozenset(os.sched_getaffinity(thread)) for thread in others} == {
            frozenset(allowed - {here} or allowed)
        }
    mf.set_threads(2)
    trained()
    last = ctypes.c_int32.from_address(pool + sharing.THREADS + 4).value
    assert last == 0  # he has ended


def test_a_piece_that_fails_is_told_as_the_whole_is():
    b = Builder()
    places, rows = b.input(ValueType("i64", (400,))), b.input(ValueType("f32", (50, 64)))
    step = native.lower(
        b.program([b.add("multiply", (b.add("gather", (rows, places), {"axes": (0,)}), 2.0))])
    )
    given, before = np.ones((50, 64), "f4"), jobs()
    for count in (1, 3):
        mf.set_threads(count)
        assert np.all(step.run([np.arange(400) % 50, given])[0] == 2.0)
        with pytest.raises(IndexError, match="out of range"):
            step.run([np.arange(400) % 51, given])
    assert jobs() > before


def test_fewer_threads_end_workers_and_more_start_them():
    for count in (4, 1, 3):
        mf.set_threads(count)
        trained()
        assert workers.pool().count == count - 1
        assert len(os.listdir("/proc/self/task")) >= count


@pytest.mark.parametrize("is_started", [False, True])
def test_ctrl_c_while_workers_are_started_loses_none(is_started, monkeypatch):
    pool, start = workers.pool(), workers.WorkerPool._start
    pool.end()

    def interrupted(self, number):
        if number < 1 or is_started:
            start(self, number)
        if number:
            raise KeyboardInterrupt
        return True

    mf.set_threads(4)
    monkeypatch.setattr(workers.WorkerPool, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.staff()
    monkeypatch.undo()
    assert pool.count == 1 + is_started
    pool.staff()
    assert pool.count == 3
    ending = threading.Thread(target=pool.end, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    assert pool.count == 0


@needs_fork
def test_workers_end_before_a_fork_and_the_child_has_its_own():
    mf.set_threads(3)
    alone = trained()
    assert workers.pool().count == 2
    assert in_a_child(lambda: trained() == alone and workers.pool().count == 2)
    assert workers.pool().count == 0
    assert trained() == alone


@needs_fork
def test_a_fork_while_another_thread_computes_leaves_both_working():
    mf.set_threads(3)
    alone, ends = trained(), threading.Event()
    found: set[bool] = set()

    def compute() -> None:
        while not ends.is_set():
            found.add(trained() == alone)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        assert all(in_a_child(lambda: trained() == alone) for _ in range(2))
    finally:
        ends.set()
        thread.join()
    assert found == {True}


PROGRAM = """
import threading, time
import numpy as np, miniflow as mf
x, W = mf.Input("x"), mf.Parameter(np.zeros((512, 512), "f4"), "W")
step = mf.compile(mf.Sum(mf.MatMul(x, W)), optimizer=mf.SGD(1e-3), backend="native")
mf.set_threads(3)
begun = threading.Event()
def train():
    while True:
        step({x: np.ones((512, 512), "f4")})
        begun.set()
threading.Thread(target=train, daemon=True).start()
begun.wait()
"""


def test_the_interpreter_ends_while_a_daemon_thread_runs_a_step():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], timeout=60, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("columns", [129, 257])
def test_one_column_more_than_pieces_have_is_nobodys_own(columns):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 256)), rng.normal(size=(256, columns))
    x, y = mf.Input("x"), mf.Input("y")
    for product, feed in ((x @ y, {x: a, y: b}), (mf.Tanh(x @ y), {x: 0.01 * a, y: b})):
        step = mf.compile(product, backend="native")
        assert np.allclose(step(feed), mf.value(product, feed))


def test_threads_gather_windows_into_memory_of_their_own():
    """Fewer than four filters: windows are gathered; what is padded stays for the way back."""

    def losses() -> bytes:
        rng = np.random.default_rng(0)
        X, W = mf.Input("X"), mf.Parameter(rng.normal(size=(7, 7, 1, 3)).astype(np.float32))
        shift = mf.Parameter(np.zeros(3, np.float32)) * mf.Sum(W)
        loss = mf.Mean(mf.Tanh(mf.Conv2D(X, W, padding="same") + shift))
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
        images = rng.normal(size=(65, 32, 8, 1)).astype(np.float32)
        return step.epoch({X: images}, np.arange(65)[None].repeat(40, 0)).tobytes()

    mf.set_threads(1)
    alone = losses()
    for count in (2, 4):
        mf.set_threads(count)
        assert losses() == alone
