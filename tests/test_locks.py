"""A lock of the parent's in a forked child: what another thread held is open, what this one holds
is held.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from miniflow.locks import Lock, renew_after_fork

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of fork beside threads
]


def in_a_child(question: Callable[[], bool]) -> bool:
    """The answer that a forked child gives."""
    child = os.fork()
    if child == 0:
        try:
            answer = question()
        except BaseException:
            os._exit(2)
        os._exit(0 if answer else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1)
    return code == 0


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


def test_what_another_thread_held_is_open_in_the_child_and_held_in_the_parent() -> None:
    lock = Lock()
    with held_by_another_thread(lock):
        assert in_a_child(lambda: lock.acquire(blocking=False))
        assert not lock.acquire(blocking=False)


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
