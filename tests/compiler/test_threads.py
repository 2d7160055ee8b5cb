"""The number of threads of matrix products."""

import ctypes

import numpy as np
import pytest

import miniflow as mf
from miniflow import locks
from miniflow.backends import blas, thread_limit
from miniflow.compiler import threads
from miniflow.ir import Builder, Program, ValueType
from miniflow.options import OptionError


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A library with four threads, of which the list has the current number."""
    now = [4]
    functions = {
        "get_num_threads": lambda: now[0],
        "set_num_threads": lambda n: now.__setitem__(0, n.value),
    }
    library = blas.Library("a library", ctypes.c_int64, functions)
    monkeypatch.setattr(blas, "find", lambda: library)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MINIFLOW_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(thread_limit, "_said", None)
    return now


def test_small_products_take_one_thread_and_the_rest_as_many_as_before(count: list[int]) -> None:
    with threads.one_thread_if_small(2 * 128 * 784 * 128):
        assert count == [1]
    assert count == [4]


def test_the_number_is_put_back_after_an_error(count: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), threads.one_thread_if_small(1):
        1 / 0  # noqa: B018
    assert count == [4]


def test_blocks_may_end_in_another_order_than_they_began(count: list[int]) -> None:
    first, second = threads.one_thread_if_small(1), threads.one_thread_if_small(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert count == [1]
    second.__exit__(None, None, None)
    assert count == [4]


def test_large_products_take_all(count: list[int]) -> None:
    with threads.one_thread_if_small(2 * 512 * 784 * 1024):
        assert count == [4]


def test_what_the_user_says_counts(count: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with threads.one_thread_if_small(1):
        assert count == [4]


def test_the_count_is_what_a_large_product_may_use_now(count: list[int]) -> None:
    assert threads.thread_count() == 4
    with threads.one_thread_if_small(1):
        assert threads.thread_count() == 1


def test_without_such_a_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "find", lambda: None)
    with threads.one_thread_if_small(1):
        assert threads.thread_count() is None


def product(m: int, k: int, n: int) -> Program:
    b = Builder()
    x, w = (b.input(ValueType("f32", shape)) for shape in ((m, k), (k, n)))
    return b.program([b.add("matmul", (x, w))])


def test_programs_with_small_products_run_on_one_thread(count: list[int]) -> None:
    seen: list[int] = []

    def run(arguments: object) -> list[int]:
        seen.extend(count)
        return [7]

    small = threads.on_one_thread_if_small(product(32, 784, 64), run)
    large = threads.on_one_thread_if_small(product(128, 784, 128), run)
    assert (small([]), large([]), small([])) == ([7], [7], [7])
    assert seen == [1, 4, 1]
    assert count == [4]


def test_programs_whose_products_openblas_never_splits_are_left_alone(count: list[int]) -> None:
    run = list
    assert threads.on_one_thread_if_small(product(16, 32, 32), run) is run
    assert threads.on_one_thread_if_small(Builder().program([1.0]), run) is run


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_what_openblas_reads_itself_is_left_to_it(
    count: list[int], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "4")
    for size in (product(32, 784, 64), product(128, 784, 128)):
        assert threads.on_one_thread_if_small(size, lambda arguments: list(count))([]) == [4]


@pytest.mark.parametrize("by", ["set_threads", "MINIFLOW_THREADS"])
def test_no_product_takes_more_threads_than_the_user_says(
    count: list[int], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    small, large = (
        threads.on_one_thread_if_small(size, lambda arguments: list(count))
        for size in (product(32, 784, 64), product(128, 784, 128))
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    if by == "set_threads":
        monkeypatch.setenv("MINIFLOW_THREADS", "5")
        mf.set_threads(3)
    else:
        monkeypatch.setenv("MINIFLOW_THREADS", "3")
    assert (small([]), large([]), count) == ([1], [3], [4])
    assert threads.thread_count() == 3
    with threads.one_thread_if_small(2 * 512 * 784 * 1024):
        assert count == [3]
        assert small([]) == [1]
    assert count == [4]


def test_the_number_is_put_back_when_the_last_program_has_ended(count: list[int]) -> None:
    program = product(32, 784, 64)

    def fails(arguments: object) -> list[int]:
        raise ZeroDivisionError

    def nested(arguments: object) -> list[int]:
        with pytest.raises(ZeroDivisionError):
            threads.on_one_thread_if_small(program, fails)([])
        return list(count)  # one is still running

    assert threads.on_one_thread_if_small(program, nested)([]) == [1]
    assert count == [4]


def test_a_child_that_leaves_a_block_of_its_parents_counts_from_zero(count: list[int]) -> None:
    with threads.one_thread_if_small(1):
        locks.renew_all()  # what a forked child does first
        assert count == [4]
    with threads.one_thread_if_small(1):
        assert count == [1]
    assert count == [4]


@pytest.mark.parametrize("run", ["call", "without updates"])
def test_a_variable_that_is_no_number_is_told_at_the_call(
    monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    if blas.find() is None:
        pytest.skip("NumPy's products are another library's")
    x, w = mf.Input("x"), mf.Parameter(np.zeros((784, 64), np.float32), "w")
    optimizer = mf.SGD(0.1) if run == "call" else None
    step = mf.compile(mf.Mean(x @ w), optimizer=optimizer, backend="numpy")
    feed = {x: np.zeros((32, 784), np.float32)}
    step(feed)
    monkeypatch.setenv("MINIFLOW_THREADS", "all")
    with pytest.raises(OptionError, match=r"MINIFLOW_THREADS is a number of threads, .* not 'all'"):
        step(feed)
    monkeypatch.delenv("MINIFLOW_THREADS")
    assert step(feed) == 0
