"""The number of threads of matrix products."""

import pytest

from miniflow import threads


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A library with four threads, of which the list has the current number."""
    now = [4]
    library = (lambda: now[0], lambda n: now.__setitem__(0, n))
    monkeypatch.setattr(threads, "_openblas", lambda: library)
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


def test_the_library_that_numpy_carries_can_be_set() -> None:
    library = threads._openblas()
    if library is None:
        pytest.skip("NumPy carries no OpenBLAS here")
    get, put = library
    before = get()
    assert before >= 1
    put(1)
    assert get() == 1
    put(before)
    assert get() == before


def test_without_such_a_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_openblas", lambda: None)
    with threads.one_thread_if_small(1):
        pass
