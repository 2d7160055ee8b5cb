"""A training that several devices or processes share: what all of them have to agree on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.backends import find, names
from miniflow.distributed.meeting import meeting
from miniflow.options import OptionError
from miniflow.training.interrupts import Interrupts, at_once

if TYPE_CHECKING:
    from miniflow.training.training import Training


def check_divides(backend: str, batch_size: int) -> None:
    """See that a batch can be divided over the devices.

    Raises OptionError, before anything is trained, if it cannot.

    >>> check_divides("numpy", 100)
    """
    if backend not in names("devices"):
        return
    count = find(backend).devices()
    if batch_size % count:
        raise OptionError(
            f"fit: batch_size={batch_size:,} cannot be divided evenly over {count} devices: take "
            f"{max(batch_size // count, 1) * count:,}, or fewer devices."
        )


def seed_for_all(rng: Any) -> Any:
    """What `rng` stands for, the same in each process: where nothing is said, a seed that process 0
    draws.
    """
    together = meeting()
    if together is None or rng is not None:
        return rng
    return together.share(int(np.random.SeedSequence().entropy) % 2**63)  # type: ignore[arg-type]


def check_all_begin_alike(training: Training) -> None:
    """See that each process begins with the same parameters, in the same epoch, with the same
    random numbers.

    Raises MeetingError if they do not.
    """
    together = meeting()
    if together is None:
        return
    state = json.dumps(training.rng.bit_generator.state, default=str)
    digest = hashlib.sha256(f"{training.epoch} {training.batch_size} {state}".encode())
    arrays = [parameter.value for parameter in training.parameters]
    for array in [*arrays, *training.optimizer.state.values()]:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    what = "the parameters, or the random numbers, of the training"
    together.check_same(what, digest.hexdigest())


# What depends on a clock, or on when somebody presses Ctrl-C, is what process 0 says.


def agree_on(number: int) -> int:
    """What process 0 says in place of that; `number` itself of a process that is alone. All ask
    before each call of compiled code, how many steps it is to make; those that wait for process 0
    can be stopped.

    >>> agree_on(8)
    8
    """
    together = meeting()
    if together is None:
        return number
    share = together.share
    return share(number) if decides() else at_once(share, number)  # type: ignore[no-any-return]


def agree_when_ready(number: int) -> int:
    """The same, as soon as all have come so far, which may take one that makes a batch its time.
    Nothing has been said meanwhile, so that nothing is begun, and all can be stopped.

    >>> agree_when_ready(8)
    8
    """
    together = meeting()
    if together is not None:
        at_once(together.gather)
    return agree_on(number)


def decides() -> bool:
    """Whether this process says what the others do, or is alone.

    >>> decides()
    True
    """
    together = meeting()
    return together is None or together.place.host == 0


@contextmanager
def stopping_together(interrupts: Interrupts) -> Iterator[None]:
    """Ctrl-C in one of several processes stops all of them after the same step: it is process 0
    that stops, between two calls, and the others with it. Pressed a second time, it ends the
    process where it was pressed, and so all.
    """
    together = meeting()
    if together is None:
        yield
        return
    together.begin_training()
    if not decides():
        interrupts.ask = threading.Thread(target=together.interrupt, daemon=True).start
    together.on_interrupt = interrupts.press
    try:
        yield
    except KeyboardInterrupt:
        if decides():
            together.interrupt()
        together.read_to_the_end()
        raise
    finally:
        together.on_interrupt = _nobody_listens


def _nobody_listens() -> None:
    """What is done about Ctrl-C elsewhere where nothing is trained."""
