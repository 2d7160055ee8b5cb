"""A training that several devices or processes share: what all of them have to agree on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.backends import find, names
from miniflow.distributed.meeting import meeting
from miniflow.options import OptionError

if TYPE_CHECKING:
    from miniflow.training.fit import Training


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
