"""The number of threads of matrix products."""

import ctypes

import pytest

from miniflow import threads
from miniflow.backends import blas


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
