"""The number of threads of matrix products."""

import ctypes

import pytest

from miniflow import locks
from miniflow.backends import blas
from miniflow.compiler import threads
from miniflow.ir import Builder, Program, ValueType


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
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
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


def test_programs_run_as_the_user_says(count: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    run = list
    assert threads.on_one_thread_if_small(product(32, 784, 64), run) is run


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
