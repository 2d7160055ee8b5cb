"""Ctrl-C, held back."""

import signal
import threading

import pytest

from miniflow.training.interrupts import at_once, interrupts_held_back


def test_ctrl_c_is_raised_where_the_program_says() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), interrupts_held_back() as interrupts:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        reached = True
        interrupts.raise_if_pressed()
        reached = False
    assert reached


def test_ctrl_c_that_nobody_asked_for_is_raised_at_the_end() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached


def test_the_second_ctrl_c_is_raised_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        reached.append("first")
        signal.raise_signal(signal.SIGINT)
        reached.append("second")
    assert reached == ["first"]


def test_the_handler_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_held_back():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_programs_own_is_left_alone() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("mine"))
    try:
        with interrupts_held_back():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["mine"]


def test_in_another_thread_it_does_nothing() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with interrupts_held_back() as interrupts:
                interrupts.raise_if_pressed()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def test_within_another_block_it_is_held_back_even_where_the_outer_one_raises_it_at_once() -> None:
    reached = []

    def train() -> None:
        with interrupts_held_back() as inner:
            signal.raise_signal(signal.SIGINT)
            reached.append("a whole update")
            inner.raise_if_pressed()
            reached.append("another one")

    with pytest.raises(KeyboardInterrupt), interrupts_held_back():
        at_once(train)
    assert reached == ["a whole update"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
