"""One compiled program, or one model, in several threads at once: each gets its own results, in
memory of its own, of which there is never more than so much.
"""

import gc
import pathlib
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul
from forked import in_a_child, needs_fork

import miniflow as mf
from compiler.networks import two_layers
from miniflow.compiler import pool as pools
from miniflow.compiler.pool import ExecutablePool
from miniflow.errors import MiniflowError

SECONDS = 60  # for what should come at once
THREADS = 6


def in_threads(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What each of several threads returns that begin at the same time."""
    together = threading.Barrier(count)

    def begin(number: int) -> Any:
        together.wait(SECONDS)
        return work(number)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(begin, range(count)))


def digits_graph() -> tuple[Any, list[Any], Callable[[int, int], dict[Any, Any]]]:
    """A network with a convolution, dropout, and labels that are computed; feeds by number."""
    rng = np.random.default_rng(0)
    X, y, seed = mf.layers.Input((8, 8, 1), name="X"), mf.Input("y"), mf.Seed()
    hidden = mf.layers.Conv2D(4, 3, "relu", rng=rng)(X)
    hidden = mf.layers.Dense(12, "tanh", rng=rng)(mf.Flatten(hidden))
    loss = mf.CrossEntropyWithSoftmax(
        mf.layers.Dense(5, rng=rng)(mf.Dropout(hidden, seed, 0.3)), y + 1
    )

    def feed(number: int, rows: int = 16) -> dict[Any, Any]:
        drawn = np.random.default_rng(number)
        images = drawn.normal(size=(rows, 8, 8, 1)).astype(np.float32)
        return {X: images, y: drawn.integers(0, 4, rows), seed: number}

    return loss, [X], feed


def all_equal(one: Any, other: Any) -> bool:
    """Whether a value and its gradients are those of another call, to the bit."""
    (value, gradients), (wanted, wanted_gradients) = one, other
    pairs = zip(gradients, wanted_gradients, strict=True)
    return bool(value == wanted and all(np.array_equal(a, b) for a, b in pairs))


def test_each_thread_gets_the_results_of_what_it_fed(backend) -> None:
    loss, wrt, feed = digits_graph()
    f = mf.compile(loss, wrt, backend=backend)
    count = 8 if backend == "reference" else 25
    wanted = [[f(feed(100 * i + k)) for k in range(count)] for i in range(THREADS)]
    assert len(f._last.pool) == 1  # one thread needs no more

    def work(number: int) -> int:
        results = [f(feed(100 * number + k)) for k in range(count)]
        pairs = zip(results, wanted[number], strict=True)
        return sum(not all_equal(one, other) for one, other in pairs)

    assert in_threads(work) == [0] * THREADS
    assert 1 <= len(f._last.pool) <= f._last.pool.most


def test_threads_may_feed_other_shapes_each(backend) -> None:
    loss, wrt, feed = digits_graph()
    f = mf.compile(loss, wrt, backend=backend)
    wanted = [mf.compile(loss, wrt, backend=backend)(feed(i, 3 + i)) for i in range(3)]

    def work(number: int) -> int:
        return sum(not all_equal(f(feed(number, 3 + number)), wanted[number]) for _ in range(10))

    assert in_threads(work, 3) == [0] * 3
    assert len(f._variants) == 3


def test_classes_of_ones_own_are_looked_at_once_however_many_threads_call_first(backend) -> None:
    calls = []

    class Twice(RawMul):
        def forward(self) -> None:
            calls.append(threading.get_ident())
            RawMul.forward(self)

    x = mf.Input("x")
    f = mf.compile(mf.Sum(Twice(x, x)), [x], backend=backend)

    def work(number: int) -> bool:
        values = np.arange(5.0) + number
        value, [dx] = f({x: values})
        return value == np.sum(values**2) and np.array_equal(dx, 2 * values)

    assert in_threads(work) == [True] * THREADS
    assert len(set(calls)) == 1  # the thread that made the program; no other ran any node
    assert len(f._variants) == 1


class Rows(mf.Op):
    """Indexes that nobody looks at before the program runs."""

    def compute(self, table: Any, at: Any) -> Any:
        return table[at]


def test_what_a_class_of_ones_own_looks_at_is_looked_at_by_one_thread_at_a_time(backend) -> None:
    inside: list[int] = []

    class Looks(Rows):
        def validate(self, table: Any, at: Any) -> None:
            inside.append(1)
            threading.Event().wait(0.0005)
            assert len(inside) == 1, "another thread is here"
            inside.clear()

    at = mf.Input("at")
    f = mf.compile(mf.Sum(Looks(np.eye(4), at)), backend=backend)
    f({at: np.arange(3)})
    assert in_threads(lambda number: [f({at: np.arange(3)}) for _ in range(10)]) == [[3.0] * 10] * 6


@pytest.mark.parametrize("bad", [7, -9])
@pytest.mark.parametrize("gather", [mf.Gather, Rows])
def test_an_error_belongs_to_the_call_that_made_it(backend, gather: Any, bad: int) -> None:
    table, at = mf.Parameter(np.arange(12.0).reshape(4, 3), "table"), mf.Input("at")
    type_name = gather.__name__
    f = mf.compile(mf.Sum(gather(table, at), axis=1), backend=backend)

    def work(number: int) -> int:
        wrong = 0
        for k in range(20):
            if number % 2:
                with pytest.raises(MiniflowError, match=type_name):
                    f({at: np.array([k % 4, bad])})
            else:
                wrong += not np.array_equal(f({at: np.array([k % 4, 2])}), [9 * (k % 4) + 3, 21])
        return wrong

    f({at: np.array([0, 1])})
    assert in_threads(work) == [0] * THREADS
    assert len(f._last.pool) <= f._last.pool.most
    assert f({at: np.array([1])}) == [12]


def test_a_program_that_updates_runs_in_one_thread_at_a_time(backend) -> None:
    W = mf.Parameter(np.zeros(3), "W")
    x = mf.Input("x")
    step = mf.compile(mf.Sum(W * x), optimizer=mf.SGD(1.0), backend=backend)
    step({x: np.zeros(3)})
    assert step._last.pool is None
    in_threads(lambda number: [step({x: np.ones(3)}) for _ in range(50)])
    assert np.array_equal(W.value, np.full(3, -50.0 * THREADS))


def test_two_threads_are_in_one_program_at_once(backend) -> None:
    loss, _, feed, _ = two_layers()
    f = mf.compile(loss, backend=backend)
    wanted = f(feed)
    pool, both = f._last.pool, threading.Barrier(2)
    make, kept = pool._make, pool._kept[0]

    def meeting(run: Any) -> Any:
        def run_together(arguments: Any) -> Any:
            both.wait(SECONDS)  # breaks if the other cannot come
            return run(arguments)

        return run_together

    kept.run, pool._make = meeting(kept.run), lambda: meeting(make())
    assert in_threads(lambda number: np.array_equal(f(feed), wanted), 2) == [True, True]
    assert len(pool) == 2


@needs_fork
def test_a_child_forked_while_threads_are_busy_has_executables_of_its_own(backend) -> None:
    loss, _, feed, _ = two_layers()
    f = mf.compile(loss, backend=backend)
    wanted = f(feed)
    pool, inside, leave = f._last.pool, threading.Event(), threading.Event()
    kept, run = pool._kept[0], pool._kept[0].run

    def stay(arguments: Any) -> Any:
        inside.set()
        leave.wait(SECONDS)
        return run(arguments)

    kept.run = stay
    with ThreadPoolExecutor(1) as executor:
        other = executor.submit(f, feed)
        inside.wait(SECONDS)
        is_right = in_a_child(
            lambda: (
                len(pool) == 0
                and np.array_equal(f(feed), wanted)
                and len(pool) == 1
                and all(in_threads(lambda number: np.array_equal(f(feed), wanted)))
                and len(pool) <= pool.most
            )
        )
        leave.set()
        assert np.array_equal(other.result(SECONDS), wanted)
    assert is_right


@pytest.mark.parametrize("is_read", [False, True])
def test_memory_goes_with_the_program(is_read: bool, tmp_path: pathlib.Path) -> None:
    x, w = mf.Input("x"), mf.Parameter(np.eye(3), "w")
    values = np.ones((2, 3))
    f: Any = mf.compile(mf.Tanh(x @ w), backend="numpy")
    f({x: values})
    if is_read:
        mf.save(mf.Tanh(x @ w), tmp_path / "m")
        f = mf.load(tmp_path / "m", backend="numpy")
        f(values)
    [pool] = f._pools.values() if is_read else [f._last.pool]
    memory = [weakref.ref(one.run) for one in pool._kept]
    del pool
    gc.collect()
    gc.disable()  # it takes no cycle collector
    try:
        del f
        assert [one() for one in memory] == [None]
    finally:
        gc.enable()


# --- Models


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_model_answers_several_threads_at_once(backend: str, tmp_path: pathlib.Path) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    loss, _, feed = digits_graph()
    logits = loss.inbound_nodes[0]
    mf.value(loss, feed(0))
    mf.save(logits, tmp_path / "m")
    model = mf.load(tmp_path / "m", backend=backend)
    images = [np.random.default_rng(i).normal(size=(4 + i % 3, 8, 8, 1)) for i in range(THREADS)]
    wanted = [(model(x), model.predict(x)) for x in images]
    assert [len(pool) for pool in model._pools.values()] == [1, 1, 1]

    def work(number: int) -> int:
        wrong = 0
        for _ in range(20):
            wrong += not np.array_equal(model(images[number]), wanted[number][0])
            wrong += not np.array_equal(model.predict(images[number]), wanted[number][1])
            with pytest.raises(mf.MiniflowError):
                model(images[number][..., :2, :])
        return wrong

    assert in_threads(work) == [0] * THREADS
    assert all(len(pool) <= pool.most for pool in model._pools.values())


# --- The pool itself


def test_there_are_no_more_executables_than_agreed_and_none_before_it_is_needed() -> None:
    made, busy, most_busy, counting = [], [0], [0], threading.Lock()

    def make() -> Any:
        made.append(None)
        number = len(made)

        def run(arguments: Any) -> list[Any]:
            with counting:
                busy[0] += 1
                most_busy[0] = max(most_busy)
                most_busy.append(busy[0])
            threading.Event().wait(0.001)
            with counting:
                busy[0] -= 1
            return [number, *arguments]

        return run

    pool = ExecutablePool(make, most=3)
    assert (len(pool), made) == (0, [])
    for _ in range(5):
        assert pool.run([7]) == [1, 7]
    assert len(pool) == 1
    results = in_threads(lambda number: [pool.run([number]) for _ in range(20)], 12)
    assert all(one[1] == number for number, many in enumerate(results) for one in many)
    assert max(most_busy) <= 3
    assert 1 < len(made) == len(pool) <= 3


def test_what_a_thread_brings_back_after_an_error_is_lent_again() -> None:
    def make() -> Any:
        def run(arguments: Any) -> list[Any]:
            return [1 / arguments[0]]

        return run

    pool = ExecutablePool(make, most=2)

    def work(number: int) -> int:
        for _ in range(50):
            with pytest.raises(ZeroDivisionError):
                pool.run([0])
            assert pool.run([2]) == [0.5]
        return len(pool)

    assert max(in_threads(work)) <= 2
    assert not any(one.is_running for one in pool._kept)


def test_an_executable_that_cannot_be_made_is_told_to_whom_it_was_for() -> None:
    tries = []

    def make() -> Any:
        tries.append(None)
        if len(tries) == 1:
            raise MemoryError
        return list

    pool = ExecutablePool(make)
    with pytest.raises(MemoryError):
        pool.run([1])
    assert pool.run([1]) == [1]
    assert len(pool) == 1


def test_what_an_alarm_interrupts_between_two_steps_hangs_nobody() -> None:
    pool = ExecutablePool(lambda: list, most=2)
    pool.run([1])
    pool._kept[0].take()  # taken, and not used: the thread went another way
    assert pool.run([2]) == [2]
    assert in_threads(lambda number: pool.run([number])) == [[n] for n in range(THREADS)]
    pool._kept[1].take()
    assert pool.run([3]) == [3]
    assert len(pool) == 2


def test_a_call_in_the_middle_of_a_call_of_the_same_thread_has_memory_of_its_own() -> None:
    made: list[Any] = []

    def make() -> Any:
        number = len(made)
        made.append(None)
        return lambda arguments: [number, *(pool.run([]) if arguments else [])]

    pool = ExecutablePool(make, most=2)
    assert pool.run(["nested"]) == [0, 1]
    assert len(pool) == 1


def test_at_least_two_and_at_most_as_many_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, most in ((1, 2), (2, 2), (12, 12)):
        monkeypatch.setattr(pools, "available_cores", lambda n=processors: n)
        assert ExecutablePool(lambda: list).most == most
