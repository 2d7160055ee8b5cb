"""A lock of the parent's in a forked child: what another thread held is open, what this one holds
is held.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from forked import in_a_child, needs_fork

from miniflow.locks import Lock, renew_after_fork


@contextmanager
def held_by_another_thread(lock: Lock) -> Iterator[None]:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    yield
    leave.set()
    thread.join()


@needs_fork
def test_what_another_thread_held_is_open_in_the_child_and_held_in_the_parent() -> None:
    lock = Lock()
    with held_by_another_thread(lock):
        assert in_a_child(lambda: lock.acquire(blocking=False))
        assert not lock.acquire(blocking=False)


@needs_fork
def test_what_the_thread_that_forks_holds_it_holds_in_the_child_and_can_give_back() -> None:
    lock = Lock()

    def is_given_back_once() -> bool:
        lock.release()
        try:
            lock.release()
        except RuntimeError:
            return True
        return False

    with lock:
        assert in_a_child(is_given_back_once)


@needs_fork
def test_what_is_to_be_made_anew_is_made_anew_in_the_child_as_long_as_it_lives() -> None:
    class Kept:
        renewed = 0

        def renew(self) -> None:
            Kept.renewed += 1

    kept, dropped = Kept(), Kept()
    for thing in (kept, dropped):
        renew_after_fork(thing, Kept.renew)
    del dropped, thing
    assert in_a_child(lambda: Kept.renewed == 1)
    assert Kept.renewed == 0
